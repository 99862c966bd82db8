"""The borders of a surface: its edges, the loops that its open edges form, and a lid for a hole."""

import numpy as np


def edges_of(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles (f,3) -> unique edges (e,2), lower index first, and (f,3) the edges 0-1, 1-2, 2-0 of each triangle."""
    pairs = np.sort(np.stack([triangles, np.roll(triangles, -1, 1)], 2).reshape(-1, 2), 1).astype(np.int64)
    size = int(triangles.max(initial=0)) + 1
    keys, index = np.unique(pairs[:, 0] * size + pairs[:, 1], return_inverse=True)
    return np.stack([keys // size, keys % size], 1), index.reshape(-1, 3)


def border_edges(triangles: np.ndarray) -> np.ndarray:
    """(b,2) edges that one triangle has and no other shares, in that triangle's direction."""
    directed = np.stack([triangles, np.roll(triangles, -1, 1)], 2).reshape(-1, 2)
    sides = edges_of(triangles)[1].ravel()
    return directed[np.bincount(sides)[sides] == 1]


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
    """Triangles across a hole, always the one whose new edge is shortest; they face as the hole's surroundings do."""
    loop = list(loop)
    triangles = []
    while len(loop) > 3:
        ring = points[loop]
        ear = int(np.linalg.norm(np.roll(ring, 1, 0) - np.roll(ring, -1, 0), axis=1).argmin())
        triangles.append((loop[(ear + 1) % len(loop)], loop[ear], loop[ear - 1]))
        del loop[ear]
    return [*triangles, (loop[2], loop[1], loop[0])]
