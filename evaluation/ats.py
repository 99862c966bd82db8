"""ATS against real talkers and against baselines: `python -m evaluation.ats --data ../shared/data [--plots DIR]
[--aligned FILE [--peers DIR]]`.

Real lips: GRID clips of the training talker that training never saw, and three other GRID talkers (validation only).
Curves are read off tracked video landmarks with the head's pose removed: aperture |62-66|, width |48-54|, jaw |27-8|,
in eye distances. Every method is heard through the same audio and judged at the video's 25 frames a second.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluation import ats_peers, ats_rules
from export import aligned, articulation, ats_data, command, grid, ict
from freetalk_blender.core import frame
from freetalk_blender.core.argument_types import whole_number
from freetalk_blender.core.landmarks import LIPS
from freetalk_blender.core.metrics import CURVES, curves, lag, pearson
from freetalk_blender.core.voice import audio, performance, speech

TALKERS = ("lbax4n", "pwij3p", "swiz3n")
#: Lips count as touching where the inner gap is within this of rest (canonical units, 0.9 mm).
TOUCH = 0.010
#: Runs of which the quickest counts.
_RUNS = 4
#: What is plotted and shown talker by talker.
COMPARED = ("ours", "ridge, encoder")

Method = Callable[[np.ndarray], np.ndarray]
"""16 kHz samples -> landmark displacement (T,68,3) at 25 frames a second."""


@dataclass(frozen=True)
class Take:
    """A real talker's sentence: 16 kHz samples, canonical landmarks (T,68,3) at 25 frames a second."""

    name: str
    samples: np.ndarray
    faces: np.ndarray


def concordance(x: np.ndarray, y: np.ndarray) -> float:
    """Lin's concordance of two curves measured from their own rest (10th percentile)."""
    x, y = x - np.percentile(x, 10), y - np.percentile(y, 10)
    spread = x.var() + y.var() + (x.mean() - y.mean()) ** 2
    return float(2 * np.mean((x - x.mean()) * (y - y.mean())) / spread) if spread > 1e-12 else 0.0


def judge(method: Method, takes: list[Take]) -> dict[str, float]:
    """Means over the takes: r, concordance and lag of each curve, and the ratio of spreads."""
    rows: list[dict[str, float]] = []
    neutral = frame.mean_landmarks()
    for take in takes:
        moved = method(take.samples)[: len(take.faces)]
        ours, real = curves(neutral + moved), curves(take.faces[: len(moved)])
        row: dict[str, float] = {}
        for name in CURVES:
            row[f"{name} r"] = pearson(ours[name], real[name])
            row[f"{name} ccc"] = concordance(ours[name], real[name])
            row[f"{name} ratio"] = float(ours[name].std() / real[name].std())
        row["lag ms"] = lag(ours["aperture"], real["aperture"], grid.VIDEO_RATE)
        rows.append(row)
    return means(rows)


