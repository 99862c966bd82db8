"""Synthetic voices say sentences: `python -m export.voices --data ../shared/data [--packages DIR]`.

What each engine needs is told in export/synthesisers.py.

Resumable: one flac for each sentence in WORK/voices, and its phones in WORK/synthetic.jsonl. flite, festival and
espeak-ng tell when they say what; the others are aligned, and so are voices held out, which are for evaluation alone;
piper's always (its voice was tuned from one whose licence forbids commerce).
"""

import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

from export import aligned, ats_data, command, grid, recorded
from export.phones import Phone
from export.sentences import SENTENCES
from export.synthesisers import ENGINES, ESPEAK, Voice
from freetalk_blender.core import atomic
from freetalk_blender.core.voice import audio

#: Where the sentences are that held-out voices say (sentences_LANGUAGE.txt), written for this project: every phone,
#: bilabials and rounding often.
JUDGED = Path(__file__).resolve().parents[1] / "evaluation"
#: How many sentences a training voice says in English: of the real talker's (his lips are known), of open text, and of
#: ours; and Kokoro's, which takes thirty times as long to speak. In other languages it says all of ours.
SAID, SAID_SLOWLY = (20, 15, 30), (6, 8, 18)

_Item = TypeVar("_Item")


#: Held-out voices first: they are what evaluation needs. New ones at the end: an English voice's place is what it says.
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


def is_held_out(name: str) -> bool:
    """True for voices of programs and of people that training never hears."""
    if name.startswith(aligned.STAMPS):
        return recorded.is_held_out(name)
    if not name.startswith(aligned.SYNTHETIC):
        return ats_data.held_out(name)
    return any(voice.held_out for voice in VOICES if voice.title == name)


def for_training(path: Path) -> list[aligned.Aligned]:
    """The credible recordings of a file by voices that training may hear."""
    return [recording for recording in aligned.read(path) if not is_held_out(recording.voice)]


def crowd() -> list[Voice]:
    """Many voices of training that say little each."""
    counts = [(language, _SPEAKERS) for language in _SPEAKING] + [(language, _COUNTERS) for language in _COUNTING]
    found: list[Voice] = []
    for name, count in counts:
        throats = _share(list(_THROATS), len(found), count)
        found += [Voice("espeak-ng", f"{name}+{throat}", False, name.partition("-")[0]) for throat in throats]
    return found


def judged(voice: Voice) -> Iterator[tuple[str, str]]:
    """(name, text) of what a held-out voice says."""
    lines = (JUDGED / f"sentences_{voice.language}.txt").read_text().splitlines()
    yield from ((f"sentence{number:02d}", line) for number, line in enumerate(lines))


def texts(data: Path, voice: Voice) -> Iterator[tuple[str, str]]:
    """(name, text) of what a voice says: held-out voices sentences that no other says; others the real talker's and
    open ones, or those of their language."""
    if voice.held_out:
        yield from judged(voice)
        return
    ours = _ours(voice.language)
    real, open_, own = SAID_SLOWLY if voice.engine == "kokoro" else SAID
    if voice.language != "en":
        yield from ours
        return
    place = [other for other in VOICES if not other.held_out].index(voice)
    clips = [item for item in grid.read_words(data).items() if not ats_data.held_out(item[0])]
    for name, spoken in _share(clips, place * real, real):
        # a lone letter is the letter's name; "a" in capitals too
        yield name, " ".join(word.upper() if len(word) == 1 else word for _, _, word in spoken)
    rows = (data / "speech/dc_tts_voice/transcripts.csv").read_text().splitlines()
    for row in _share(rows, place * open_, open_):
        name, text = row.split("|", 1)
        yield name, text
    yield from _share(ours, place * own, own)


def _ours(language: str) -> list[tuple[str, str]]:
    """(name, text) of our sentences in a language; none where we have none."""
    return [(f"{language}{number:02d}", line) for number, line in enumerate(SENTENCES.get(language, ()))]


def crowd_texts(voice: Voice, place: int) -> Iterator[tuple[str, str]]:
    """(name, text) of what the voice at this place of the crowd says: some sentences of its language, or numbers."""
    ours = _ours(voice.language)
    if ours:
        yield from _share(ours, place * _IN_THE_CROWD, _IN_THE_CROWD)
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
            aligned.keep(samples, path)
            later = [[p.name, p.start + aligned.AROUND, p.end + aligned.AROUND] for p in phones or []]
            with atomic.output(told) as partial:
                partial.write_text(json.dumps(later))
        known = None if voice.held_out else [Phone(*phone) for phone in json.loads(told.read_text())]
        title = f"{voice.engine}_{voice.name}_{name}"
        yield aligned.Recording(title, voice.title, path, text, ESPEAK.get(voice.language, voice.language), known)


def main() -> None:
    parser = command.parser(__doc__, "grid_s1/ and speech/")
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
    command.run(main)
