"""The average face's motion as this face would make it.

The performance moves the average face, whose lips touch and whose eyes are open by a known amount. On another face
the same displacement would leave an open neutral mouth open and push the lids of closed eyes through each other, so
the gaps between lips and between lids are carried over, not the displacement of each side. A mouth narrows and widens
by its share of its own width.
"""

import numpy as np

from . import frame
from .landmarks import INNER_LIP_PAIRS, LID_PAIRS

#: The inner-lip gap (eye distances) up to which lips touch: landmark noise on closed mouths stays below (1.4 of 90 mm).
CLOSED_GAP = 0.015
#: Mouths are wider or narrower than the average face's by at most these factors; beyond, a landmark is wrong.
WIDTHS = (0.7, 1.4)
#: How much of a gap's correction the upper lip takes: in speech the lower lip and jaw do most of the closing
#: (Löfqvist & Gracco 1997, J. Speech Lang. Hear. Res. 40).
UPPER_LIP_SHARE = 0.3
#: Outer-lip landmarks follow the inner ones that they border: landmark -> inner pairs whose mean correction they take.
_OUTER_FOLLOWS = {
    49: (0,), 50: (0, 1), 51: (1,), 52: (1, 2), 53: (2,),
    55: (2,), 56: (2, 1), 57: (1,), 58: (1, 0), 59: (0,),
}  # fmt: skip


def retarget(displacement: np.ndarray, neutral: np.ndarray) -> np.ndarray:
    """Displacement of the average face (T,68,3) -> of the face whose neutral landmarks are `neutral` (68,3).

    Both in canonical units. Lips that close on the average face close here, and open by the same gap; lids that meet
    there meet here. Lips never cross at the landmarks.
    """
    moved = proportioned(displacement, neutral).astype(np.float64)
    _close_lips(moved, neutral)
    return moved.astype(np.float32)


def proportioned(displacement: np.ndarray, neutral: np.ndarray) -> np.ndarray:
    """The part of `retarget` that is linear in the displacement (T,68,3): lids and mouth in this face's proportions."""
    moved = np.array(displacement, dtype=np.float64)
    _scale_lids(moved, neutral)
    _scale_mouth(moved, neutral)
    return moved.astype(np.float32)


def _gaps(points: np.ndarray, pairs: tuple[tuple[int, int], ...]) -> np.ndarray:
    """(..., P) height of the upper point over the lower one, canonical +Y."""
    upper, lower = np.array(pairs).T
    return points[..., upper, 1] - points[..., lower, 1]


def _scale_lids(moved: np.ndarray, neutral: np.ndarray) -> None:
    """Lid motion in proportion to how open the eye is, so that a full blink just closes it; closed eyes stay closed."""
    opening = np.maximum(_gaps(neutral, LID_PAIRS), 0) / _gaps(frame.mean_landmarks(), LID_PAIRS)
    for ratio, pair in zip(opening, LID_PAIRS, strict=True):
        moved[:, pair, :] *= ratio


def _scale_mouth(moved: np.ndarray, neutral: np.ndarray) -> None:
    """Sideways motion of the lips in proportion to the width of the mouth."""
    wide, average = (np.linalg.norm(points[54] - points[48]) for points in (neutral, frame.mean_landmarks()))
    moved[:, 48:, 0] *= np.clip(wide / average, *WIDTHS)


def _closed_gap(gap: np.ndarray) -> np.ndarray:
    """(P,) gap of the inner-lip landmarks of this face with its lips shut, from that of its neutral (P,).

    Its own where the neutral mouth is shut. Lips that hang open roll apart around their landmarks, so a mouth that
    stands open by more than twice CLOSED_GAP is shut when the landmarks themselves touch; in between, a bit of each.
    """
    return np.minimum(gap, np.clip(2 * CLOSED_GAP - gap, 0, CLOSED_GAP))


def _close_lips(moved: np.ndarray, neutral: np.ndarray) -> None:
    """Give each inner-lip pair the gap that the average face has, from this face's own closed gap up."""
    gap = np.maximum(_gaps(neutral, INNER_LIP_PAIRS), 0)
    wanted = np.maximum(_gaps(moved, INNER_LIP_PAIRS), 0) + _closed_gap(gap)
    correction = wanted - (gap + _gaps(moved, INNER_LIP_PAIRS))
    for (upper, lower), change in zip(INNER_LIP_PAIRS, correction.T, strict=True):
        moved[:, upper, 1] += UPPER_LIP_SHARE * change
        moved[:, lower, 1] -= (1 - UPPER_LIP_SHARE) * change
    for landmark, pairs in _OUTER_FOLLOWS.items():
        share = UPPER_LIP_SHARE if landmark < 54 else UPPER_LIP_SHARE - 1
        moved[:, landmark, 1] += share * correction[:, pairs].mean(1)
