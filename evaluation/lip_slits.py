"""What is seen between lips that a performance keeps shut? `python -m evaluation.lip_slits --data ../shared/data`

ICT-FaceKit identities that training never saw, with lips made thick and modelled a little apart, as they are and with
few large facets, and MakeHuman's heads say the sample's sentence, prepared as a person's scan is. In the frames in
which it keeps the lips shut, seen from the front: square millimetres of teeth, tongue and darkness, how tall the
tallest slit is, and the share of frames with one taller than TALL. Millimetres of a face whose outer eye corners are
90 mm apart. "Without contact": the same motion without `core/lip_contact/contact.py`.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from evaluation import makehuman
from evaluation.mouth_opening import SENTENCE
from evaluation.stm_contact import thicker
from export import command, ict, remeshing, scanning, stm_data
from freetalk_blender.core import frame
from freetalk_blender.core.argument_types import whole_number
from freetalk_blender.core.face import Face, prepare
from freetalk_blender.core.lip_contact import contact
from freetalk_blender.core.mouth.opened_mouth import LIP, SKIN
from freetalk_blender.core.movement import landmark_motion
from freetalk_blender.core.surface import raster, rows
from freetalk_blender.core.voice import audio
from freetalk_blender.core.voice.performance import perform

#: A slit that the eye notices (mm); half the width of the picture (mm), and its pixels.
TALL, HALF, PIXELS = 0.7, 27.0, 160
#: Shut frames that are looked at on each head.
FRAMES = 18
HEADER = (
    "| head | vertices | pairs | seen mm² | tallest mm | frames > 0.7 mm "
    "| without contact: seen mm² | tallest mm | frames > 0.7 mm |"
)


def heads(data: Path, identities: int, people: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Names, vertices (V,3) and triangles (F,3) of neutral heads."""
    model = ict.load(data)
    for number, seed in enumerate(stm_data.TEST[:identities]):
        face = model.face(scanning.identity(np.random.default_rng([96, seed]), model))
        full = thicker(face, face[model.landmark_vertices], 1.8)
        full += model.offsets(model.weights({"jawOpen": 0.07}))[0]
        for name, vertices in ((f"identity {number + 1}", face), (f"identity {number + 1}, thick and ajar", full)):
            scan = scanning.parts(model, vertices, "head", mouth=True)
            yield name, scan.vertices, scan.triangles
            coarse = remeshing.decimate(scan, 3000)
            yield f"{name}, few facets", coarse.vertices, coarse.triangles
    body = makehuman.load(data)
    used, triangles = rows.renumbered(makehuman.head(body), len(body.vertices))
    for number in range(people):
        yield f"MakeHuman {number}", makehuman.neutral(data, number)[used], triangles


def seen(face: Face, vertices: np.ndarray) -> tuple[float, float]:
    """mm² of what is neither skin nor lip in a picture of the mouth, and the tallest of it (mm); vertices (V,3)."""
    assert face.opened is not None
    place = face.frame.to_canonical(vertices.astype(float)) * frame.EYE_DISTANCE_MM
    middle = face.frame.to_canonical(face.landmarks[60:68].astype(float)).mean(0) * frame.EYE_DISTANCE_MM
    place = ((place - middle) / HALF).astype(np.float32)
    near = (np.abs(place[face.opened.triangles][..., :2]) < 1).all(2).any(1)
    image = raster.render(place, face.opened.triangles[near], PIXELS)
    inner = image.seen & ~np.isin(face.opened.part[near][image.triangle], (SKIN, LIP))
    inner = inner[round(PIXELS * 0.3) : round(PIXELS * 0.7)]  # nostrils are hollows, too
    pixel = 2 * HALF / PIXELS
    return float(inner.sum() * pixel**2), float(inner.sum(0).max() * pixel)


def row(name: str, vertices: np.ndarray, triangles: np.ndarray, take: np.ndarray) -> str:
    """A row of the table; take (T,68,3)."""
    face = prepare(vertices, triangles)
    if face.opened is None or face.contact is None:
        return f"| {name} | {len(vertices):,} | no lips that face each other | | | | | | |"
    motion = landmark_motion(face, take)
    shut = contact.closed(motion, face.neutral)
    frames = np.flatnonzero(shut > 0.95)
    frames = frames[np.linspace(0, len(frames) - 1, FRAMES).astype(int)]
    raw = face.mesh.to_caller(face.binding.displace(motion[frames]))
    dense = raw.copy()
    face.contact.correct(dense, shut[frames])
    cells = [name, f"{len(vertices):,}", str(len(face.contact.neighbours))]
    for moved in (dense, raw):
        found = np.array([seen(face, face.opened.vertices + face.opened.carried(one[None])[0]) for one in moved])
        cells += [f"{found[:, 0].mean():.1f}", f"{found[:, 1].max():.1f}", f"{(found[:, 1] > TALL).mean():.0%}"]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = command.parser(__doc__, "ict_facekit/ and makehuman/")
    parser.add_argument("--identities", type=whole_number(1), default=3)
    parser.add_argument("--people", type=whole_number(1), default=6, help="MakeHuman's")
    given = parser.parse_args()
    take = perform(*audio.load(SENTENCE), fps=30).displacement
    print(f"{HEADER}\n|" + "---|" * 9)
    for head in heads(given.data, given.identities, given.people):
        print(row(*head, take), flush=True)


if __name__ == "__main__":
    command.run(main)
