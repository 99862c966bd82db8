"""What a phone asks of the lips, and how strongly, over time: the rules that keep open speech right.

The real talker's lips teach the network how lips move; his 51 words leave gaps. On other speech the network's own
first version is the teacher, corrected here: around each phone that asks something definite of the lips, the controls
are drawn to the posture that the real talker's lips took in that phone, with a dominance that rises before the phone
and falls after it (Cohen & Massaro 1993, "Modeling coarticulation in synthetic visual speech", with finite flanks).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from export import articulation
from export.phones import SILENCE, Phone
from freetalk_blender.core.voice.ats import EVENTS
from freetalk_blender.core.voice.speech import FEATURE_RATE

BILABIAL = ("P", "B", "M")
LABIODENTAL = ("F", "V")
#: Vowels and glides with rounded lips, and the post-alveolars, which protrude them.
ROUNDED = ("UW", "W", "OW", "UH", "AO", "OY")
PROTRUDED = ("SH", "ZH", "CH", "JH")
SPREAD = ("IY", "IH", "EH", "AE", "EY", "AA", "AH", "AY")


@dataclass(frozen=True)
class Demand:
    """strength: dominance in the phone; before, after: its flanks (s). The flanks of lip closures last 60 to 100 ms
    (Loefqvist & Gracco 1997, "Lip and jaw kinematics in bilabial stop consonant production"); rounding begins earlier
    (Perkell & Matthies 1992, "Temporal measures of anticipatory labial coarticulation for the vowel /u/")."""

    strength: float
    before: float
    after: float


DEMANDS = {
    BILABIAL: Demand(1.0, 0.06, 0.06),
    LABIODENTAL: Demand(0.9, 0.06, 0.06),
    ROUNDED: Demand(0.65, 0.12, 0.06),
    PROTRUDED: Demand(0.5, 0.10, 0.06),
}
#: Vowels by the height of the jaw, and how much wider or less wide they open than the talker of 51 words would have
#: it. His words hold stressed letters ("b", "c", "d" for IY) beside unstressed little words ("at" for AE), so that his
#: close vowels are as open as others' middle ones; in sentences they are about half as open as open ones (Lindblom &
#: Sundberg 1971, "Acoustical consequences of lip, tongue, jaw, and larynx movement").
HEIGHTS = {("AA", "AE", "AW", "AY"): 1.15, ("IY", "IH", "UW", "UH"): 0.5}
_VOWEL_FLANK = Demand(1.0, 0.05, 0.05)
#: The controls that open the mouth.
OPENING = ("jawOpen", "mouthLowerDown", "mouthUpperUp")
#: A stop's closure fills about this share of what the aligner calls the phone; the rest is its burst.
_CLOSURE = 0.75
#: Bilabial closures last 60 to 120 ms (Loefqvist & Gracco 1997), labiodental ones hardly less (s).
_SHORTEST_CONTACT = 0.07
_SPEECH_MARGIN = 0.3


def dominance(phones: list[Phone], names: tuple[str, ...], demand: Demand, frames: int) -> np.ndarray:
    """(T,) how strongly the phones of these names ask, 0 to 1: a plateau with raised-cosine flanks."""
    times = np.arange(frames) / FEATURE_RATE
    result = np.zeros(frames)
    for phone in phones:
        if phone.name in names:
            end = phone.start + (phone.end - phone.start) * (_CLOSURE if phone.name in ("P", "B") else 1.0)
            outside = np.where(times < phone.start, (phone.start - times) / demand.before, (times - end) / demand.after)
            plateau = np.where((times >= phone.start) & (times <= end), 0.0, np.clip(outside, 0.0, 1.0))
            result = np.maximum(result, 0.5 + 0.5 * np.cos(np.pi * plateau))
    return result * demand.strength


def mean_postures(
    controls: Sequence[np.ndarray], gaps: Sequence[np.ndarray], phones: Sequence[list[Phone]]
) -> dict[tuple[str, ...], np.ndarray]:
    """The real talker's mean controls (K,) in the phones of each demand; a clip's controls are (T,K), its gaps (T,).

    Taken at the middles of phones; of bilabials where the lips are closest, and in the closer half of them, for the
    aligner may miss so short an event by a frame.
    """
    found: dict[tuple[str, ...], list[np.ndarray]] = {names: [] for names in DEMANDS}
    closeness: list[float] = []
    for weights, gap, spoken in zip(controls, gaps, phones, strict=True):
        for phone in spoken:
            first, last = round(phone.start * FEATURE_RATE), round(phone.end * FEATURE_RATE)
            if last >= len(weights):
                continue
            closest = first + int(np.argmin(gap[first : last + 1]))
            for names in DEMANDS:
                if phone.name in names:
                    found[names].append(weights[closest if names == BILABIAL else (first + last) // 2])
            if phone.name in BILABIAL:
                closeness.append(float(gap[closest]))
    closer = np.array(closeness) <= np.median(closeness)
    found[BILABIAL] = list(np.array(found[BILABIAL])[closer])
    return {names: np.mean(rows, axis=0) for names, rows in found.items()}


def correct(controls: np.ndarray, phones: list[Phone], postures: dict[tuple[str, ...], np.ndarray]) -> np.ndarray:
    """Controls (T,K) drawn to the postures that the phones demand, the strictest last; still where nobody speaks."""
    result = controls * _heights(phones, len(controls))
    for names in reversed(DEMANDS):
        share = dominance(phones, names, DEMANDS[names], len(controls))[:, None]
        result = result * (1.0 - share) + postures[names] * share
    return result * speaking(phones, len(controls))[:, None]


def _heights(phones: list[Phone], frames: int) -> np.ndarray:
    """(T,K) factors of the opening controls for the height of vowels."""
    factors = np.ones((frames, len(articulation.SPEECH_CONTROLS)))
    opening = [list(articulation.SPEECH_CONTROLS).index(name) for name in OPENING]
    for names, factor in HEIGHTS.items():
        share = dominance(phones, names, _VOWEL_FLANK, frames)[:, None]
        factors[:, opening] *= 1.0 + (factor - 1.0) * share
    return factors


def vowel_height(phones: list[Phone], frames: int) -> np.ndarray:
    """(T,) how strongly the height of a vowel is a rule's, 0 to 1."""
    return np.max([dominance(phones, names, _VOWEL_FLANK, frames) for names in HEIGHTS], axis=0)


