"""Real voices in English, Spanish and French that nothing was trained on: Asterisk's prompts, aligned.

`python -m evaluation.prompts --packages DIR --work build/ats` writes WORK/prompts.jsonl. DIR holds the unpacked Debian
packages (CC-BY-SA 3.0: for evaluation alone, nothing of them is packaged):

    for p in en es fr; do apt-get download asterisk-core-sounds-$p asterisk-core-sounds-$p-g722; done
    for deb in *.deb; do dpkg -x $deb DIR; done

Sounds are decoded by ffmpeg (`--ffmpeg`, for example of the PyPI package imageio-ffmpeg).
"""

import argparse
import gzip
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from export import aligned
from freetalk_blender.core import audio

#: Language -> espeak-ng's name of it and the folder of the voice.
VOICES = {"en": ("en-us", "en_US_f_Allison"), "es": ("es", "es_MX_f_Allison"), "fr": ("fr-fr", "fr_CA_f_June")}
#: Prompts shorter or longer than this say little, or are heard at once by hardly anybody (words).
_WORDS = (5, 30)
#: How many of each language are judged.
COUNT = 60


def transcripts(packages: Path, language: str) -> Iterator[tuple[str, str]]:
    """(name, text) of sentences; what is in brackets is no speech."""
    path = packages / f"usr/share/doc/asterisk-core-sounds-{language}/core-sounds-{language}.txt.gz"
    for line in gzip.decompress(path.read_bytes()).decode("utf-8", errors="replace").splitlines():
        name, _, text = line.partition(":")
        spoken = not line.startswith(";") and not re.search(r"[\[\]()<>]", text)
        if spoken and _WORDS[0] <= len(text.split()) <= _WORDS[1]:
            yield name.strip(), text.strip()


def recordings(packages: Path, language: str, work: Path, ffmpeg: str) -> Iterator[aligned.Recording]:
    """The first COUNT prompts of a language whose sound is there, decoded into the work folder."""
    espeak, voice = VOICES[language]
    count = 0
    for name, text in transcripts(packages, language):
        coded = packages / "usr/share/asterisk/sounds" / voice / f"{name}.g722"
        if not coded.is_file() or count == COUNT:
            continue
        count += 1
        path = work / "prompts" / f"{language}_{name.replace('/', '_')}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file():
            sound = ["-f", "g722", "-i", str(coded), "-ar", str(audio.SPEECH_RATE), str(path)]
            subprocess.run([ffmpeg, "-loglevel", "error", "-y", *sound], check=True)
        yield aligned.Recording(path.stem, f"prompts {language}", path, text, espeak)


def main() -> None:
    parser = argparse.ArgumentParser(description="Align Asterisk's prompts in three languages.")
    parser.add_argument("--packages", type=Path, required=True, help="folder with the unpacked Debian packages")
    parser.add_argument("--ffmpeg", default="ffmpeg")
    parser.add_argument("--work", type=Path, default=Path("build/ats"))
    arguments = parser.parse_args()
    output = arguments.work / "prompts.jsonl"
    for language in VOICES:
        aligned.write(recordings(arguments.packages, language, arguments.work, arguments.ffmpeg), None, output)
    aligned.report(output)


if __name__ == "__main__":
    main()
