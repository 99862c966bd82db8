"""Where a surface ends: its boundary's edges and vertices, the loops they form, and a lid for a hole."""

import numpy as np

from .edges import directed_edges, edge_uses, edges_of


def boundary_edges(triangles: np.ndarray) -> np.ndarray:
    """(b,2) edges that one triangle has and no other shares, in that triangle's direction."""
    sides = edges_of(triangles)[1].ravel()
    return directed_edges(triangles)[np.bincount(sides)[sides] == 1]


def boundary_vertices(triangles: np.ndarray) -> np.ndarray:
    """(B,) vertices, ascending, of edges that have exactly one triangle; triangles (F,3)."""
    edges, uses = edge_uses(triangles)
    return np.unique(edges[uses == 1])


def loops(links: list[tuple[int, int]]) -> list[list[int]]:
    """Closed loops along directed links; where loops touch in a vertex, the shorter ones are split off."""
    following: dict[int, list[int]] = {}
    for a, b in links:
        following.setdefault(a, []).append(b)
    found = []
    while following:
        path = [next(iter(following))]
        while True:
            here = path[-1]
            if here not in following:
                break
            ahead = following[here].pop()
            if not following[here]:
                del following[here]
            if ahead in path:
                at = path.index(ahead)
                if len(path) - at > 2:
                    found.append(path[at:])
                path = path[: at + 1]
            else:
                path.append(ahead)
    return found


def filled(loop: list[int], points: np.ndarray) -> list[tuple[int, int, int]]:
    """Triangles across a hole, always the one whose new edge is shortest; they face as the hole's surroundings do.

    None of a corner that juts into the hole while there are others: it would lie on the surface.
    """
    loop = list(loop)
    ring = points[loop] - points[loop].mean(0)
    normal = np.cross(ring, np.roll(ring, -1, 0)).sum(0)
    triangles = []
    while len(loop) > 3:
        ring = points[loop]
        before, after = np.roll(ring, 1, 0) - ring, np.roll(ring, -1, 0) - ring
        juts = np.cross(after, before) @ normal <= 0
        ear = int(np.lexsort([np.linalg.norm(after - before, axis=1), juts])[0])
        triangles.append((loop[(ear + 1) % len(loop)], loop[ear], loop[ear - 1]))
        del loop[ear]
    return [*triangles, (loop[2], loop[1], loop[0])]
