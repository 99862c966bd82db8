"""What is wrong with a scan's surface, counted, and what `mesh.clean` makes of it.

The surface that is bound is a cleaned copy: the person's own vertices keep their number, order and place.
"""

from dataclasses import dataclass

import numpy as np

from ..wording import counted
from . import rows
from .edges import directed_edges, edge_components, edge_uses, edges_of
from .mesh import CleanMesh


@dataclass(frozen=True)
class Repairs:
    """Counts. Left out of the cleaned copy: not_finite vertices; degenerate (a corner twice, or not finite) and
    duplicate faces. Joined there: welded vertices. Left as they are: non_manifold edges (three and more faces), flipped
    edges (two faces that face opposite ways), holes (borders of each part but one)."""

    not_finite: int
    degenerate: int
    duplicate: int
    welded: int
    non_manifold: int
    flipped: int
    holes: int


def notes(triangles: np.ndarray, sound: np.ndarray, source: np.ndarray) -> tuple[str, ...]:
    """What binding a cleaned copy changed there, in one sentence, or none.

    triangles (F,3) as they came; sound: the rows that were kept; source (V,): the clean vertex of each, -1 for none.
    """
    dropped, welded = len(triangles) - len(sound), _welded(np.asarray(triangles)[sound], source)
    told = [f"welded {counted(welded, 'vertex', 'vertices')} along open seams"] if welded else []
    told += [f"left out {counted(dropped, 'face', 'faces')} without an area or there twice"] if dropped else []
    if not told:
        return ()
    return (f"To bind the face, a cleaned copy {' and '.join(told)}; your own vertices stay as they are.",)


def find(vertices: np.ndarray, triangles: np.ndarray, cleaned: CleanMesh) -> Repairs:
    """vertices (U,3), triangles (F,3) as `mesh.clean` took them; cleaned: what it answered."""
    points, faces = np.asarray(vertices), np.asarray(triangles)
    finite = np.isfinite(points).all(1)
    corners = np.sort(faces, 1)
    whole = (np.diff(corners, axis=1) > 0).all(1) & finite[faces].all(1)
    return Repairs(
        not_finite=int((~finite).sum()),
        degenerate=int((~whole).sum()),
        duplicate=int(whole.sum() - len(rows.first(corners[whole]))),
        welded=_welded(faces, cleaned.source),
        non_manifold=int((edge_uses(cleaned.triangles)[1] > 2).sum()),
        flipped=_flipped(cleaned.triangles),
        holes=_holes(cleaned),
    )


def _welded(triangles: np.ndarray, source: np.ndarray) -> int:
    """How many vertices of triangles (F,3) became one with others; source (V,): clean vertex of each, -1 for none."""
    used = rows.present(triangles, len(source))
    used = used[source[used] >= 0]
    return len(used) - len(rows.present(source[used], len(source)))


def _holes(cleaned: CleanMesh) -> int:
    """Borders but one of each connected part: a strip of hair ends somewhere, too."""
    edges, count = edge_uses(cleaned.triangles)
    ends, local = rows.renumbered(edges[count == 1], len(cleaned.vertices))
    borders = np.unique(edge_components(local, len(ends))) if len(ends) else ends
    return len(borders) - len(np.unique(cleaned.components[ends]))


def _flipped(triangles: np.ndarray) -> int:
    """Edges of two triangles that both run along it the same way."""
    sides = edges_of(triangles)[1].ravel()
    start, end = directed_edges(triangles).T
    return int(((np.bincount(sides) == 2) & (np.bincount(sides, start < end) != 1)).sum())
