"""Close-ups that train the refinement of landmarks.

Scans as in export/landmark_data.py; half of them keep the registered mesh, which is quick. Each is photographed part by
part by the very code that runs at inference, from where first answers really put the cameras.
"""

import numpy as np

from export import ict, landmark_data
from freetalk_blender.core import frame
from freetalk_blender.core.detection import close_view, closeups
from freetalk_blender.core.detection.close_view import PARTS, SIDES, Side

#: What a first answer leaves (measured on 31 scans that nothing else uses): error of a part's middle along each axis,
#: in eye distances and by part, of the face's size (logarithm), and of its yaw, pitch and roll (degrees).
MIDDLE = {"eye": 0.012, "mouth": 0.012, "nose": 0.014, "jaw": 0.02}
SIZE, TURN = 0.05, (3.0, 7.0, 2.0)
#: One picture in so many is taken from where a worse answer, by this factor, would put the camera.
WORSE_SHARE, WORSE = 0.15, 2.5
#: Views are turned by up to so many degrees from those of inference.
AROUND = 6.0
#: Seeds of these scans start here: other scans than those of the first network, below the ones kept for validation.
FIRST_SEED = 100_000
MOST_POINTS = max(len(part.points) for part in PARTS)


def coarse(rng: np.random.Generator) -> int:
    """Vertices of a scan: half keep the registered mesh (0), the others have 900 to 12,000."""
    return 0 if rng.random() < 0.5 else int(np.exp(rng.uniform(np.log(900), np.log(12_000))))


def close_sample(
    who: landmark_data.Subject, side: Side, view: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Picture (4, S, S) int8, landmarks (20, 2) in [-1, 1] x right y up (the part's own, then zeros), visible (20,)."""
    camera = _camera(who, side, view, rng)
    channels, image = close_view.close_picture(who.scan.vertices, who.scan.triangles, who.normals, camera, side.left)
    placed = camera.to_picture(who.points[side.points])
    visible = landmark_data.off_surface(image.depth, placed) < 0.04 * who.face.scale / camera.half
    visible &= (np.abs(placed[:, :2]) < 1).all(1)
    place = placed[:, :2] * [-1, 1] if side.left else placed[:, :2]
    padding = MOST_POINTS - len(place)
    return (
        np.round(channels * 127).astype(np.int8),
        np.pad(place, ((0, padding), (0, 0))).astype(np.float32),
        np.pad(visible, (0, padding)),
    )


def _camera(
    who: landmark_data.Subject, side: Side, view: tuple[int, int], rng: np.random.Generator
) -> close_view.Camera:
    """A camera near an inference view, off by what a first answer leaves: some degrees, a millimetre, a few percent."""
    worse = WORSE if rng.random() < WORSE_SHARE else 1.0
    turn = landmark_data.residual(rng, *(worse * angle for angle in TURN))
    face = frame.Similarity(
        who.face.scale * np.exp(rng.normal(0, SIZE * worse)), who.face.rotation @ turn.T, who.face.translation
    )
    middle = who.points[side.points].mean(0)
    centre = middle + who.face.scale * worse * rng.normal(0, MIDDLE[side.part.name], 3)
    yaw, pitch = np.array(view) + rng.uniform(-AROUND, AROUND, 2)
    return close_view.close_camera(side, face, centre, yaw, pitch)


def photograph(model: ict.IctModel, seed: int, shares: dict[str, float]) -> dict[str, np.ndarray]:
    """All close-ups of one scan; shares: how often it is "strong", "reshaped", "melted" (`landmark_data.subject`)."""
    rng = np.random.default_rng(seed)
    # Of what is not wanted nothing is drawn: seeds make what they made before it could be.
    kinds = {kind: bool(rng.random() < share) for kind, share in shares.items() if share > 0}
    who = landmark_data.subject(model, rng, coarse(rng), **kinds)
    shots = [(side, view) for side in SIDES for view in closeups.VIEWS]
    pictures, places, visible = zip(*(close_sample(who, *shot, rng) for shot in shots), strict=True)
    return {
        "close": np.stack(pictures),
        "place": np.stack(places),
        "visible": np.stack(visible),
        "part": np.array([PARTS.index(side.part) for side, _ in shots], np.int64),
    }
