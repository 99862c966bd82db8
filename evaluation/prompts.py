"""Real voices in seven languages that nothing was trained on: Asterisk's prompts, and a game's actors, aligned.

`python -m evaluation.prompts --packages DIR --work build/ats` writes WORK/prompts.jsonl, and music to WORK/music. DIR
holds the unpacked Debian packages. Asterisk's prompts are in English, Spanish and French (CC-BY-SA 3.0), Italian and
Russian (CC-BY 3.0), Fish Fillets' dialogues in Czech and Dutch (GPL version 2 alone); Asterisk's music is CC-BY-SA 3.0.
All are for evaluation alone, and nothing of them is packaged:

    for p in en es fr it ru; do apt-get download asterisk-core-sounds-$p asterisk-core-sounds-$p-g722; done
    apt-get download asterisk-moh-opsound-g722 fillets-ng-data fillets-ng-data-cs fillets-ng-data-nl
    for deb in *.deb; do dpkg -x $deb DIR; done

Asterisk's sounds are decoded by ffmpeg (`--ffmpeg`, for example of the PyPI package imageio-ffmpeg).
"""

import gzip
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import soundfile

from export import aligned, command
from freetalk_blender.core import atomic
from freetalk_blender.core.voice import audio

#: Language -> espeak-ng's name of it and the folder of the voice.
VOICES = {
    "en": ("en-us", "en_US_f_Allison"),
    "es": ("es", "es_MX_f_Allison"),
    "fr": ("fr-fr", "fr_CA_f_June"),
    "it": ("it", "it_IT_m_Carlo"),
    "ru": ("ru", "ru_RU_f_IvrvoiceRU"),
}
#: The languages of the game's actors, as espeak-ng too has them, and what a line of its dialogues looks like.
ACTED = ("cs", "nl")
_LINE = re.compile(r'dialogId\("([^"]+)",.*\ndialogStr\("((?:[^"\\]|\\.)*)"\)')
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
        if spoken and is_judged(text):
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
        path = decoded(work, language, name.replace("/", "_"))
        decode(coded, path, ffmpeg)
        yield aligned.Recording(path.stem, f"prompts {language}", path, text, espeak)


def decode(coded: Path, path: Path, ffmpeg: str) -> None:
    """G.722 as a sound file at 16 kHz, unless that is there."""
    if not path.is_file():
        with atomic.output(path) as partial:
            sound = ["-f", "g722", "-i", str(coded), "-ar", str(audio.SPEECH_RATE), str(partial)]
            subprocess.run([ffmpeg, "-loglevel", "error", "-y", *sound], check=True)


def decoded(work: Path, language: str, name: str) -> Path:
    """Where the sound of a prompt is kept."""
    folder = work / "prompts"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{language}_{name}.flac"


def is_judged(text: str) -> bool:
    """Is it long enough and short enough?"""
    return _WORDS[0] <= len(text.split()) <= _WORDS[1]


def acted(packages: Path, language: str, work: Path) -> Iterator[aligned.Recording]:
    """COUNT lines of the game's dialogues, evenly from all that were recorded, at 16 kHz in the work folder."""
    game = packages / "usr/share/games/fillets-ng"
    found = []
    for script in command.files(game, f"script/*/dialogs_{language}.lua"):
        for name, text in _LINE.findall(script.read_text(encoding="utf-8")):
            sound = game / "sound" / script.parent.name / language / f"{name}.ogg"
            if sound.is_file() and is_judged(text):
                found.append((sound, text))
    for sound, text in found[:: max(1, len(found) // COUNT)][:COUNT]:
        path = decoded(work, language, f"{sound.parts[-3]}_{sound.stem}")
        if not path.is_file():
            with atomic.output(path) as partial:
                soundfile.write(partial, audio.load(sound)[0], audio.SPEECH_RATE)
        yield aligned.Recording(path.stem, f"prompts {language}", path, text, language)


def music(packages: Path, work: Path, ffmpeg: str) -> None:
    """The music of Asterisk's waiting lines, decoded into WORK/music."""
    folder = work / "music"
    folder.mkdir(parents=True, exist_ok=True)
    for coded in command.files(packages / "usr/share/asterisk/moh", "*.g722"):
        decode(coded, folder / f"{coded.stem}.flac", ffmpeg)


def main() -> None:
    parser = command.parser(__doc__)
    parser.add_argument("--packages", type=Path, required=True, help="folder with the unpacked Debian packages")
    parser.add_argument("--ffmpeg", default="ffmpeg")
    parser.add_argument("--work", type=Path, default=Path("build/ats"))
    arguments = parser.parse_args()
    output = arguments.work / "prompts.jsonl"
    for language in VOICES:
        aligned.write(recordings(arguments.packages, language, arguments.work, arguments.ffmpeg), None, output)
    for language in ACTED:
        aligned.write(acted(arguments.packages, language, arguments.work), None, output)
    music(arguments.packages, arguments.work, arguments.ffmpeg)
    aligned.report(output)


if __name__ == "__main__":
    command.run(main)
