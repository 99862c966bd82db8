"""Corrupted meshes through check, prepare and animate: `python -m evaluation.fuzz --log build/fuzz.jsonl`.

Each case spoils a face (the sample and, with --data, the scans there, all thinned out) by one to three kinds of damage
and asks for a check-up, a bound face, and shape keys of a short performance. Good is an answer of finite numbers for
the caller's vertices, or one sentence (FreeTalkError). Bad: any other exception, more than a minute of processor time,
values that are not finite, an input array that changed. With --blender every case goes through `freetalk animate` as
an OBJ file.

The log holds one line a case; a second run with the same options goes on where the first stopped. A case depends on
--data, --seed and its number alone. --blender needs the Python of .venv.
"""

import argparse
import importlib.util
import multiprocessing
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import fast_simplification
import numpy as np
from scipy.spatial import cKDTree

from export import command
from freetalk_blender.core import checkup, face, frame, json_lines, landmarks, movement
from freetalk_blender.core.argument_types import whole_number
from freetalk_blender.core.errors import FreeTalkError
from freetalk_blender.core.surface import scan_file
from freetalk_blender.core.surface.rows import renumbered

ROOT = Path(__file__).resolve().parents[1]
#: Vertices of the thinned faces and how far from the landmarks they are cut off (eye distances).
VERTICES, REACH = 1000, 0.25
#: Seconds of processor time that a case may take; share of cases whose landmarks have to be found, and of those whose
#: are given as points.
LIMIT, FOUND, POINTS = 60.0, 0.02, 0.1
#: Seconds on the clock after which a process that uses no processor time counts as stuck.
STUCK = 1800.0
#: Scans under --data: file, landmark file of the project's.
SCANS = (
    ("scans/leeperrysmith/LeePerrySmith_decoded.obj", "tests/landmarks/leeperrysmith.json"),
    ("scans/meshmonk/DemoFace_10K.obj", "tests/landmarks/demoface_10k.json"),
)

Mesh = tuple[np.ndarray, np.ndarray]


def _some(rng: np.random.Generator, count: int) -> np.ndarray:
    """A random choice of 0..count-1, from one to half of them."""
    size = max(1, int(count * 10 ** rng.uniform(-3.5, -0.3)))
    return rng.choice(count, min(size, count), replace=False)


def without_faces(vertices: np.ndarray, triangles: np.ndarray, rng: np.random.Generator) -> Mesh:
    return vertices, np.delete(triangles, _some(rng, len(triangles)), 0)


def without_region(vertices: np.ndarray, triangles: np.ndarray, rng: np.random.Generator) -> Mesh:
    middle = vertices[rng.integers(len(vertices))]
    near = np.linalg.norm(vertices - middle, axis=1) < rng.uniform(0.02, 0.5) * np.ptp(vertices, axis=0).max()
    return vertices, triangles[~near[triangles].any(1)]


def not_finite(vertices: np.ndarray, triangles: np.ndarray, rng: np.random.Generator) -> Mesh:
    vertices[_some(rng, len(vertices)), rng.integers(3)] = rng.choice([np.nan, np.inf, -np.inf])
    return vertices, triangles


def doubled(vertices: np.ndarray, triangles: np.ndarray, rng: np.random.Generator) -> Mesh:
    again = triangles[_some(rng, len(triangles))]
    if rng.random() < 0.5:
        return vertices, np.concatenate([triangles, again])
    return np.concatenate([vertices, vertices]), np.concatenate([triangles, again + len(vertices)])


def flipped(vertices: np.ndarray, triangles: np.ndarray, rng: np.random.Generator) -> Mesh:
    rows = slice(None) if rng.random() < 0.3 else _some(rng, len(triangles))
    triangles[rows] = triangles[rows, ::-1]
    return vertices, triangles


def mirrored(vertices: np.ndarray, triangles: np.ndarray, rng: np.random.Generator) -> Mesh:
    vertices[:, rng.integers(3)] *= -1
    return vertices, triangles


def collapsed(vertices: np.ndarray, triangles: np.ndarray, rng: np.random.Generator) -> Mesh:
    kind = rng.integers(3)
    if kind == 0:
        vertices[_some(rng, len(vertices))] = vertices[rng.integers(len(vertices))]
    elif kind == 1:
        vertices[:, rng.integers(3)] = vertices[0, 0]
    else:
        rows = _some(rng, len(triangles))
        triangles[rows, 0] = triangles[rows, 1]
    return vertices, triangles


