"""People who say what they see, in ten languages: `python -m export.recorded --packages DIR`.

Each of Tux Paint's stamps is described aloud, in a word to a few sentences, in up to ten languages, with the texts
beside it. They come in a package of Debian (GPL-2.0-or-later), unpacked into DIR:

    apt-get download tuxpaint-stamps-default && dpkg -x tuxpaint-stamps-default_*.deb DIR

Some texts were changed after they were read, so a recording counts where PocketSphinx finds its own text likelier than
others of its length. Resumable: one flac for each recording in WORK/recorded, its phones in WORK/recorded.jsonl.
Russian is for evaluation alone.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from export import aligned, command
from export.synthesisers import ESPEAK
from freetalk_blender.core.voice import audio

#: The languages of the recordings.
LANGUAGES = ("ro", "es", "fr", "bg", "ca", "be", "el", "da", "nl", "ru")
#: What training never hears.
_HELD_OUT = ("ru",)
#: How many other texts are less likely than a recording's own.
_OTHERS = 3
_FOLDER = "usr/share/tuxpaint/stamps"


def is_held_out(voice: str) -> bool:
    """True for the voices that training never hears."""
    return voice in {f"{aligned.STAMPS} {language}" for language in _HELD_OUT}


def described(packages: Path, language: str) -> Iterator[tuple[str, Path, str]]:
    """(name, sound, text) of what is said in a language; what is written in digits or signs is left out, for it can be
    read in more than one way."""
    stamps, seen = packages / _FOLDER, set()
    for sound in command.files(stamps, f"**/*_desc_{language}.ogg"):
        content = hashlib.sha256(sound.read_bytes()).digest()
        if content in seen:  # several stamps share a description
            continue
        seen.add(content)
        text = _text(sound.with_name(sound.name.replace(f"_desc_{language}.ogg", ".txt")), language)
        if text and not re.search(r"[\d$€£¢%()\[\]/]", text):
            yield "_".join([language, *sound.relative_to(stamps).with_suffix("").parts]), sound, text


def _text(path: Path, language: str) -> str:
    """A stamp's description in a language; empty where it has none."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    found = [line.partition("=")[2].strip() for line in lines if line.startswith(f"{language}.utf8=")]
    return found[0] if found else ""


def recordings(packages: Path, language: str, work: Path) -> Iterator[aligned.Recording]:
    """What is said in a language, at 16 kHz in the work folder, with the texts that it might say instead."""
    folder = work / "recorded"
    folder.mkdir(parents=True, exist_ok=True)
    found = list(described(packages, language))
    texts = sorted({text for _, _, text in found})
    for name, sound, text in found:
        path = folder / f"{name}.flac"
        if not path.is_file():
            aligned.keep(audio.load(sound)[0], path)
        others = sorted((other for other in texts if other != text), key=lambda other: abs(len(other) - len(text)))
        yield aligned.Recording(
            name,
            f"{aligned.STAMPS} {language}",
            path,
            text,
            ESPEAK.get(language, language),
            others=tuple(others[:_OTHERS]),
        )


def main() -> None:
    parser = command.parser(__doc__)
    parser.add_argument("--packages", type=Path, required=True, help="folder with the unpacked Debian package")
    parser.add_argument("--work", type=Path, default=Path("build/ats"))
    arguments = parser.parse_args()
    output = arguments.work / "recorded.jsonl"
    for language in LANGUAGES:
        aligned.write(recordings(arguments.packages, language, arguments.work), None, output)
        print(f"{aligned.STAMPS} {language}", flush=True)
    aligned.report(output)


if __name__ == "__main__":
    command.run(main)
