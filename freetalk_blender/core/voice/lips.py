"""How lips meet and part: the same for the network's contacts and for a hand that corrects them."""

from dataclasses import replace

import numpy as np
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from ..frame import EYE_DISTANCE_MM
from ..landmarks import INNER_LIP_PAIRS, LOWER_INNER, UPPER_INNER, gaps
from ..lip_contact.contact import PARTED
from ..ramp import smooth_step
from ..series import shown_too
from .style import Style

#: The outer points beside the inner pairs of the lips.
UPPER_OUTER, LOWER_OUTER = (50, 51, 52), (58, 57, 56)
#: Share of a closing gap that the upper lip travels; the lower lip, with the jaw under it, does most of the work.
#: Of the average face's gap as a hand changes it; retarget.UPPER_LIP_SHARE is of what a face's own differs from it.
UPPER_SHARE = 0.35
#: Articulation that is left where a hand brings the lips together: the jaw comes up, too.
_LEFT = 0.5
#: Lips that a hand keeps apart are so far apart, as a share of their widest gap within so many seconds, and at least
#: (canonical units): of 1,994 narrowest moments of consonants in speech as performed the median share is 0.6, nine of
#: ten are 2.3 mm wide and more.
_APART, _WITHIN, _LEAST = 0.5, 0.2, 0.025
#: Where a recording begins in silence, lips leave their rest within so many seconds, until so long before the first
#: sound, and in no less: talkers breathe in before they speak, and a first frame would show it.
_LEAVES, _BEFORE, _SHORTEST = 0.2, 0.06, 0.04


def parting() -> np.ndarray:
    """(3,68,3) float32 displacement of all landmarks when the gap of one inner pair (right, middle, left) grows by 1.

    The outer lips go with the inner ones (a lip keeps its thickness but for a fifth), their neighbours half as far, and
    the corners stay.
    """
    shapes = np.zeros((3, 68, 3), np.float32)
    for inner, outer, share in (
        (UPPER_INNER, UPPER_OUTER, UPPER_SHARE),
        (LOWER_INNER, LOWER_OUTER, UPPER_SHARE - 1.0),
    ):
        shapes[range(3), inner, 1] = share
        shapes[range(3), outer, 1] = 0.8 * share
    for pair, upper, lower in ((0, 49, 59), (2, 53, 55)):
        shapes[pair, upper, 1] = 0.4 * UPPER_SHARE
        shapes[pair, lower, 1] = 0.4 * (UPPER_SHARE - 1.0)
    return shapes


def shown(motion: np.ndarray, rate: float, frames: int, fps: float) -> np.ndarray:
    """(frames,) seconds of `motion` that frames show: frame i second i / fps, but lips that shut between two frames
    alone, as in a quick "p", are shown by the nearer one, the earlier of two as near.

    motion (T,68,3) of the average face, canonical units; row i is second i / rate.
    """
    gap = EYE_DISTANCE_MM * gaps(motion, INNER_LIP_PAIRS).max(1)
    shut = (gap <= PARTED[0]) | (gap < PARTED[1]) & (gap == minimum_filter1d(gap, 3, mode="nearest"))
    return shown_too(shut, rate, frames, fps)


def begun(lead: float, times: np.ndarray) -> np.ndarray:
    """(T,) share of the articulation at times (T,) of a recording that is silent for the first `lead` seconds."""
    room = min(lead - _BEFORE, _LEAVES)
    return smooth_step(times / room) if room >= _SHORTEST else np.ones(len(times))


def relaxed(style: Style) -> Style:
    """The same style with less articulation where a hand brings the lips together."""
    if not np.any(style.contact):
        return style
    return replace(style, articulation=style.articulation * (1 - (1 - _LEFT) * np.maximum(style.contact, 0)))


def corrected(displacement: np.ndarray, contact: float | np.ndarray, fps: float) -> np.ndarray:
    """Motion (T,68,3) of the average face, canonical units, with the lips brought together where contact, a number or
    (T,), is above 0, wholly at 1, and kept apart where it is below."""
    if not np.any(contact):
        return displacement
    gap = gaps(displacement, INNER_LIP_PAIRS)
    widest = maximum_filter1d(gap, 2 * round(_WITHIN * fps) + 1, axis=0, mode="nearest")
    close, apart = np.maximum(np.multiply.outer([1, -1], contact), 0)[..., None]
    closed = gap - close * np.maximum(gap, 0)
    wanted = np.maximum(closed, np.where(apart > 0, apart * np.maximum(_APART * widest, _LEAST), closed))
    return displacement + np.tensordot((wanted - gap).astype(np.float32), parting(), 1)
