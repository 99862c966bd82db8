"""Aligned speech: `python -m export.aligned --data ../shared/data --wheel FILE` writes the phones of every recording.

LibriSpeech (CC-BY 4.0, 251 speakers; its words are recognised, then aligned), dc_tts_voice (Apache-2.0, transcripts)
and the real talker's GRID clips (CC-BY 4.0, words). Synthetic voices are aligned by `python -m export.voices`.
Resumable: one JSON line for each recording in the work folder. A recording whose alignment is not credible is kept with
the reason and left out of training; where a single phone is not, its surroundings are (`trusted`).
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from export import command, grid, phones, transcribe
from freetalk_blender.core import atomic, json_lines
from freetalk_blender.core.voice import audio
from freetalk_blender.core.voice.speech import FEATURE_RATE

#: Credible speech: phones in a second of speech; a phone other than a silence that is longer than this is not believed,
#: nor what lies around it (s).
PHONE_RATE = (6.0, 22.0)
LONGEST_PHONE = 0.45
_DOUBTED = 0.3
#: At most this share of a recording's phones is too long.
_TOO_LONG = 0.05
GRID_VOICE = "grid_s1"
#: After so many recordings it is printed how many there are.
TOLD = 100
#: Silence around what is kept (s).
AROUND = 0.25
#: Voices that a program speaks are named "synthetic ENGINE NAME".
SYNTHETIC = "synthetic"
#: Who describes Tux Paint's stamps in a language is named "stamps LANGUAGE" (export/recorded.py).
STAMPS = "stamps"


@dataclass(frozen=True)
class Recording:
    """voice: who speaks (held out as a whole); text: None where it must be recognised; told: the phones where a program
    spoke and told them; others: texts that it may say instead, for its own is not sure."""

    name: str
    voice: str
    path: Path
    text: str | None
    language: str = "en-us"
    told: list[phones.Phone] | None = None
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Aligned:
    """A recording and its phones."""

    name: str
    voice: str
    path: Path
    phones: list[phones.Phone]


def recordings(data: Path) -> Iterator[Recording]:
    """Every recording of the three collections of people."""
    speech = Path(data) / "speech"
    for line in (speech / "dc_tts_voice" / "transcripts.csv").read_text().splitlines():
        name, text = line.split("|", 1)
        path = speech / "dc_tts_voice" / f"{name}.flac"
        if path.is_file():
            yield Recording(name, "dc_tts_voice", path, text)
    for name, spoken in grid.read_words(data).items():
        text = " ".join(word for _, _, word in spoken)
        yield Recording(name, GRID_VOICE, Path(data) / "grid_s1" / "audio" / f"{name}.flac", text)
    for path in command.files(speech / "librispeech", "*.flac"):
        yield Recording(path.stem, path.stem.split("-")[0], path, None)


def doubt(found: list[phones.Phone] | None) -> str:
    """Why an alignment is not to be believed; empty where it is."""
    if found is None:
        return "no path through the grammar"
    spoken = [phone for phone in found if phone.name != phones.SILENCE]
    if not spoken:
        return "no phones"
    if sum(map(_too_long, spoken)) > _TOO_LONG * len(spoken):
        return "long phones"
    rate = len(spoken) / sum(phone.end - phone.start for phone in spoken)
    return "" if PHONE_RATE[0] <= rate <= PHONE_RATE[1] else f"{rate:.1f} phones a second"


def _too_long(phone: phones.Phone) -> bool:
    return phone.name != phones.SILENCE and phone.end - phone.start > LONGEST_PHONE


def trusted(found: list[phones.Phone], frames: int) -> np.ndarray:
    """(T,) at 50 Hz: 1 where the alignment is credible, 0 in and around a phone that is too long."""
    times = np.arange(frames) / FEATURE_RATE
    result = np.ones(frames, np.float32)
    for phone in filter(_too_long, found):
        result[(times > phone.start - _DOUBTED) & (times < phone.end + _DOUBTED)] = 0.0
    return result


def keep(samples: np.ndarray, path: Path) -> None:
    """Write 16 kHz samples at half of full scale, with silence around them."""
    padded = np.pad(0.5 * samples / np.abs(samples).max(), round(AROUND * audio.SPEECH_RATE))
    with atomic.output(path) as partial:
        soundfile.write(partial, padded, audio.SPEECH_RATE)


def read(path: Path) -> list[Aligned]:
    """The credible recordings of the file that this script writes."""
    rows = json_lines.read(path)
    return [
        Aligned(row["name"], row["voice"], Path(row["path"]), [phones.Phone(*phone) for phone in row["phones"]])
        for row in rows
        if not row["doubt"]
    ]


def write(found: Iterable[Recording], wheel: Path | None, output: Path) -> None:
    """Align what the file does not hold yet, unless its phones are told; the wheel recognises words where there is no
    text. Prints how far it has come."""
    done = {row["name"] for row in json_lines.read(output)} if output.is_file() else set()
    transcriber = transcribe.Transcriber(wheel) if wheel else None
    with json_lines.adding(output) as add:
        aligner = phones.Aligner(output.parent)
        for recording in found:
            if recording.name in done:
                continue
            samples, _ = audio.load(recording.path)
            text = recording.text or (transcriber(samples) if transcriber else "")
            spoken, reason = _spoken(aligner, samples, text, recording)
            row = {
                "name": recording.name, "voice": recording.voice, "path": str(recording.path), "text": text,
                "doubt": reason, "seconds": len(samples) / audio.SPEECH_RATE,
                "phones": [[p.name, round(p.start, 3), round(p.end, 3)] for p in spoken or []],
            }  # fmt: skip
            add(row)
            done.add(recording.name)
            if len(done) % TOLD == 0:
                print(f"{output.name}: {len(done)} recordings", flush=True)


def _spoken(
    aligner: phones.Aligner, samples: np.ndarray, text: str, recording: Recording
) -> tuple[list[phones.Phone] | None, str]:
    """A recording's phones, and why they are not to be believed."""
    if recording.told:
        return recording.told, doubt(recording.told)
    own = aligner.read(samples, text, recording.language)
    others = (aligner.read(samples, other, recording.language) for other in recording.others)
    reason = doubt(own.phones)
    if not reason and any(other.likelihood >= own.likelihood for other in others):
        reason = "another text is likelier"
    return own.phones, reason


