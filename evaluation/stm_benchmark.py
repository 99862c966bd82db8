"""Seconds and frames per second of STM: `python -m evaluation.stm_benchmark --data ../shared/data`.

Heads of the average ICT identity at several sizes. Processor seconds: set OMP_NUM_THREADS=1 for figures of one core.
The last column is the share of what this machine's own matrix product (sgemm, measured here) would allow.
"""

import argparse
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from evaluation import stm_baselines
from export import ict, scanner
from freetalk_blender.core import frame, spectral, stm


def seconds(action: Callable[[], object], least: float = 0.5) -> float:
    """Median processor time of a call, repeated for at least `least` seconds: other programs do not count."""
    times: list[float] = []
    while not times or sum(times) < least:
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return float(np.median(times))


def head(model: ict.IctModel, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Canonical vertices, triangles and landmark vertices of a re-meshed head of about `count` vertices."""
    scan = scanner.registered(model.neutral, model.triangles)
    scan = scanner.select(scan, scanner.part_mask(model, "head", mouth=True))
    scan = scanner.remesh(scan, count, np.random.default_rng(0), "quadric")
    handles, _ = scanner.landmark_vertices(scan, model)
    similarity = frame.canonical_frame(scan.vertices[handles])
    return similarity.to_canonical(scan.vertices.astype(np.float64)), scan.triangles, handles


def sgemm() -> float:
    """This machine's matrix product, GFLOP/s."""
    a = np.random.default_rng(0).random((2000, 2000), np.float32)
    return 2 * 2000**3 / seconds(lambda: a @ a) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds ict_facekit/")
    parser.add_argument("--sizes", type=int, nargs="+", default=[5_000, 10_000, 20_000, 50_000, 100_000])
    parser.add_argument("--frames", type=int, default=100)
    arguments = parser.parse_args()
    model, peak = ict.load(arguments.data), sgemm()
    rng = np.random.default_rng(0)
    motion = rng.normal(0, 0.01, (arguments.frames, 68, 3)).astype(np.float32)
    print(f"sgemm {peak:.0f} GFLOP/s; {arguments.frames} frames\n")
    print("| vertices | eigenbasis s | bind s | biharmonic s | frames per s | share of sgemm | peak memory GB |")
    print("|---|---|---|---|---|---|---|")
    for size in arguments.sizes:
        vertices, triangles, handles = head(model, size)
        spectrum = classical = float("nan")
        if size <= stm.HEAVY:
            spectrum = seconds(lambda v=vertices, t=triangles: spectral.eigenbasis(v, t), 0)
            biharmonic = stm_baselines.METHODS["biharmonic"]
            classical = seconds(lambda v=vertices, t=triangles, h=handles, b=biharmonic: b(v, t, h), 0)
        bound = stm.bind(vertices, triangles, handles, device="cpu")
        binding = seconds(lambda v=vertices, t=triangles, h=handles: stm.bind(v, t, h, device="cpu"), 0)
        rate = arguments.frames / seconds(lambda b=bound: b.displace(motion))
        share = rate * 2 * bound.everywhere.size / 1e9 / peak
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        times = f"{spectrum:.2f} | {binding:.2f} | {classical:.2f}"
        print(f"| {len(vertices)} | {times} | {rate:.0f} | {share:.0%} | {memory:.1f} |")


if __name__ == "__main__":
    main()