def torn(vertices: np.ndarray, triangles: np.ndarray, rng: np.random.Generator) -> Mesh:
    """Every face of its own, or some of them."""
    rows = np.arange(len(triangles)) if rng.random() < 0.3 else _some(rng, len(triangles))
    apart = vertices[triangles[rows]].reshape(-1, 3)
    triangles[rows] = len(vertices) + np.arange(3 * len(rows)).reshape(-1, 3)
    return np.concatenate([vertices, apart]), triangles


def huge(vertices: np.ndarray, triangles: np.ndarray, rng: np.random.Generator) -> Mesh:
    size = 10.0 ** rng.uniform(4, 37)
    if rng.random() < 0.5:
        vertices[_some(rng, len(vertices))] *= np.float32(size)
        return vertices, triangles
    return vertices * np.float32(size ** rng.choice([-1, 1])), triangles


def far_away(vertices: np.ndarray, triangles: np.ndarray, rng: np.random.Generator) -> Mesh:
    return vertices + (rng.normal(size=3) * 10.0 ** rng.uniform(3, 9)).astype(np.float32), triangles


def noisy(vertices: np.ndarray, triangles: np.ndarray, rng: np.random.Generator) -> Mesh:
    step = 10 ** rng.uniform(-3.5, -0.5) * np.ptp(vertices, axis=0).max()
    return (vertices + rng.normal(size=vertices.shape) * step).astype(np.float32), triangles


def tangled(vertices: np.ndarray, triangles: np.ndarray, rng: np.random.Generator) -> Mesh:
    """Corners that name other vertices: fans, non-manifold edges, faces across the head."""
    rows = _some(rng, len(triangles))
    triangles[rows, rng.integers(3)] = rng.integers(len(vertices), size=len(rows))
    return vertices, triangles


def wrong_numbers(vertices: np.ndarray, triangles: np.ndarray, rng: np.random.Generator) -> Mesh:
    triangles[_some(rng, len(triangles)), rng.integers(3)] = rng.choice([-1, len(vertices), 2**31 - 1])
    return vertices, triangles


def empty(vertices: np.ndarray, triangles: np.ndarray, rng: np.random.Generator) -> Mesh:
    kind = rng.integers(4)
    if kind == 0:
        return vertices[:0], triangles[:0]
    return vertices, triangles[: (0, 1, 5)[kind - 1]]


def isolated(vertices: np.ndarray, triangles: np.ndarray, rng: np.random.Generator) -> Mesh:
    """Loose triangles and loose vertices around the head."""
    more = vertices.mean(0) + rng.normal(size=(3 * rng.integers(1, 200), 3)) * np.ptp(vertices, axis=0)
    loose = len(vertices) + np.arange(len(more)).reshape(-1, 3)
    faces = loose if rng.random() < 0.7 else loose[:0]
    return np.concatenate([vertices, more.astype(np.float32)]), np.concatenate([triangles, faces.astype(np.int32)])


#: In the order in which they are done: the last leaves nothing that another could work on.
DAMAGE: tuple[Callable[[np.ndarray, np.ndarray, np.random.Generator], Mesh], ...] = (
    without_faces, without_region, not_finite, doubled, flipped, mirrored, collapsed, torn, huge, far_away, noisy,
    tangled, isolated, empty, wrong_numbers,
)  # fmt: skip


def thinned(path: Path, marks: Path, count: int = VERTICES) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(vertices, triangles, landmarks (68,3)) of a scan's face with about `count` vertices."""
    vertices, triangles = scan_file.read(path)
    points = landmarks.read(marks).points
    near = cKDTree(points).query(vertices)[0] < REACH * np.linalg.norm(points[45] - points[36])
    used, triangles = renumbered(triangles[near[triangles].all(1)], len(vertices))
    vertices, triangles = vertices[used], triangles.astype(np.int32)
    if len(vertices) > count:
        share = 1 - count / len(vertices)
        vertices, triangles = fast_simplification.simplify(vertices, triangles, target_reduction=share)[:2]
    return vertices.astype(np.float32), triangles.astype(np.int32), points


