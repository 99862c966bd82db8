"""Seconds, memory and frames per second of STM: `python -m evaluation.stm_benchmark --data ../shared/data`.

Heads of the average ICT identity at several sizes, each measured in a process of its own on one core, in processor
seconds: other programs do not count. Compared with a biharmonic field of 68 handles and with a DiffusionNet decoder run
once per frame. "share of sgemm": of what this machine's own matrix product, measured here, would allow.
"""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
from scipy.spatial import cKDTree

from evaluation import diffusion_decoder, stm_baselines
from export import command, ict, remeshing, scanning, stm_data
from freetalk_blender.core import frame
from freetalk_blender.core.argument_types import whole_number
from freetalk_blender.core.binding import proxy, stm
from freetalk_blender.core.surface import spectral

#: Larger heads are made by halving the edges of smaller ones.
_REMESHED = 40_000
#: Vertices up to which the biharmonic field, the eigenbasis and the decoder are timed too.
_CLASSICAL, _SPECTRUM, _DECODER = 100_000, 20_000, 500_000
#: Numbers of dense motion made at a time, as a clip that does not fit in memory is.
_CHUNK = 8_000_000
HEADER = (
    "| vertices | bind s | biharmonic s | eigenbasis s (not used) | frames per s | share of sgemm"
    " | biharmonic frames per s | DiffusionNet frames per s | ours : DiffusionNet | memory GB |"
)


def seconds(action: Callable[[], object], least: float = 0.5) -> float:
    """Median processor time of a call, repeated for at least `least` seconds."""
    times: list[float] = []
    while not times or sum(times) < least:
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return float(np.median(times))


def head(model: ict.IctModel, count: int) -> tuple[scanning.Scan, np.ndarray]:
    """A re-meshed head of about `count` vertices, in canonical units, and its landmark vertices."""
    scan = scanning.parts(model, model.neutral, "head", mouth=True)
    halvings = 0
    while count / 4**halvings > _REMESHED:
        halvings += 1
    scan = remeshing.remesh(scan, int(count / 4**halvings), np.random.default_rng(0), "quadric")
    found, _ = scanning.landmark_vertices(scan, model)
    for _ in range(halvings):
        scan = remeshing.subdivide(scan)
    similarity = frame.canonical_frame(scan.vertices[found])
    return replace(scan, vertices=similarity.to_canonical(scan.vertices.astype(np.float64))), found


def sgemm() -> float:
    """This machine's matrix product, GFLOP/s."""
    a = np.random.default_rng(0).random((2000, 2000), np.float32)
    return 2 * 2000**3 / seconds(lambda: a @ a) / 1e9


