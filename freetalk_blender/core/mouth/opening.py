"""What is done about the mouth of a scan before it is bound: lips cut apart, a bag or darkness behind those that are
apart already, or a sentence that says why not."""

import numpy as np

from ..errors import FreeTalkError, LandmarkError, MeshError
from ..wording import counted
from . import fused_mouth, hole_bag, lip_edges, mouth_hollow, mouth_web
from .opened_mouth import OpenedMouth

#: What is put behind lips that can open: nothing but a cut's own bag; darkness; teeth and a tongue too.
INNER_MOUTHS = ("none", "dark", "teeth")
#: What to tell of lips that were not found to face each other.
NEVER_MEETING = (
    "Where the lips of this mouth meet was not found, so they may stay a little apart in m, b and p; "
    "check the lip landmarks."
)


def opened(
    vertices: np.ndarray, triangles: np.ndarray, points: np.ndarray, inner: str
) -> tuple[OpenedMouth | None, tuple[str, ...]]:
    """The scan with a mouth that can open, None where it needs nothing; where that fails, a sentence."""
    if inner not in INNER_MOUTHS:
        raise FreeTalkError(f"inner_mouth must be one of {', '.join(INNER_MOUTHS)}; got {inner!r}.")
    try:
        found = fused_mouth.state(vertices, triangles, points)
        made = unwebbed(vertices, triangles, points, found.fused)
        if made is None and found.fused:
            made = fused_mouth.open_lips(vertices, triangles, points, found)
        elif made is None and inner != "none":
            made = _own_mouth(vertices, triangles, points)
        return made, () if made is None else _bubbles(triangles, made)
    except (LandmarkError, MeshError) as error:
        return None, (f"The lips could not be parted, so the skin between them stretches: {error}",)


def unwebbed(vertices: np.ndarray, triangles: np.ndarray, points: np.ndarray, fused: bool) -> OpenedMouth | None:
    """A mouth that stood open while it was scanned: a bag instead of the skin or the teeth between its lips; None where
    there are none, or where that leaves no hole that a bag fits."""
    if not mouth_web.found(vertices, triangles, points, fused):
        return None
    opened = mouth_web.removed(vertices, triangles, points)
    hole = hole_bag.find(opened.vertices, opened.triangles, points)
    return None if hole is None else hole_bag.closed(opened, hole, triangles, points)


def on_lips(vertices: np.ndarray, triangles: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Landmarks (68,3) that a network found, those of the inner lips on the lips' edges where a scanner saw teeth, or
    spanned skin, between lips that stand open."""
    if not lip_edges.stand_open(vertices, triangles, points):
        return points
    try:
        fused = fused_mouth.state(vertices, triangles, points).fused
        if not mouth_web.found(vertices, triangles, points, fused):
            return points
        moved = lip_edges.on_edges(vertices, triangles, points)
        fused = fused_mouth.state(vertices, triangles, moved).fused
        return points if unwebbed(vertices, triangles, moved, fused) is None else moved
    except (LandmarkError, MeshError):
        return points


def _bubbles(triangles: np.ndarray, opened: OpenedMouth) -> tuple[str, ...]:
    """What to tell where the cut lips had closed bubbles, or an inner wall, behind them, which are left out."""
    if not opened.is_cut:
        return ()
    left_out = np.ones(len(triangles), bool)
    left_out[opened.triangle_source] = False
    surface = np.zeros(len(opened.vertices), bool)
    surface[opened.triangles] = True
    count = int((~surface[triangles[left_out]].any(1)).sum())
    faces = counted(count, "face", "faces")
    told = f"A bubble behind the lips, or the inner wall of a hollow scan, was left out: {faces}."
    return (told,) if count else ()


def left_fused(vertices: np.ndarray, triangles: np.ndarray, points: np.ndarray) -> tuple[str, ...]:
    """What to tell where lips that are one surface were not to be cut."""
    try:
        fused = fused_mouth.state(vertices, triangles, points).fused
    except (LandmarkError, MeshError):
        return ()
    told = "The lips of this scan are fused and were left so: a mouth that opens stretches the skin between them."
    return (told,) if fused else ()


def _own_mouth(vertices: np.ndarray, triangles: np.ndarray, points: np.ndarray) -> OpenedMouth | None:
    """Lips that are apart already: dark inside, and closed behind where they end in a hole; None where it is neither,
    or where loose parts lie inside as teeth do. Tears that ring nothing are left in the dark."""
    hollow = mouth_hollow.find(vertices, triangles, points)
    if hollow.parts:
        return None
    opened = mouth_hollow.darkened(vertices, triangles, hollow)
    hole = hole_bag.find(opened.vertices, opened.triangles, points)
    if hole is not None:
        return hole_bag.closed(opened, hole, triangles, points)
    return opened if hollow.own else None
