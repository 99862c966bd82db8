"""ATS on open speech, against the phones: `python -m evaluation.ats_phones --aligned FILE ...`.

The files come from `python -m export.aligned` (people), `python -m export.recorded` (people in other languages),
`python -m export.voices` (synthetic voices) and `python -m evaluation.prompts` (real voices in seven languages, and
music to lie under them). Only voices that training never heard count.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from evaluation.ats import TOUCH, table
from export import aligned, command, voices
from export.phones import SILENCE, Phone
from export.postures import BILABIAL, LABIODENTAL
from freetalk_blender.core.argument_types import whole_number
from freetalk_blender.core.errors import FreeTalkError
from freetalk_blender.core.frame import EYE_DISTANCE_MM
from freetalk_blender.core.landmarks import aperture
from freetalk_blender.core.series import runs
from freetalk_blender.core.voice import audio, performance
from freetalk_blender.core.voice.emotion import EMOTIONS
from freetalk_blender.core.voice.speech import FEATURE_RATE

#: Vowels by the height of the jaw.
OPEN = ("AA", "AE", "AW", "AY")
MIDDLE = ("AH", "EH", "EY", "OW", "AO", "ER")
CLOSE = ("IY", "IH", "UW", "UH")
SPREAD = ("IY", "IH", "EH", "AE", "EY", "AY")
#: Consonants that leave the lips apart, unless a neighbour closes or rounds them.
APART = (
    "T", "D", "N", "S", "Z", "K", "G", "NG", "L", "R", "HH", "Y", "TH", "DH", "SH", "ZH", "CH", "JH",
)  # fmt: skip
CLOSING = {*BILABIAL, *LABIODENTAL, "W", SILENCE}
#: What people who read are called together.
READERS = "LibriSpeech"
#: By how many dB music is lower than the speech over it.
LEVELS = (20, 10, 5, 0)
#: Alignment and video frames are no finer than this (s); shorter vowels are reduced and say nothing.
_SLACK = 0.03
_SHORTEST = 0.05
#: A stop's closure lasts so long at least (Loefqvist & Gracco 1997). An aligner may hear its burst alone and take the
#: closure for a pause; then the closure is looked for there too.
_CLOSURE = 0.07
#: A contact of so few frames is a brief one; what asks for it lies within so many seconds.
_BRIEF, _NEAR = 2, 0.08


def within(curve: np.ndarray, phone: Phone, slack: float = 0.0) -> np.ndarray:
    """The curve's frames (50 Hz) within a phone, at least the one nearest to its middle."""
    first = int(np.ceil((phone.start - slack) * FEATURE_RATE))
    last = int(np.floor((phone.end + slack) * FEATURE_RATE)) + 1
    middle = round((phone.start + phone.end) / 2 * FEATURE_RATE)
    frames = curve[max(0, first) : last]
    return frames if len(frames) else curve[np.clip([middle], 0, len(curve) - 1)]


@dataclass(frozen=True)
class Spoken:
    """One recording: who speaks, the phones, and the gap and width of our lips at 50 Hz (canonical units)."""

    voice: str
    phones: list[Phone]
    gap: np.ndarray
    width: np.ndarray

    def tokens(self, *names: str, shortest: float = 0.0) -> list[Phone]:
        """The phones of these names that last long enough and lie within the curves."""
        inside = [phone for phone in self.phones if phone.end * FEATURE_RATE < len(self.gap)]
        return [phone for phone in inside if phone.name in names and phone.end - phone.start >= shortest]

    def left_apart(self) -> list[Phone]:
        """Consonants for which the lips need not close, and that no pause or sound beside them closes or narrows."""
        names = [SILENCE, *[phone.name for phone in self.phones], SILENCE]
        beside = zip(names, self.phones, names[2:], strict=False)
        alone = [phone for before, phone, after in beside if not {before, after} & CLOSING]
        return replace(self, phones=alone).tokens(*APART, shortest=_SHORTEST)

    def burst_alone(self, phone: Phone) -> Phone:
        """A stop after a pause with as much of the pause as its closure is short of; other phones as they are."""
        before = self.phones[self.phones.index(phone) - 1]
        if phone.name not in ("P", "B") or before.name != SILENCE or before.end > phone.start + 1e-6:
            return phone
        missing = max(0.0, _CLOSURE - (phone.end - phone.start))
        return replace(phone, start=max(before.start, phone.start - missing))

    def needless(self) -> int:
        """How many times the lips touch for 40 ms or less with no sound or pause beside that closes them."""
        asked = np.array([(p.start - _NEAR, p.end + _NEAR) for p in self.phones if p.name in CLOSING]).reshape(-1, 2)
        touching = runs(self.gap < TOUCH)
        brief = touching[touching[:, 1] - touching[:, 0] <= _BRIEF] / FEATURE_RATE
        near = (asked[:, 0] < brief[:, 1:]) & (asked[:, 1] > brief[:, :1])
        return int((~near.any(1)).sum())