def faces(data: Path | None) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The faces that are spoiled."""
    chosen = [(ROOT / "examples/head.obj", ROOT / "examples/head.landmarks.json")]
    if data:
        chosen += [(data / scan, ROOT / marks) for scan, marks in SCANS]
    return [thinned(*paths) for paths in chosen]


def case(seed: int, number: int, whole: list) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray | None]:
    """(kinds of damage, vertices, triangles, landmarks or None) of one case."""
    rng = np.random.default_rng([seed, number])
    vertices, triangles, points = (array.copy() for array in whole[rng.integers(len(whole))])
    chance = rng.random()  # landmarks that are vertices follow whatever becomes of those
    index = landmarks.nearest_vertices(points, vertices)
    given = None if chance < FOUND else points if chance < FOUND + POINTS else index
    kinds = np.sort(rng.choice(len(DAMAGE), rng.choice([1, 1, 2, 3]), replace=False))
    with np.errstate(all="ignore"):
        for kind in kinds:
            if len(vertices) and len(triangles):
                vertices, triangles = DAMAGE[kind](vertices, triangles, rng)
    return [DAMAGE[kind].__name__ for kind in kinds], vertices, triangles, given


def motion() -> np.ndarray:
    """(T,68,3) canonical: the jaw opens by 18 of 90 mm and closes again."""
    jaw = np.zeros((68, 3), np.float32)
    jaw[[5, 6, 7, 8, 9, 10, 11, 55, 56, 57, 58, 59, 65, 66, 67], 1] = -0.2
    return np.array([0, 0.3, 1, 0.3, 0], np.float32)[:, None, None] * jaw


def in_core(vertices: np.ndarray, triangles: np.ndarray, points: np.ndarray | None) -> str:
    """What became of one mesh: "answer", or the sentence; AssertionError where the answer is none."""
    before = vertices.copy(), triangles.copy()
    told = ""
    report = checkup.check_up(vertices, triangles, points)
    assert report.findings and all(finding.sentence for finding in report.findings), "the check-up says nothing"
    try:
        bound = face.prepare(vertices, triangles, points)
        keys = movement.shape_keys(bound, motion())
        dense = movement.deform(bound, motion())
        assert dense.shape == (5, *vertices.shape), f"displacement of shape {dense.shape}"
        assert np.isfinite(dense).all() and np.isfinite(keys.shapes).all(), "displacement that is not finite"
    except FreeTalkError as error:
        told = str(error)
        assert told and "\n" not in told, "no sentence"
    same = np.array_equal(before[0], vertices, equal_nan=True) and np.array_equal(before[1], triangles)
    assert same, "the input was changed"
    return told or "answer"


def in_blender(vertices: np.ndarray, triangles: np.ndarray, points: np.ndarray | None, voice: Path) -> str:
    """The same for `freetalk animate`: an OBJ file in, a .glb out; exit code 0 with a file or 3 with a sentence."""
    with tempfile.TemporaryDirectory() as folder:
        scan, out = Path(folder) / "scan.obj", Path(folder) / "out.glb"
        lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in vertices.astype(float).tolist()]
        lines += ["f " + " ".join(str(corner + 1) for corner in corners) for corners in triangles.tolist()]
        scan.write_text("\n".join(lines) + "\n")
        before, words = scan.read_bytes(), ["animate", scan, voice, "-o", out, "--fps", "10"]
        if points is not None and points.ndim == 1:
            with np.errstate(all="ignore"):
                points = vertices[points].astype(float) if points.max() < len(vertices) else None
        if points is not None:
            marks = Path(folder) / "marks.json"
            landmarks.write(marks, landmarks.Landmarks(points))
            words += ["--landmarks", marks]
        command = [sys.executable, "-m", "freetalk_blender", *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, cwd=ROOT)
        assert scan.read_bytes() == before, "the file was changed"
        sentences = [line.strip() for line in done.stderr.splitlines() if line.strip().startswith("freetalk: ")]
        if done.returncode == 0:
            assert out.stat().st_size > 0
            return "answer"
        assert done.returncode == 3 and sentences and not out.exists(), f"exit code {done.returncode}: {done.stderr}"
        return sentences[-1].removeprefix("freetalk: ")


def judge(run: Callable[..., str], seed: int, number: int, whole: list) -> dict:
    """One line of the log."""
    kinds, *scan = case(seed, number, whole)
    start = time.process_time()
    try:
        with np.errstate(all="ignore"):
            outcome, good = run(*scan), True
    except BaseException:
        outcome, good = traceback.format_exc(limit=-4), False
    return {
        "case": number, "damage": kinds, "good": good, "outcome": outcome,
        "seconds": round(time.process_time() - start, 2),
    }  # fmt: skip


def _work(pipe: Connection, arguments: argparse.Namespace, whole: list) -> None:
    run: Callable[..., str] = in_core
    if arguments.blender:
        voice = arguments.log.with_suffix(".wav")
        if not voice.exists():
            import soundfile

            soundfile.write(voice, (0.1 * np.sin(np.arange(8000) / 6)).astype(np.float32), 16000)

        def run(vertices: np.ndarray, triangles: np.ndarray, points: np.ndarray | None) -> str:
            return in_blender(vertices, triangles, points, voice)

    frame.mean_landmarks()
    pipe.send("ready")
    while True:
        number = pipe.recv()
        signal.setitimer(signal.ITIMER_PROF, LIMIT)  # of processor time, then the system ends this process
        line = judge(run, arguments.seed, number, whole)
        signal.setitimer(signal.ITIMER_PROF, 0)
        pipe.send(line)


def _worker(arguments: argparse.Namespace, whole: list) -> tuple[BaseProcess, Connection]:
    ours, theirs = multiprocessing.Pipe()
    worker = multiprocessing.get_context("spawn").Process(target=_work, args=(theirs, arguments, whole), daemon=True)
    worker.start()
    theirs.close()
    ours.recv()
    return worker, ours


def run_all(arguments: argparse.Namespace, todo: list[int]) -> None:
    """Append a line for each case; a worker that hangs or dies is replaced."""
    of = options(arguments)
    whole = faces(arguments.data)
    worker, pipe = _worker(arguments, whole)
    with json_lines.adding(arguments.log) as add:
        for number in todo:
            pipe.send(number)
            try:
                line = pipe.recv() if pipe.poll(STUCK) else None
                reason = "it waits for ever"
            except EOFError:
                line, reason = None, "more than a minute, or the process died"
            if line is None:
                worker.kill()
                worker, pipe = _worker(arguments, whole)
                line = {"case": number, "damage": [], "good": False, "outcome": reason, "seconds": LIMIT}
            add(line | {"of": of})
    worker.kill()


def options(arguments: argparse.Namespace) -> list:
    """What the cases of a log have in common."""
    return [str(arguments.data), arguments.seed, arguments.blender]


def summary(lines: list[dict]) -> str:
    """What became of all cases."""
    answers = sum(line["outcome"] == "answer" for line in lines)
    bad = [line for line in lines if not line["good"]]
    seconds = np.array([line["seconds"] for line in lines])
    told = Counter(" ".join(line["outcome"].split()[:7]) for line in lines if line["good"])
    rows = [f"{count:6}  {start} ..." for start, count in told.most_common(20)]
    failures = [f"case {line['case']} ({', '.join(line['damage'])}): {line['outcome'].strip()}" for line in bad]
    head = f"{len(lines)} cases: {answers} answers, {len(lines) - answers - len(bad)} sentences, {len(bad)} failures; "
    head += f"seconds: median {np.median(seconds):.1f}, longest {seconds.max():.1f}"
    return "\n".join([head, *rows, *failures])


def main() -> None:
    parser = command.parser(__doc__)
    parser.add_argument("--data", type=Path, help="folder that holds scans/")
    parser.add_argument("--cases", type=whole_number(1), default=2000)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--blender", action="store_true", help="through `freetalk animate`, with bpy")
    parser.add_argument("--log", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.blender and importlib.util.find_spec("bpy") is None:
        raise FreeTalkError("--blender needs Blender as a module; take the Python of .venv.")
    arguments.log.parent.mkdir(parents=True, exist_ok=True)
    before = json_lines.read(arguments.log) if arguments.log.is_file() else []
    if any(line.get("of") != options(arguments) for line in before):
        raise FreeTalkError(f"{arguments.log} holds cases of other options; give another --log.")
    done = {line["case"] for line in before}
    run_all(arguments, [number for number in range(arguments.cases) if number not in done])
    lines = json_lines.read(arguments.log)
    print(summary([line for line in lines if line["case"] < arguments.cases]))


if __name__ == "__main__":
    command.run(main)
