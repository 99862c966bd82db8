"""Aligned speech: `python -m export.aligned --data ../shared/data --wheel FILE` writes the phones of every recording.

LibriSpeech (CC-BY 4.0, 251 speakers; its words are recognised, then aligned), dc_tts_voice (Apache-2.0, transcripts)
and the real talker's GRID clips (CC-BY 4.0, words).
Resumable: one JSON line for each recording in the work folder. A recording whose alignment is not credible is kept with
the reason and left out of training.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from export import grid, phones, transcribe
from freetalk_blender.core import audio

#: Credible speech: phones in a second of speech, and no phone but a silence longer than this (s).
PHONE_RATE = (6.0, 22.0)
LONGEST_PHONE = 0.45
GRID_VOICE = "grid_s1"


@dataclass(frozen=True)
class Recording:
    """voice: who speaks (held out as a whole); text: None where it must be recognised."""

    name: str
    voice: str
    path: Path
    text: str | None


@dataclass(frozen=True)
class Aligned:
    """A recording and its phones."""

    name: str
    voice: str
    path: Path
    phones: list[phones.Phone]


def recordings(data: Path) -> Iterator[Recording]:
    """Every recording of the three collections."""
    speech = Path(data) / "speech"
    for line in (speech / "dc_tts_voice" / "transcripts.csv").read_text().splitlines():
        name, text = line.split("|", 1)
        path = speech / "dc_tts_voice" / f"{name}.flac"
        if path.is_file():
            yield Recording(name, "dc_tts_voice", path, text)
    for path in sorted((speech / "librispeech").glob("*.flac")):
        yield Recording(path.stem, path.stem.split("-")[0], path, None)
    for name, spoken in grid.read_words(data).items():
        text = " ".join(word for _, _, word in spoken if word not in ("sil", "sp"))
        yield Recording(name, GRID_VOICE, Path(data) / "grid_s1" / "audio" / f"{name}.flac", text)


def doubt(found: list[phones.Phone] | None, text: str) -> str:
    """Why an alignment is not to be believed; empty where it is."""
    if found is None:
        return "no path through the grammar"
    if any(character.isdigit() for character in text):
        return "digits in the text"
    spoken = [phone for phone in found if phone.name != phones.SILENCE]
    if not spoken:
        return "no phones"
    longest = max(phone.end - phone.start for phone in spoken)
    if longest > LONGEST_PHONE:
        return f"a phone of {longest:.2f} s"
    rate = len(spoken) / sum(phone.end - phone.start for phone in spoken)
    return "" if PHONE_RATE[0] <= rate <= PHONE_RATE[1] else f"{rate:.1f} phones a second"


def read(path: Path) -> list[Aligned]:
    """The credible recordings of the file that this script writes."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [
        Aligned(row["name"], row["voice"], Path(row["path"]), [phones.Phone(*phone) for phone in row["phones"]])
        for row in rows
        if not row["doubt"]
    ]


def write(data: Path, wheel: Path, output: Path) -> None:
    """Align what the file does not hold yet."""
    output.parent.mkdir(parents=True, exist_ok=True)
    done = {json.loads(line)["name"] for line in output.read_text().splitlines()} if output.is_file() else set()
    transcriber, aligner = transcribe.Transcriber(wheel), phones.Aligner(output.parent)
    with open(output, "a") as stream:
        for recording in recordings(data):
            if recording.name in done:
                continue
            samples, _ = audio.load(recording.path)
            text = recording.text or transcriber(samples)
            found = aligner.align(samples, text)
            row = {
                "name": recording.name, "voice": recording.voice, "path": str(recording.path), "text": text,
                "doubt": doubt(found, text), "seconds": len(samples) / audio.SPEECH_RATE,
                "phones": [[p.name, round(p.start, 3), round(p.end, 3)] for p in found or []],
            }  # fmt: skip
            stream.write(json.dumps(row) + "\n")
            stream.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description="Align the phones of the speech collections.")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds speech/")
    parser.add_argument(
        "--wheel", type=Path, required=True, help="the speech encoder's wheel (it holds all of Whisper-tiny)"
    )
    parser.add_argument("--work", type=Path, default=Path("build/ats"))
    arguments = parser.parse_args()
    output = arguments.work / "aligned.jsonl"
    write(arguments.data, arguments.wheel, output)
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    good = [row for row in rows if not row["doubt"]]
    reasons = sorted({row["doubt"].split(" of ")[0] for row in rows} - {""})
    print(f"{len(good)} of {len(rows)} recordings, {sum(row['seconds'] for row in good) / 60:.1f} minutes, "
          f"{len({row['voice'] for row in good})} voices; left out: {reasons}")  # fmt: skip


if __name__ == "__main__":
    main()
