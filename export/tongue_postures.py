"""Where a phone puts the tongue, over time: what the tongue's network is taught.

No recording of tongues under a free licence was at hand, so these are rules: places of articulation and heights of
vowels after Ladefoged & Johnson 2014, "A Course in Phonetics" (7th ed., ch. 1, 9); the numbers are ours. A phone that
asks nothing of a part of the tongue leaves it on its way from one neighbour's posture to the other's.
"""

from collections.abc import Iterator

import numpy as np

from export.phones import SILENCE, Phone
from freetalk_blender.core.voice.speech import FEATURE_RATE
from freetalk_blender.core.voice.tongue import CHANNELS

#: Phone -> its postures, one after another: tip at the ridge behind the upper teeth, tip between the teeth, body near
#: the palate; 0 low, 1 wholly. Lips' sounds and h ask nothing.
_VOWELS = {
    "IY": [1.0], "IH": [0.7], "EY": [0.6, 0.85], "EH": [0.4], "AE": [0.15], "AH": [0.3], "AA": [0.0], "AO": [0.1],
    "OW": [0.3, 0.5], "UH": [0.5], "UW": [0.7], "AY": [0.0, 0.7], "AW": [0.0, 0.5], "OY": [0.1, 0.7], "W": [0.6],
    "Y": [1.0], "K": [1.0], "G": [1.0], "NG": [1.0],
}  # fmt: skip
POSTURES = {
    **{name: [(0.0, 0.0, height) for height in heights] for name, heights in _VOWELS.items()},
    **{name: [(1.0, 0.0, 0.4)] for name in ("T", "D", "N", "L")},
    **{name: [(0.7, 0.0, 0.5)] for name in ("S", "Z")},
    **{name: [(0.55, 0.0, 0.8)] for name in ("SH", "ZH")},
    **{name: [(1.0, 0.0, 0.7), (0.55, 0.0, 0.8)] for name in ("CH", "JH")},
    **{name: [(0.0, 1.0, 0.3)] for name in ("TH", "DH")},
    **{name: [(0.3, 0.0, 0.5)] for name in ("R", "ER")},
}
#: A posture is held in the middle of its phone, from and to these shares of it, and so long at least (s).
_FROM, _TO, _SHORTEST = 0.2, 0.75, 0.04
#: The tongue rests in pauses that leave it the time: so long after the last sound, so long before the next one (s).
_AFTER, _BEFORE = 0.1, 0.15


def targets(phones: list[Phone], frames: int) -> np.ndarray:
    """(T,3) float32 at 50 Hz: CHANNELS, 0 to 1, raised cosines between the postures that are held."""
    held = sorted(_held(phones))
    if not held:
        return np.zeros((frames, len(CHANNELS)), np.float32)
    moments = np.array([moment for moment, _ in held])
    values = np.array([posture for _, posture in held])
    values = np.concatenate([np.zeros((1, len(CHANNELS))), values, np.zeros((1, len(CHANNELS)))])
    moments = np.concatenate([[moments[0] - _BEFORE], moments, [moments[-1] + _AFTER]])
    times = np.arange(frames) / FEATURE_RATE
    after = np.clip(np.searchsorted(moments, times), 1, len(moments) - 1)
    share = np.clip((times - moments[after - 1]) / np.maximum(moments[after] - moments[after - 1], 1e-6), 0.0, 1.0)
    share = (0.5 - 0.5 * np.cos(np.pi * share))[:, None]
    return (values[after - 1] * (1.0 - share) + values[after] * share).astype(np.float32)


def _held(phones: list[Phone]) -> Iterator[tuple[float, tuple[float, ...]]]:
    """(second, posture) where postures begin and end to be held."""
    for phone in phones:
        length = phone.end - phone.start
        if phone.name == SILENCE:
            if length > _AFTER + _BEFORE:
                yield phone.start + _AFTER, (0.0,) * len(CHANNELS)
                yield phone.end - _BEFORE, (0.0,) * len(CHANNELS)
            continue
        postures = POSTURES.get(phone.name, [])
        for number, posture in enumerate(postures):
            start = phone.start + length * number / len(postures)
            first, last = (start + share * length / len(postures) for share in (_FROM, _TO))
            short = max(0.0, _SHORTEST / len(postures) - (last - first)) / 2
            yield first - short, posture
            yield last + short, posture
