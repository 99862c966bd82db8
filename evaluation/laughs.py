"""Do lips shut on faces that were scanned with teeth to be seen? `python -m evaluation.laughs --data ../shared/data`

ICT-FaceKit identities that training never saw, their mouths ajar, in a slight smile, a smile or a laugh, with gums,
teeth and tongue, are reconstructed from what cameras see, so that teeth and lips are one surface. Landmarks are found,
the mouth is made ready, and the performance rests: what lips do in m, b and p. Printed per kind, mm of a face of eye
distance 90 mm: inner lips apart in the scan, truly, as found, and as they are put on the lips' edges; and, with either,
how much of teeth, scanned ones too, and of the mouth's inside is seen from the front at rest (mm²). `--inward` puts
inner lips too near to each other first, on the teeth, as they are found on faces that the networks know less.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from evaluation.heavy_scans import frames_of
from export import command, fusing, ict, scanning, stm_data
from export.scanning import Scan
from freetalk_blender.core import face, frame
from freetalk_blender.core.argument_types import whole_number
from freetalk_blender.core.detection import detector
from freetalk_blender.core.landmarks import INNER_LIP_PAIRS, LIPS, LOWER_INNER, UPPER_INNER, Landmarks, gaps
from freetalk_blender.core.mouth.opened_mouth import SKIN
from freetalk_blender.core.surface import raster

#: Kind -> ICT-FaceKit's shapes, on both sides where there are two, and the range of their weights.
KINDS = {
    "ajar": {"jawOpen": (0.08, 0.3)},
    "slight smile": {"mouthSmile": (0.1, 0.5), "mouthUpperUp": (0.1, 0.4), "mouthLowerDown": (0.1, 0.4)},
    "smile": {"mouthSmile": (0.4, 0.9), "mouthUpperUp": (0.3, 0.6), "mouthLowerDown": (0.3, 0.6)},
    "laugh": {
        "mouthSmile": (0.4, 1.0),
        "mouthUpperUp": (0.2, 0.6),
        "mouthLowerDown": (0.2, 0.6),
        "jawOpen": (0.1, 0.4),
    },
}
#: Half the side of the picture of the mouth (mm), and its pixels for each mm.
HALF, PIXELS = 45, 8
HEADER = "| scan | inner lips apart, mm | as found | at their edges | seen when shut, mm²: as found | at their edges |"


def scans(model: ict.IctModel, kind: str, count: int) -> Iterator[tuple[Scan, np.ndarray]]:
    """Reconstructed heads, and the true landmarks (68,3) of each."""
    for seed in stm_data.TEST[:count]:
        rng = np.random.default_rng([95, seed])
        drawn = {name: float(rng.uniform(*span)) for name, span in KINDS[kind].items()}
        shapes = {side: drawn[name] for name in drawn for side in ict.sides(name, model.expression_names)}
        vertices = model.face(scanning.identity(rng, model)) + model.offsets(model.weights(shapes))[0]
        seen = scanning.parts(model, vertices, "head", mouth=True, teeth=True)
        yield fusing.fuse(seen, rng), vertices[model.landmark_vertices]


def showing(bound: face.Face, teeth: np.ndarray) -> float:
    """mm² that the mouth shows from the front of anything but skin, where the performance rests; teeth (F,): the scan's
    triangles that are scanned teeth, gums and tongue."""
    opened = bound.opened
    assert opened is not None
    dense = frames_of(bound, np.zeros((1, 68, 3), np.float32))
    mm = frame.frame_in_mm(bound.landmarks)
    points = mm.to_canonical((opened.vertices + opened.carried(dense)[0]).astype(float))
    middle = mm.to_canonical(bound.landmarks[LIPS].astype(float)).mean(0)
    image = raster.render(((points - middle) / HALF).astype(np.float32), opened.triangles, 2 * HALF * PIXELS)
    skin = (opened.part == SKIN) & ~teeth[opened.triangle_source]
    return float((image.seen & ~skin[image.triangle]).sum() / PIXELS**2)


def shifted(found: Landmarks, inward: float) -> Landmarks:
    """Found landmarks whose inner lips are `inward` mm nearer to the middle of the mouth."""
    mm = frame.frame_in_mm(found.points)
    points = mm.to_canonical(found.points.astype(float))
    for lip, way in ((UPPER_INNER, -1), (LOWER_INNER, 1)):
        points[lip, 1] += way * inward
    return replace(found, points=mm.to_mesh(points).astype(found.points.dtype))


def row(scan: Scan, true: np.ndarray, inward: float) -> list[float]:
    """The columns of one scan."""
    own = np.asarray(scan.carry.argmax(1)).ravel()
    mouth = scan.real & (own >= ict.PARTS["gums_tongue"][0]) & (own < ict.PARTS["teeth"][1])
    teeth = mouth[scan.triangles].all(1)
    found = shifted(detector.detect(scan.vertices, scan.triangles), inward)
    bound = [face.prepare(scan.vertices, scan.triangles, lips, inner_mouth="none") for lips in (found.points, found)]
    mm = frame.frame_in_mm(true)
    marks = (true, *(one.landmarks for one in bound))
    apart = [gaps(mm.to_canonical(points.astype(float)), INNER_LIP_PAIRS).mean() for points in marks]
    return [*apart, *(showing(one, teeth) for one in bound)]


def main() -> None:
    parser = command.parser(__doc__, "ict_facekit/")
    parser.add_argument("--faces", type=whole_number(1), default=6)
    parser.add_argument("--only", choices=list(KINDS), help="print one row")
    parser.add_argument("--inward", type=float, default=0.0, help="mm by which found inner lips are put too far inside")
    given = parser.parse_args()
    model = ict.load(given.data)
    print(f"{HEADER}\n|" + "---|" * 6)
    for kind in [given.only] if given.only else KINDS:
        values = np.array([row(*scan, given.inward) for scan in scans(model, kind, given.faces)])
        cells = [f"{mean:.1f} ± {apart:.1f}" for mean, apart in zip(values.mean(0), values.std(0), strict=True)]
        print(f"| {kind} ({len(values)}) | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    command.run(main)