def memory(key: str) -> float:
    """GB of this process: VmRSS now, VmHWM the most so far (ru_maxrss would count the parent's)."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    line = next(line for line in lines if line.startswith(key))
    return int(line.split()[1]) / 1e6


def measure(path: str, frames: int, peak: float) -> str:
    """A row of the table for the head in a file that `main` wrote."""
    with np.load(path) as arrays:
        vertices, triangles, found = arrays["vertices"], arrays["triangles"], arrays["landmarks"]
    before = memory("VmRSS")
    motion = np.random.default_rng(0).normal(0, 0.01, (frames, 68, 3)).astype(np.float32)
    count = len(vertices)
    start = time.process_time()
    bound = stm.bind(vertices, triangles, found, device="cpu")
    binding = time.process_time() - start

    def play() -> None:
        step = max(1, _CHUNK // (3 * bound.count))
        for first in range(0, frames, step):
            bound.displace(motion[first : first + step])

    play()
    held = memory("VmHWM") - before
    rate = frames / seconds(play)
    share = rate * 2 * bound.everywhere.size / 1e9 / peak
    classical = spectrum = simple = decoded = float("nan")
    if count <= 1.1 * _CLASSICAL:
        start = time.process_time()
        weights = stm_baselines.METHODS["biharmonic"](vertices, triangles, found).astype(np.float32)
        classical = time.process_time() - start
        columns = np.ascontiguousarray(motion.transpose(1, 0, 2).reshape(68, -1))
        simple = frames / seconds(lambda: weights @ columns)
    if count <= 1.1 * _SPECTRUM:
        spectrum = seconds(lambda: spectral.eigenbasis(vertices, triangles), 0)
    if count <= 1.1 * _DECODER:
        decoded = decoder_rate(vertices, triangles)
    times = (
        f"{binding:.2f} | {classical:.2f} | {spectrum:.2f} | {rate:,.0f} | {share:.0%} | {simple:,.0f} | {decoded:,.1f}"
    )
    return f"| {count:,} | {times} | {rate / decoded:,.0f} | {held:.2f} |".replace("nan", "-")


def decoder_rate(vertices: np.ndarray, triangles: np.ndarray) -> float:
    """Frames per processor second of the DiffusionNet decoder."""
    import torch

    torch.set_num_threads(1)
    operators = diffusion_decoder.Operators(*spectral.laplacian(vertices, triangles))
    network, code = diffusion_decoder.Decoder(), torch.zeros(diffusion_decoder.WIDTH)
    positions = torch.from_numpy(vertices.astype(np.float32))
    with torch.no_grad():
        network(positions, code, operators)
        return 1 / seconds(lambda: network(positions, code, operators))


def agreement(model: ict.IctModel, motion: np.ndarray, sizes: tuple[int, ...]) -> Iterator[str]:
    """One face at several samplings: mean distance (mm) of the motion from that of the finest, where it moves."""
    signature = model.neutral + 2 * model.expression[model.index("jawOpen")]  # tells lips that touch apart
    *_, finest = faces = [head(model, size) for size in sizes]
    moves = [stm.bind(s.vertices, s.triangles, found, device="cpu").displace(motion) for s, found in faces]
    for (scan, _), moved in zip(faces[:-1], moves[:-1], strict=True):
        nearest = cKDTree(finest[0].carry @ signature).query(scan.carry @ signature)[1]
        place, shares = proxy.places(scan.vertices, nearest, finest[0].vertices, finest[0].triangles)
        carried = np.einsum("tpkc,pk->tpc", moves[-1][:, finest[0].triangles[place]], shares)
        apart = np.linalg.norm(moved - carried, axis=2) * frame.EYE_DISTANCE_MM
        mean = apart[:, moved.any((0, 2))].mean()
        yield f"{len(scan.vertices):,} against {len(finest[0].vertices):,} vertices: {mean:.3f} mm"


def stand_in(model: ict.IctModel, motion: np.ndarray, count: int = 60_000) -> float:
    """Mean distance (mm) between binding by a stand-in and binding directly, over the vertices that move."""
    scan, found = head(model, count)
    moved = []
    for limit in (10 * count, 0):
        with mock.patch.object(stm, "HEAVY", limit):
            moved.append(stm.bind(scan.vertices, scan.triangles, found, device="cpu").displace(motion))
    apart = np.linalg.norm(moved[0] - moved[1], axis=2) * frame.EYE_DISTANCE_MM
    return float(apart[:, moved[0].any((0, 2))].mean())


def main() -> None:
    parser = command.parser(__doc__, "ict_facekit/")
    parser.add_argument(
        "--sizes", type=int, nargs="*", default=[5_000, 10_000, 20_000, 50_000, 100_000, 500_000, 2_000_000]
    )
    parser.add_argument("--frames", type=whole_number(1), default=100)
    arguments = parser.parse_args()
    model, peak = ict.load(arguments.data), sgemm()
    print(f"sgemm {peak:.0f} GFLOP/s; {arguments.frames} frames\n\n{HEADER}\n|" + "---|" * 10)
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        for size in arguments.sizes:
            scan, found = head(model, size)
            path = f"{folder}/{size}.npz"
            np.savez(path, vertices=scan.vertices, triangles=scan.triangles, landmarks=found)
            del scan
            with context.Pool(1) as pool:
                print(pool.apply(measure, (path, arguments.frames, peak)), flush=True)
    motion = model.landmark_motion(np.eye(len(model.expression))[stm_data.skin_expressions(model)])
    print(
        "\nThe same face sampled otherwise, mean difference over all shapes: "
        + "; ".join(agreement(model, motion, (3_000, 10_000, 59_000)))
    )
    print(f"By a stand-in against directly, 60,000 vertices: {stand_in(model, motion):.3f} mm")


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # for the processes to come
    command.run(main)