def lips(samples: np.ndarray, emotion: dict[str, float] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Gap and width (T,) of our lips in 16 kHz sound, at 50 Hz, canonical units beyond rest."""
    moved = performance.perform(samples, audio.SPEECH_RATE, emotion, FEATURE_RATE, device="cpu").displacement
    return aperture(moved), moved[:, 54, 0] - moved[:, 48, 0]


def animate(recording: aligned.Aligned, emotion: dict[str, float] | None = None) -> Spoken:
    """Our lips on one recording."""
    return Spoken(recording.voice, recording.phones, *lips(audio.load(recording.path)[0], emotion))


def animate_over(recordings: list[aligned.Aligned], music: list[np.ndarray], decibel: float) -> list[Spoken]:
    """Our lips on recordings over music (16 kHz samples) that lies so many dB lower; one piece after the other."""
    takes = []
    for place, recording in enumerate(recordings):
        mixed = over(audio.load(recording.path)[0], music[place % len(music)], decibel)
        takes.append(Spoken(recording.voice, recording.phones, *lips(mixed)))
    return takes


def over(samples: np.ndarray, other: np.ndarray, decibel: float) -> np.ndarray:
    """The samples over another sound, from its beginning and repeated, that lies so many dB lower."""
    under = np.resize(other, len(samples))
    return samples + under * (samples.std() / (under.std() + 1e-9)) * 10 ** (-decibel / 20)


def judge(takes: list[Spoken]) -> dict[str, float]:
    """Checks over all phones of the takes; see the names. Rounded is how much narrower than the same voice's spread
    vowels; labiodental less than half as far apart as in its open and middle vowels."""
    closures = [within(s.gap, p, _SLACK).min() < TOUCH for s in takes for p in s.tokens(*BILABIAL)]
    with_pauses = [within(s.gap, s.burst_alone(p), _SLACK).min() < TOUCH for s in takes for p in s.tokens(*BILABIAL)]
    wide = _by_voice(takes, lambda s: [within(s.width, p).mean() for p in s.tokens(*SPREAD, shortest=_SHORTEST)])
    apart = _by_voice(takes, lambda s: [within(s.gap, p).mean() for p in s.tokens(*OPEN, *MIDDLE, shortest=_SHORTEST)])
    round_ = [wide[s.voice] - within(s.width, p).mean() for s in takes for p in s.tokens("UW", "W", "OW")]
    minutes = sum(len(s.gap) for s in takes) / FEATURE_RATE / 60
    bitten = [within(s.gap, p, _SLACK).min() < 0.5 * apart[s.voice] for s in takes for p in s.tokens(*LABIODENTAL)]
    vowels = [(s, p) for s in takes for p in s.tokens(*OPEN, *MIDDLE, *CLOSE, shortest=_SHORTEST)]
    others = [(s, p) for s in takes for p in s.left_apart()]
    wide_open = [(s, p) for s in takes for p in s.tokens(*OPEN, shortest=2 * _SHORTEST)]
    heights = {
        name: mean([within(s.gap, p).mean() for s in takes for p in s.tokens(*kind, shortest=_SHORTEST)])
        for name, kind in {"open": OPEN, "middle": MIDDLE, "close": CLOSE}.items()
    }
    shut = mean([within(s.gap, p, _SLACK).min() for s in takes for p in s.tokens(*BILABIAL)])
    descent = [heights["open"], heights["close"], shut]
    return {
        "bilabials": len(closures),
        "closure recall": mean(closures),
        **dict(zip(("95 % from", "to"), surely(sum(closures), len(closures)), strict=True)),
        "pauses before stops counted": mean(with_pauses),
        "closed vowels": mean([np.median(within(s.gap, p)) < TOUCH for s, p in vowels]),
        "closed consonants": mean([within(s.gap, p).min() < TOUCH for s, p in others]),
        "closed open vowels": mean([np.median(within(s.gap, p)) < TOUCH for s, p in wide_open]),
        "needless contacts a minute": sum(s.needless() for s in takes) / minutes,
        "rounded (mm)": EYE_DISTANCE_MM * mean(round_),
        "labiodental": mean(bitten),
        "gap open (mm)": EYE_DISTANCE_MM * heights["open"],
        "gap middle (mm)": EYE_DISTANCE_MM * heights["middle"],
        "gap close (mm)": EYE_DISTANCE_MM * heights["close"],
        "gap bilabial (mm)": EYE_DISTANCE_MM * shut,
        "open > close > bilabial": np.nan if np.isnan(descent).any() else int(all(np.diff(descent) < 0)),
    }


def surely(found: int, count: int) -> tuple[float, float]:
    """Between what shares the true one lies by 95 %, where `found` of `count` were found (Wilson 1927, "Probable
    inference, the law of succession, and statistical inference")."""
    if count == 0:
        return np.nan, np.nan
    z = 1.96
    share, room = found / count, z**2 / count
    half = np.sqrt(share * (1.0 - share) * room + room**2 / 4.0)
    return float((share + room / 2.0 - half) / (1.0 + room)), float((share + room / 2.0 + half) / (1.0 + room))


def mean(values: list[float]) -> float:
    """Their mean; not a number where there are none."""
    return float(np.mean(values)) if len(values) else np.nan


def _by_voice(takes: list[Spoken], values: Callable[[Spoken], list[float]]) -> dict[str, float]:
    """The mean of some values over everything that each voice says."""
    voices_ = {take.voice for take in takes}
    return {voice: mean([x for s in takes if s.voice == voice for x in values(s)]) for voice in voices_}


def never_heard(voice: str) -> bool:
    """True for voices that training did not hear: held-out people and programs, and all prompts."""
    return voice.startswith("prompts") or voices.is_held_out(voice)


def groups(recordings: list[aligned.Aligned], limit: int) -> dict[str, list[aligned.Aligned]]:
    """People of LibriSpeech as one group; every program, language of stamps and language of prompts as its own.

    FreeTalkError where nobody is left.
    """
    result: dict[str, list[aligned.Aligned]] = {}
    for recording in filter(lambda r: never_heard(r.voice), recordings):
        named = recording.voice.startswith((aligned.SYNTHETIC, aligned.STAMPS, "prompts"))
        title = recording.voice if named else READERS
        if len(result.setdefault(title, [])) < limit:
            result[title].append(recording)
    if not result:
        raise FreeTalkError("Nobody whom training never heard was aligned; let export.aligned run to its end.")
    return result


def readers(found: dict[str, list[aligned.Aligned]]) -> list[aligned.Aligned]:
    """Those of the groups who read; FreeTalkError where there are none."""
    if READERS not in found:
        raise FreeTalkError(f"Nobody of {READERS} whom training never heard is in these files; give export.aligned's.")
    return found[READERS]


def main() -> None:
    parser = command.parser(__doc__)
    parser.add_argument("--aligned", type=Path, nargs="+", required=True, help="files of aligned recordings")
    parser.add_argument("--limit", type=whole_number(1), default=40, help="recordings to judge in each group")
    parser.add_argument("--emotions", action="store_true", help="also under every emotion at intensity 1")
    parser.add_argument("--music", type=Path, help="folder of sound files: also people's speech over this music")
    arguments = parser.parse_args()
    found = groups([r for file in arguments.aligned for r in aligned.read(file)], arguments.limit)
    for title, recordings in found.items():
        print(f"{title}: {len(recordings)} recordings, {len({r.voice for r in recordings})} voices never heard")
    rows = {title: judge([animate(recording) for recording in found[title]]) for title in found}
    print(table("neutral", rows), flush=True)
    if arguments.emotions:
        people = readers(found)
        felt = {name: judge([animate(recording, {name: 1.0}) for recording in people]) for name in EMOTIONS}
        print(table(READERS, felt), flush=True)
    if arguments.music:
        music = [audio.load(path)[0] for path in sorted(arguments.music.iterdir())]
        levels = {f"{x} dB": judge(animate_over(readers(found), music, x)) for x in LEVELS}
        print(table(f"{READERS} over music", levels))
        apart = np.concatenate([lips(piece)[0] for piece in music]) > TOUCH
        share = 100 * apart.mean()
        print(f"music alone: lips more than {EYE_DISTANCE_MM * TOUCH:.1f} mm apart in {share:.2f} % of the frames")


if __name__ == "__main__":
    command.run(main)
