"""The sample head as a heavy scan, in a process of its own for each size: `python -m evaluation.heavy_scans`.

Its edges are halved so often (0: bound as it is), and each vertex is moved at random as scanners do. It is prepared as
users do it: landmarks found, mouth opened, face bound; the last row is one that stands on a floor of 5 m, as in a scan
of a room. Printed: seconds by the clock; memory that this adds at most; how far, in a sentence, its own vertices are
from where they move when the sample is bound as it is (mm of a face of eye distance 90 mm, mean and 99th percentile of
those that move); and triangles at the mouth's corners that are turned over, in the mean of the frames.
"""

import multiprocessing
import time
from pathlib import Path

import numpy as np

from evaluation import mouth_motion, stm_benchmark
from export import command
from freetalk_blender.core import face as faces
from freetalk_blender.core import movement
from freetalk_blender.core.lip_contact import contact
from freetalk_blender.core.surface import mesh, scan_file
from freetalk_blender.core.voice import audio, performance

EXAMPLES = Path(__file__).parents[1] / "examples"
#: Standard deviation of the noise (mm), and frames of the sentence.
NOISE, FRAMES = 0.03, 12
#: Skin that moves less than this is left out (mm).
STILL = 0.1
HEADER = (
    "| vertices | prepare s | memory GB | apart mean mm | 99th percentile | turned over |\n|---|---|---|---|---|---|"
)


def sample(halvings: int) -> mesh.CleanMesh:
    """The sample head with its edges halved so often; its own vertices come first."""
    made = mesh.clean(*scan_file.read(EXAMPLES / "head.obj"))
    for _ in range(halvings):
        made = mesh.subdivided(made)
    return made


def sentence() -> np.ndarray:
    """(T,68,3) frames of the sample's."""
    take = performance.perform(*audio.load(EXAMPLES / "speech.flac")).displacement
    return take[np.linspace(0, len(take) - 1, FRAMES).round().astype(int)]


def frames_of(bound: faces.Face, motion: np.ndarray) -> np.ndarray:
    """(T,V,3) displacement of an opened face's skin in a performance (T,68,3), mesh units."""
    own = movement.landmark_motion(bound, motion)
    dense = bound.mesh.to_caller(bound.binding.displace(own))
    bound.contact.correct(dense, contact.closed(own, bound.neutral))
    return dense


def floor(height: float, size: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (count²,3) and triangles of a level square."""
    x, z = (axis.ravel() for axis in np.meshgrid(*2 * [np.linspace(-size / 2, size / 2, count)]))
    corner = (np.arange(count - 1)[:, None] * count + np.arange(count - 1)).ravel()
    triangles = np.stack([corner, corner + 1, corner + count, corner + 1, corner + count + 1, corner + count], 1)
    return np.stack([x, np.full(len(x), height), z], 1), triangles.reshape(-1, 3)


def row(halvings: int, on_floor: bool) -> str:
    """A row of the table."""
    light, scan, motion = sample(0), sample(halvings), sentence()
    plain = faces.prepare(light.vertices, light.triangles)
    wanted, mm = frames_of(plain, motion)[:, : len(light.vertices)], plain.frame.units_per_mm
    vertices = scan.vertices + np.random.default_rng(0).normal(0, NOISE * mm, scan.vertices.shape)
    triangles = scan.triangles
    if on_floor:
        level, squares = floor(vertices[:, 1].min(), 5000 * mm, 520)
        triangles = np.concatenate([triangles, squares + len(vertices)])
        vertices = np.concatenate([vertices, level])
    vertices, before = vertices.astype(np.float32), stm_benchmark.memory("VmRSS")
    start = time.perf_counter()
    bound = faces.prepare(vertices, triangles)
    took, held = time.perf_counter() - start, stm_benchmark.memory("VmHWM") - before
    dense = frames_of(bound, motion)
    apart = np.linalg.norm(dense[:, : len(light.vertices)] - wanted, axis=2)
    apart = apart[np.linalg.norm(wanted, axis=2) > STILL * mm] / mm
    turned = mouth_motion.turned_over(bound, dense)
    return (
        f"| {len(vertices):,} | {took:.1f} | {held:.2f} | {apart.mean():.2f} | {np.percentile(apart, 99):.2f} "
        f"| {turned:.1f} |"
    )


def main() -> None:
    parser = command.parser(__doc__)
    parser.add_argument("--halvings", type=int, nargs="*", default=[0, 2, 3, 4])
    scans = [(halvings, False) for halvings in parser.parse_args().halvings] + [(2, True)]
    print(HEADER)
    for scan in scans:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            print(pool.apply(row, scan), flush=True)


if __name__ == "__main__":
    command.run(main)
