"""What is wrong with a scan's surface, counted, and what `mesh.clean` makes of it.

The surface that is bound is a cleaned copy: the person's own vertices keep their number, order and place.
"""

from dataclasses import dataclass

import numpy as np

from ..wording import counted
from . import rows
from .edges import directed_edges, edge_components, edge_uses, edges_of
from .mesh import CleanMesh

#: A loose part with less than this share of the vertices is an isolated bit.
BIT = 0.01


@dataclass(frozen=True)
class Repairs:
    """Counts. Left out of the cleaned copy: not_finite, loose (of no face) vertices; degenerate (a corner twice, or not
    finite) and duplicate faces. Joined there: welded vertices. Left as they are: non_manifold edges (three and more
    faces), flipped edges (two faces that face opposite ways), isolated bits, holes (borders of each part but one)."""

    not_finite: int
    loose: int
    degenerate: int
    duplicate: int
    welded: int
    non_manifold: int
    flipped: int
    bits: int
    holes: int


def notes(triangles: np.ndarray, sound: np.ndarray, source: np.ndarray) -> tuple[str, ...]:
    """What binding a cleaned copy changed there, in one sentence, or none.

    triangles (F,3) as they came; sound: the rows that were kept; source (V,): the clean vertex of each, -1 for none.
    """
    used = rows.present(np.asarray(triangles)[sound], len(source))
    used = used[source[used] >= 0]
    dropped, welded = len(triangles) - len(sound), len(used) - len(rows.present(source[used], len(source)))
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
    used = np.zeros(len(points), bool)
    used[faces] = True
    surface = cleaned.source >= 0
    size = np.bincount(cleaned.components)
    return Repairs(
        not_finite=int((~finite).sum()),
        loose=int((finite & ~used).sum()),
        degenerate=int((~whole).sum()),
        duplicate=int(whole.sum() - len(rows.first(corners[whole]))),
        welded=int((used & surface).sum() - len(rows.present(cleaned.source[used & surface], len(points)))),
        non_manifold=int((edge_uses(cleaned.triangles)[1] > 2).sum()),
        flipped=_flipped(cleaned.triangles),
        bits=int((size < BIT * size.sum()).sum()),
        holes=_holes(cleaned),
    )


def boundaries(cleaned: CleanMesh) -> list[np.ndarray]:
    """Vertices of each connected open border, the longest (mesh units) first."""
    edges, count = edge_uses(cleaned.triangles)
    open_edges = edges[count == 1]
    if not len(open_edges):
        return []
    vertices, local = rows.renumbered(open_edges, len(cleaned.vertices))
    label = edge_components(local, len(vertices))
    length = np.linalg.norm(np.diff(cleaned.vertices[open_edges].astype(float), axis=1)[:, 0], axis=1)
    total = np.bincount(label[local[:, 0]], length)
    order = np.argsort(label, kind="stable")
    loops = np.split(vertices[order], np.cumsum(np.bincount(label))[:-1])
    return [loops[k] for k in np.argsort(-total)]


def _holes(cleaned: CleanMesh) -> int:
    """Borders but one of each connected part: a strip of hair ends somewhere, too."""
    part = [cleaned.components[loop[0]] for loop in boundaries(cleaned)]
    return len(part) - len(set(part))


def _flipped(triangles: np.ndarray) -> int:
    """Edges of two triangles that both run along it the same way."""
    sides = edges_of(triangles)[1].ravel()
    start, end = directed_edges(triangles).T
    return int(((np.bincount(sides) == 2) & (np.bincount(sides, start < end) != 1)).sum())
