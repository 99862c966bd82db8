"""The average face's motion as this face would make it.

The performance moves the average face, whose lips touch and whose eyes are open by a known amount. On another face
the same displacement would leave an open neutral mouth open and push the lids of closed eyes through each other, so
the gaps between lips and between lids are carried over, not the displacement of each side. A mouth narrows and widens
by its share of its own width. A mouth that stands open in the scan is first closed as mouths close: the jaw goes back
the way it opens.
"""

import numpy as np

from . import frame
from .landmarks import INNER_LIP_PAIRS, LID_PAIRS, LOWER_INNER, UPPER_INNER, gaps
from .mouth import jaw

#: The gap (eye distances) that inner-lip landmarks of shut lips have by noise alone (1.4 of 90 mm).
CLOSED_GAP = 0.015
#: Mouths are wider or narrower than the average face's by at most these factors; beyond, a landmark is wrong.
WIDTHS = (0.7, 1.4)
#: How much of a gap's correction the upper lip takes: in speech the lower lip and jaw do most of the closing
#: (Löfqvist & Gracco 1997, J. Speech Lang. Hear. Res. 40). lips.UPPER_SHARE is of what a hand changes.
UPPER_LIP_SHARE = 0.3
#: Outer-lip landmarks follow the inner ones that they border: landmark -> inner pairs whose mean correction they take.
_OUTER_FOLLOWS = {
    49: (0,), 50: (0, 1), 51: (1,), 52: (1, 2), 53: (2,),
    55: (2,), 56: (2, 1), 57: (1,), 58: (1, 0), 59: (0,),
}  # fmt: skip


def retarget(displacement: np.ndarray, neutral: np.ndarray) -> np.ndarray:
    """Displacement of the average face (T,68,3) -> of the face whose neutral landmarks are `neutral` (68,3).

    Both in canonical units; the gaps of inner lips are true ones, see `with_true_gaps`. Lips that close on the average
    face close here, and open by the same gap; lids that meet there meet here. Lips never cross at the landmarks.
    """
    moved = proportioned(displacement, neutral).astype(np.float64)
    wanted = np.maximum(gaps(moved, INNER_LIP_PAIRS), 0)
    moved += shut_jaw(neutral)
    _part_lips(moved, neutral, wanted)
    return moved.astype(np.float32)


def proportioned(displacement: np.ndarray, neutral: np.ndarray) -> np.ndarray:
    """The part of `retarget` that is linear in the displacement (T,68,3): lids and mouth in this face's proportions."""
    moved = np.array(displacement, dtype=np.float64)
    _scale_lids(moved, neutral)
    _scale_mouth(moved, neutral)
    return moved.astype(np.float32)


def with_true_gaps(neutral: np.ndarray, measured: np.ndarray | None = None) -> np.ndarray:
    """Neutral landmarks (68,3) whose inner lips are as far from each other as the lips' surfaces.

    Where lips touch, nothing tells how far below the upper one the lower one begins: landmarks are often 2 mm apart.
    measured (3,): the lips' true gaps at the pairs of inner lips, canonical, inf where not known. Surfaces may be
    further from each other than landmarks by what those err; beyond, lips roll apart around their landmarks. Where
    nothing was measured, landmarks up to CLOSED_GAP apart are shut lips', from twice that on those of an open mouth.
    """
    points = np.array(neutral)
    found = gaps(points, INNER_LIP_PAIRS)
    gap = np.maximum(found, 0)
    true = np.clip(2 * (gap - CLOSED_GAP), 0, gap)
    if measured is not None:
        true = np.where(np.isfinite(measured), np.clip(measured, 0, np.maximum(gap, 2 * CLOSED_GAP)), true)
    points[UPPER_INNER, 1] += (true - found) / 2
    points[LOWER_INNER, 1] -= (true - found) / 2
    return points


def _scale_lids(moved: np.ndarray, neutral: np.ndarray) -> None:
    """Lid motion in proportion to how open the eye is, so that a full blink just closes it; closed eyes stay closed."""
    opening = np.maximum(gaps(neutral, LID_PAIRS), 0) / gaps(frame.mean_landmarks(), LID_PAIRS)
    for ratio, pair in zip(opening, LID_PAIRS, strict=True):
        moved[:, pair, :] *= ratio


def _scale_mouth(moved: np.ndarray, neutral: np.ndarray) -> None:
    """Sideways motion of the lips in proportion to the width of the mouth."""
    wide, average = (np.linalg.norm(points[54] - points[48]) for points in (neutral, frame.mean_landmarks()))
    moved[:, 48:, 0] *= np.clip(wide / average, *WIDTHS)


def shut_jaw(neutral: np.ndarray) -> np.ndarray:
    """(68,3) displacement that brings the jaw of a face (68,3) back until its open mouth is shut.

    Zero for a mouth that is shut. What a jaw cannot do, as lips that part more on one side, remains.
    """
    open_by = float(np.maximum(gaps(neutral, INNER_LIP_PAIRS), 0).mean())
    moved, _ = jaw.shutting(neutral * frame.EYE_DISTANCE_MM, open_by * frame.EYE_DISTANCE_MM)
    return moved / frame.EYE_DISTANCE_MM


def _part_lips(moved: np.ndarray, neutral: np.ndarray, wanted: np.ndarray) -> None:
    """Give each inner-lip pair the gap `wanted` (T,P) that the average face has."""
    correction = wanted - np.maximum(gaps(neutral, INNER_LIP_PAIRS), 0) - gaps(moved, INNER_LIP_PAIRS)
    for (upper, lower), change in zip(INNER_LIP_PAIRS, correction.T, strict=True):
        moved[:, upper, 1] += UPPER_LIP_SHARE * change
        moved[:, lower, 1] -= (1 - UPPER_LIP_SHARE) * change
    for landmark, pairs in _OUTER_FOLLOWS.items():
        share = UPPER_LIP_SHARE if landmark < 54 else UPPER_LIP_SHARE - 1
        moved[:, landmark, 1] += share * correction[:, pairs].mean(1)