def means(rows: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each column."""
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


def each(methods: dict[str, Method], takes: list[Take]) -> dict[str, dict[str, float]]:
    """r of the curves take by take: how far talkers differ beside how far methods do."""
    rows = {}
    for take in takes:
        for name, method in methods.items():
            scores = judge(method, [take])
            rows[f"{take.name}, {name}"] = {
                key: value for key, value in scores.items() if key.endswith((" r", "ratio"))
            }
    return rows


def other_talkers(data: Path) -> list[Take]:
    """The three talkers that nothing was ever trained or tuned on."""
    takes = []
    for name in TALKERS:
        with np.load(Path(data) / "video_grid" / f"{name}.npz") as arrays:
            faces = grid.canonical(arrays["landmarks68"])
        takes.append(Take(name, audio.load(Path(data) / "video_grid" / f"{name}.flac")[0], faces))
    return takes


def held_out_clips(data: Path) -> list[Take]:
    """The training talker's clips that training never saw."""
    names, pixels = grid.read_landmarks(data)
    return [
        Take(name, audio.load(Path(data) / "grid_s1" / "audio" / f"{name}.flac")[0], grid.canonical(faces))
        for name, faces in zip(names, pixels, strict=True)
        if ats_data.held_out(name)
    ]


def recordings(data: Path) -> list[Path]:
    """About two dozen recordings of read speech, of many voices: LibriSpeech and one synthetic voice."""
    files = command.files(Path(data) / "speech", "**/*.flac")
    return files[:: max(1, len(files) // 24)]


def unheard_readers(data: Path) -> list[Path]:
    """LibriSpeech's recordings by voices that training never heard."""
    files = command.files(Path(data) / "speech" / "librispeech", "*.flac")
    return [file for file in files if ats_data.held_out(file.stem.split("-")[0])]


def ours(samples: np.ndarray) -> np.ndarray:
    """The product's own path."""
    return performance.perform(samples, audio.SPEECH_RATE, fps=grid.VIDEO_RATE, device="cpu").displacement


def loudness(samples: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """Jaw opens with the smoothed loudness in dB above the floor; 0.35 of jawOpen at the loudest."""
    step = audio.SPEECH_RATE // grid.VIDEO_RATE
    power = (samples[: len(samples) // step * step].reshape(-1, step) ** 2).mean(1)
    decibel = 10 * np.log10(power + 1e-9)
    smooth = np.convolve(np.pad(decibel, 1, mode="edge"), [0.25, 0.5, 0.25], "valid")
    open_ = np.clip((smooth - smooth.max() + 35) / 35, 0, 1)
    return 0.35 * open_[:, None, None] * shapes[ats_data.CONTROLS.index("jawOpen")]


def stack(features: np.ndarray) -> np.ndarray:
    """(T,C) at 50 Hz -> (T, 5 C + 1): frames at -80, -40, 0, 40, 80 ms, and 1."""
    rows = np.clip(np.arange(len(features))[:, None] + np.arange(-4, 5, 2), 0, len(features) - 1)
    return np.concatenate([features[rows].reshape(len(features), -1), np.ones((len(features), 1), np.float32)], axis=1)


def ridge(pieces: list[ats_data.Piece], features: Callable[[np.ndarray], np.ndarray], shapes: np.ndarray) -> Method:
    """A linear map from five frames, 40 ms apart, to the mouth's controls, fitted on the clips that the network was
    trained on; the ridge is a tenth of a percent of the mean variance."""
    size = 5 * features(pieces[0].samples).shape[1] + 1
    gram, target = np.zeros((size, size)), np.zeros((size, len(shapes)))
    for piece in pieces:
        x = stack(features(piece.samples))[: len(piece.controls)].astype(np.float64)
        gram += x.T @ x
        target += x.T @ piece.controls[: len(x)]
    gram[np.diag_indices(size)] += 1e-3 * np.trace(gram) / size
    weights = np.linalg.solve(gram, target).astype(np.float32)
    return lambda samples: np.tensordot(stack(features(samples)) @ weights, shapes, 1)[::2]


def log_mel(samples: np.ndarray) -> np.ndarray:
    """(T,160) two log-mel frames for every feature frame."""
    length = len(samples) // speech.HOP * speech.HOP
    energy = speech.log_mel_energy(samples[:length] * speech.gain(samples))
    return np.maximum(energy, -6.5).T.reshape(length // speech.HOP, -1)


def encoder(samples: np.ndarray) -> np.ndarray:
    """(T,384) the speech encoder's features."""
    return speech.features(samples, "cpu")


def by_postures(detect: ats_peers.Detector, shapes: np.ndarray) -> Method:
    """Visemes as lips: by the postures written down for them."""
    return lambda samples: np.tensordot(detect(samples) @ ats_peers.posed(), shapes, 1)[::2]


def stillness(data: Path) -> dict[str, float]:
    """Lip motion in silence and in noise, as a share of lip motion in speech (root mean square of velocity)."""
    spoken = audio.load(command.files(Path(data) / "speech" / "dc_tts_voice", "*.flac")[0])[0]
    random = np.random.default_rng(0)
    sounds = {
        "digital silence": np.zeros_like(spoken),
        "white noise at -60 dB": random.normal(0, 1e-3, len(spoken)).astype(np.float32),
        "white noise at -30 dB": random.normal(0, 0.03, len(spoken)).astype(np.float32),
    }
    reference = _lip_speed(spoken)
    return {name: _lip_speed(samples) / reference for name, samples in sounds.items()}


def _lip_speed(samples: np.ndarray) -> float:
    moved = performance.perform(samples, audio.SPEECH_RATE, fps=speech.FEATURE_RATE, device="cpu").displacement[:, LIPS]
    return float(np.sqrt((np.diff(moved, axis=0) ** 2).sum(-1).mean()))


def speed(samples: np.ndarray) -> dict[str, float]:
    """The least of some runs on this machine's CPU: clock and processor seconds of all ATS for a second of 60 s of
    sound, and for 10 s the milliseconds of the network alone."""
    long, ten = (np.resize(samples, seconds * audio.SPEECH_RATE) for seconds in (60, 10))
    performance.perform(ten, audio.SPEECH_RATE, device="cpu")
    runs = []
    for _ in range(_RUNS):
        performance.clear_cache()
        clock, processor = time.perf_counter(), time.process_time()
        performance.perform(long, audio.SPEECH_RATE, device="cpu")
        runs.append(((time.perf_counter() - clock) / 60, (time.process_time() - processor) / 60))
    performance.perform(ten, audio.SPEECH_RATE, device="cpu")
    moved = []
    for _ in range(_RUNS):
        clock = time.perf_counter()
        performance.perform(ten, audio.SPEECH_RATE, {"happy": 1.0}, device="cpu")
        moved.append(1000 * (time.perf_counter() - clock))
    return {"clock": min(run[0] for run in runs), "processor": min(run[1] for run in runs), "network": min(moved)}


def rules(data: Path, file: Path, speaker: ats_rules.Speaker, shapes: np.ndarray) -> Method:
    """The oracle: the training talker's mean postures, in the phones that are truly said."""
    found = {recording.name: recording.phones for recording in aligned.read(file)}
    learned = ats_rules.learn(*grid.load(data), found)
    return lambda samples: np.tensordot(learned.track(speaker(samples), -(-len(samples) // speech.HOP)), shapes, 1)[::2]


def _plot(takes: list[Take], methods: dict[str, Method], path: Path) -> None:
    """Curves of some methods over the tracked ones."""
    from evaluation import ats_plots  # matplotlib is needed for pictures alone

    neutral = frame.mean_landmarks()
    rows = [
        (
            take.name,
            curves(take.faces),
            {name: curves(neutral + method(take.samples)) for name, method in methods.items()},
        )
        for take in takes
    ]
    ats_plots.save(rows, grid.VIDEO_RATE, path)


def table(title: str, rows: dict[str, dict[str, float]]) -> str:
    """Markdown."""
    columns = list(next(iter(rows.values())))
    lines = [f"| {title} | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        lines.append(f"| {name} | " + " | ".join(_number(column, row[column]) for column in columns) + " |")
    return "\n".join(lines)


def _number(column: str, value: float) -> str:
    if np.isnan(value):
        return "-"
    if isinstance(value, int):
        return str(value)
    return f"{value:+.0f}" if column.endswith("ms") else f"{value:.2f}"


def main() -> None:
    parser = command.parser(__doc__, "grid_s1/, video_grid/, ict_facekit/, speech/")
    parser.add_argument("--plots", type=Path, help="folder for PNG plots of the curves")
    parser.add_argument("--quick", action="store_true", help="leave out the fitted baselines")
    parser.add_argument("--aligned", type=Path, help="file written by python -m export.aligned: judge the oracle too")
    parser.add_argument("--peers", type=Path, help="folder with open viseme detectors, see evaluation/ats_peers.py")
    parser.add_argument("--clips", type=whole_number(1), help="the training talker's unseen clips to judge (all 98)")
    arguments = parser.parse_args()
    shapes = articulation.basis(ict.load(arguments.data), articulation.SPEECH_CONTROLS)
    methods: dict[str, Method] = {
        "ours": ours,
        "mean pose": lambda samples: np.zeros((len(samples) * grid.VIDEO_RATE // audio.SPEECH_RATE, 68, 3)),
        "loudness to jaw": lambda samples: loudness(samples, shapes),
    }
    if not arguments.quick:
        pieces = ats_data.grid_pieces(*grid.load(arguments.data))[::2]
        methods["ridge, log-mel"] = ridge(pieces, log_mel, shapes)
        methods["ridge, encoder"] = ridge(pieces, encoder, shapes)
    groups = {
        "3 unseen talkers": other_talkers(arguments.data),
        "training talker, unseen clips": held_out_clips(arguments.data)[: arguments.clips],
    }
    if arguments.aligned:
        everything = {take.name: take.samples for takes in groups.values() for take in takes}
        speaker = ats_rules.oracle(everything, arguments.aligned)
        methods["phoneme rules (oracle)"] = rules(arguments.data, arguments.aligned, speaker, shapes)
        if arguments.peers:
            peers = ats_peers.detectors(arguments.peers, speaker)
            methods |= {name: by_postures(detect, shapes) for name, detect in peers.items()}
    shown = {name: method for name, method in methods.items() if name in COMPARED}
    for title, takes in groups.items():
        print(table(title, {name: judge(method, takes) for name, method in methods.items()}), "\n", flush=True)
        if len(takes) == len(TALKERS):
            print(table("talker by talker", each(shown, takes)), "\n", flush=True)
        if arguments.plots:
            _plot(takes[:4], shown, arguments.plots / f"ats_{title.replace(' ', '_').replace(',', '')}.png")
    for name, share in stillness(arguments.data).items():
        print(f"lip motion in {name}: {100 * share:.2f} % of that in speech")
    took = speed(audio.load(Path(arguments.data) / "video_grid" / "lbax4n.flac")[0])
    print(f"{took['clock']:.4f} s ({took['processor']:.4f} of the processors) per second of sound, 60 s; "
          f"{took['network']:.0f} ms for 10 s when only the emotion changed")  # fmt: skip


if __name__ == "__main__":
    command.run(main)