def speaking(phones: list[Phone], frames: int) -> np.ndarray:
    """(T,) 1 in speech and a little before and after it, 0 in pauses, smooth over a tenth of a second."""
    spoken = [phone for phone in phones if phone.name != SILENCE]
    times = np.arange(frames) / FEATURE_RATE
    away = np.full(frames, np.inf)
    for phone in spoken:
        away = np.minimum(away, np.maximum(np.maximum(phone.start - times, times - phone.end), 0.0))
    return np.clip((_SPEECH_MARGIN - away) / 0.1 + 1.0, 0.0, 1.0)


def events(phones: list[Phone], frames: int) -> tuple[np.ndarray, np.ndarray]:
    """(labels (T,4), trust (T,4)) of EVENTS; boundaries are trusted less, least on the outer side, and rounding in
    neutral consonants not at all."""
    inside = {
        "speech": speaking(phones, frames),
        "bilabial": _within(phones, BILABIAL, frames),
        "labiodental": _within(phones, LABIODENTAL, frames),
        "rounding": _within(phones, (*ROUNDED, *PROTRUDED), frames),
    }
    labels = np.stack([inside[name] for name in EVENTS], axis=1)
    trust = np.ones_like(labels)
    for column, name in enumerate(EVENTS[1:], start=1):
        edges = np.abs(np.diff(labels[:, column], prepend=labels[0, column], append=labels[-1, column])) > 0.5
        border = edges[:-1] | edges[1:]
        trust[border, column] = np.where(labels[border, column] > 0.5, 0.6, 0.2)
        if name == "rounding":
            trust[:, column] *= np.maximum(labels[:, column], _within(phones, (*SPREAD, SILENCE), frames))
    return labels.astype(np.float32), trust.astype(np.float32)


def _within(phones: list[Phone], names: tuple[str, ...], frames: int) -> np.ndarray:
    """(T,) 1 in the phones of these names (in the closure of a stop), at least one frame each.

    Lips that touch do so for _SHORTEST_CONTACT at least: where the aligner hears less, it has heard the burst alone,
    and the silence before it was the closure.
    """
    result = np.zeros(frames)
    before = [0.0, *[phone.end if phone.name != SILENCE else phone.start for phone in phones[:-1]]]
    for phone, free in zip(phones, before, strict=True):
        if phone.name in names:
            share = _CLOSURE if phone.name in ("P", "B") else 1.0
            start, end = phone.start, phone.start + share * (phone.end - phone.start)
            missing = max(0.0, _SHORTEST_CONTACT - (end - start)) if phone.name in (*BILABIAL, *LABIODENTAL) else 0.0
            # into a silence wholly; into a neighbouring sound half and half, for its border is no surer than ours
            earlier = missing if phone.start - free > missing else 0.5 * missing
            first = max(0, round((start - earlier) * FEATURE_RATE))
            last = round((end + missing - earlier) * FEATURE_RATE)
            result[first : max(last, first + 1)] = 1.0
    return result