def report(output: Path) -> None:
    """Print hours, speakers, and what was left out and why."""
    rows = json_lines.read(output)
    for title, kind in (
        ("GRID talker 1", lambda voice: voice == GRID_VOICE),
        ("open speech", lambda voice: voice != GRID_VOICE and not voice.startswith((SYNTHETIC, STAMPS))),
        ("synthetic voices", lambda voice: voice.startswith(SYNTHETIC)),
        ("stamps", lambda voice: voice.startswith(STAMPS)),
    ):
        mine = [row for row in rows if kind(row["voice"])]
        good = [row for row in mine if not row["doubt"]]
        reasons = Counter(re.sub(r"[\d.]+ ", "", row["doubt"]) for row in mine if row["doubt"])
        hours = sum(row["seconds"] for row in good) / 3600
        print(f"{title}: {len(good)} of {len(mine)} recordings, {hours:.2f} hours, "
              f"{len({row['voice'] for row in good})} voices; left out: {dict(reasons)}")  # fmt: skip


def main() -> None:
    parser = command.parser(__doc__, "grid_s1/ and speech/")
    parser.add_argument(
        "--wheel", type=Path, required=True, help="the speech encoder's wheel (it holds all of Whisper-tiny)"
    )
    parser.add_argument("--work", type=Path, default=Path("build/ats"))
    arguments = parser.parse_args()
    output = arguments.work / "aligned.jsonl"
    write(recordings(arguments.data), arguments.wheel, output)
    report(output)


if __name__ == "__main__":
    command.run(main)
