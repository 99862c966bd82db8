"""Close-ups of a face whose landmarks are roughly known: what the refinement network looks at, part by part.

The right eye, the right half of the jaw and their mirror images share one network: pictures of left parts are mirrored.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from ..frame import Similarity
from ..landmarks import MIRRORED
from ..surface import raster
from .face_view import Camera, picture

#: Side of a close-up in pixels, and the samples along a side of each.
CLOSE_SIZE, _OVER = 64, 2


@dataclass(frozen=True)
class Part:
    """One kind of close-up. points (P,): its landmarks on the subject's right or in the middle; half: of the picture's
    side, in eye distances; yaw: degrees from which it is seen; paired: whether there is one on the left too."""

    name: str
    points: np.ndarray
    half: float
    yaw: float
    paired: bool


PARTS = (
    Part("eye", np.array([*range(36, 42), *range(17, 22)]), 0.36, 0.0, True),
    Part("mouth", np.arange(48, 68), 0.44, 0.0, False),
    Part("nose", np.arange(27, 36), 0.36, 0.0, False),
    Part("jaw", np.arange(0, 9), 0.80, -40.0, True),
)
#: First channel of each part among the network's answers, and their number.
FIRST = np.cumsum([0, *(len(part.points) for part in PARTS)])
CHANNELS = int(FIRST[-1])
#: The channel (49,) that each becomes in a mirror, of parts that are their own mirror image; others stay.
MIRRORED_CHANNELS = np.concatenate(
    [
        first + (np.arange(len(part.points)) if part.paired else MIRRORED[part.points] - part.points[0])
        for first, part in zip(FIRST[:-1], PARTS, strict=True)
    ]
)


@dataclass(frozen=True)
class Side:
    """A part on one side of the face: its landmarks (P,) in the network's order; left ones are seen in a mirror."""

    part: Part
    channels: slice
    left: bool

    @property
    def points(self) -> np.ndarray:
        return MIRRORED[self.part.points] if self.left else self.part.points


SIDES = tuple(
    Side(part, slice(int(FIRST[row]), int(FIRST[row + 1])), left)
    for row, part in enumerate(PARTS)
    for left in ((False, True) if part.paired else (False,))
)


def close_camera(side: Side, face: Similarity, centre: np.ndarray, yaw: float = 0.0, pitch: float = 0.0) -> Camera:
    """A camera on a part around `centre` (3,), a mesh point, turned by degrees to its left (left parts: right), up."""
    aside = side.part.yaw + yaw
    turn = Rotation.from_euler("YX", [-aside if side.left else aside, -pitch], degrees=True).as_matrix()
    return Camera(turn.T @ face.rotation.T, centre, side.part.half * face.scale)


def close_picture(
    vertices: np.ndarray, triangles: np.ndarray, normals: np.ndarray, camera: Camera, left: bool
) -> tuple[np.ndarray, raster.Image]:
    """(4, S, S) float32 normals and depth, in a mirror for a left part, and the image as the camera sees it."""
    channels, image = picture(vertices, triangles, normals, camera, CLOSE_SIZE, _OVER)
    return (mirrored(channels) if left else channels), image


def mirrored(channels: np.ndarray) -> np.ndarray:
    """A picture (..., 4, S, S) in a mirror: columns reversed, normals' x negated."""
    return (channels[..., ::-1] * np.array([-1, 1, 1, 1], np.float32)[:, None, None]).astype(np.float32)
