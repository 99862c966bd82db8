"""The jobs of a batch in processes of their own on this machine, each with its share of the processors.

A job that has a face to itself is a command line of its own (`work`). Jobs of one face are handed over one by one to a
process (`_Worker`) that answers as `serve` does and keeps what it has bound; where a job ends it, the others go on in a
new one.
"""

import io
import json
import math
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import IO, Any

from .batch import Job, Outcome

#: The one word of a command line that does the jobs that are handed over.
TOGETHER = "jobs-of-a-batch"
#: What its answers begin with.
ANSWER = "freetalk answers: "
#: So many jobs at most are handed to one process, for Blender keeps some memory of each.
_AT_MOST = 50
#: Seconds between looks whether a job is still wanted.
_PATIENCE = 0.5
#: Seconds in which a process that is not wanted may end by itself: Windows ends it without asking, so that half-written
#: files stay, but a Ctrl C reaches all processes of a console there.
_GRACE = 5.0 if os.name == "nt" else 0.0


def processors() -> int:
    """How many this process may use, which a container or a farm may have made fewer than there are."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def run(jobs: list[Job], workers: int) -> Iterator[Outcome]:
    """Outcomes as they come, of at most `workers` jobs at a time; where the caller stops, those at work are ended."""
    threads, ended = max(1, processors() // workers), threading.Event()
    outcomes: queue.SimpleQueue[Outcome | BaseException] = queue.SimpleQueue()

    def work_on(group: list[Job]) -> None:
        try:
            for outcome in _one_by_one(group, threads, ended.is_set):
                outcomes.put(outcome)
        except BaseException as error:
            outcomes.put(error)

    with ThreadPoolExecutor(workers) as pool:
        waiting = [pool.submit(work_on, group) for group in groups(jobs, workers)]
        try:
            for _ in jobs:
                outcome = outcomes.get()
                if isinstance(outcome, BaseException):
                    raise outcome
                yield outcome
        finally:
            ended.set()
            for future in waiting:
                future.cancel()


def groups(jobs: list[Job], workers: int) -> list[list[Job]]:
    """Jobs that one process shall do: of the same face, and so few that every worker has some."""
    size, of_face = min(_AT_MOST, math.ceil(len(jobs) / workers)), dict[tuple[str, ...], list[Job]]()
    for job in jobs:
        of_face.setdefault(job.face, []).append(job)
    return [alike[start : start + size] for alike in of_face.values() for start in range(0, len(alike), size)]


def _one_by_one(group: list[Job], threads: int, ended: Callable[[], bool]) -> Iterator[Outcome]:
    """Do jobs in one process, and after one that ends it the others in a new one, until ended() holds."""
    if len(group) == 1:
        yield work(group[0], threads, ended)
        return
    waiting = deque(group)
    while waiting and not ended():
        with _worker(threads) as worker:
            while waiting and worker.lives:
                yield worker.do(waiting.popleft(), ended)


# A job by itself ------------------------------------------------------------------------------------------------------


def work(job: Job, threads: int, ended: Callable[[], bool]) -> Outcome:
    """Do one job in a process with so many threads; the process is ended once ended() holds."""
    if ended():
        return Outcome(job, 0.0, "interrupted")
    start = time.perf_counter()
    with _freetalk([*job.words, "--json"], threads, stderr=subprocess.PIPE) as process:
        printed, told = _said(process, ended)
    return _outcome(job, time.perf_counter() - start, process.returncode, printed, told)


def _said(process: subprocess.Popen[str], ended: Callable[[], bool]) -> tuple[str, str]:
    """What a process wrote to either stream; it is ended once ended() holds."""
    while True:
        try:
            return process.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            if ended():
                _end(process)


# Jobs that are handed over --------------------------------------------------------------------------------------------


@contextmanager
def _worker(threads: int) -> Iterator["_Worker"]:
    """A process that does jobs one after the other, and ends where there are no more."""
    with (
        tempfile.TemporaryFile() as told,
        _freetalk([TOGETHER], threads, stdin=subprocess.PIPE, stderr=told) as process,
    ):
        worker = _Worker(process, told)
        try:
            yield worker
        finally:
            worker.close()


class _Worker:
    """What hands jobs to such a process, for as long as it lives."""

    def __init__(self, process: subprocess.Popen[str], told: IO[bytes]) -> None:
        self._process, self._told = process, told
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            if line.startswith(ANSWER) and line.endswith("\n"):  # a process may end in the middle of one
                self._answers.put(line.removeprefix(ANSWER))
        self._answers.put("")

    def close(self) -> None:
        with suppress(OSError):  # a process that has ended takes nothing more
            if self._process.stdin:
                self._process.stdin.close()
        self._process.wait()
        self._reading.join()

    @property
    def lives(self) -> bool:
        """Whether no job has ended the process yet."""
        return self._process.returncode is None

    def do(self, job: Job, ended: Callable[[], bool]) -> Outcome:
        """Do one job; the process is ended once ended() holds."""
        if ended():
            return Outcome(job, 0.0, "interrupted")
        start = time.perf_counter()
        with suppress(OSError):  # a process that has ended says nothing
            print(json.dumps([*job.words, "--json"]), file=self._process.stdin, flush=True)
        if answer := self._answer(ended):
            code, printed, told = json.loads(answer)
        else:
            code, printed = self._process.wait(), ""
            self._told.seek(0)
            told = self._told.read().decode("utf-8", "replace")
        return _outcome(job, time.perf_counter() - start, code, printed, told)

    def _answer(self, ended: Callable[[], bool]) -> str:
        """What the process answers, nothing where it has ended."""
        while True:
            try:
                return self._answers.get(timeout=_PATIENCE)
            except queue.Empty:
                if ended():
                    _end(self._process)


def serve(run: Callable[[list[str]], int], last: Collection[int]) -> int:
    """What such a process does: lines of words come in, and a line of what became of each goes out; whatever else is
    written goes to stderr. run(words) does a command, its exit code; after one of `last` no more is done."""
    sys.stdout.flush()
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        for line in sys.stdin:
            printed, told = io.StringIO(), io.StringIO()
            with redirect_stdout(printed), redirect_stderr(told):
                code = run(json.loads(line))
            if code in last:
                sys.stderr.write(told.getvalue())
                return code
            answers.write(f"{ANSWER}{json.dumps([code, printed.getvalue(), told.getvalue()])}\n")
            answers.flush()
    return 0


# Either ---------------------------------------------------------------------------------------------------------------


def _end(process: subprocess.Popen[str]) -> None:
    """End a process that does not end by itself in time."""
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.terminate()


def _freetalk(words: list[str], threads: int, **streams: Any) -> subprocess.Popen[str]:
    """FreeTalk's command line in a process of its own, which uses so many threads."""
    return subprocess.Popen(
        [*_door(), *words],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        env=_environment(threads),
        **streams,
    )


def _door() -> list[str]:
    """The command that starts FreeTalk anew: this Blender, or this Python."""
    bpy = sys.modules.get("bpy")
    if bpy is not None and bpy.app.binary_path:
        return [bpy.app.binary_path, "--command", "freetalk"]
    return [sys.executable, "-m", __package__]


def _environment(threads: int) -> dict[str, str]:
    package = Path(__file__).resolve().parent
    paths = [str(package.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    limits = dict.fromkeys(("FREETALK_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    return {**limits, **os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _outcome(job: Job, seconds: float, code: int, printed: str, told: str) -> Outcome:
    """What became of a job by its exit code and what it wrote to either stream."""
    if code == 0:
        try:
            return Outcome(job, seconds, answer=json.loads(printed.strip().splitlines()[-1]), notes=_sentences(told))
        except (ValueError, IndexError):
            return Outcome(job, seconds, "The job ended without an answer; run it by itself to see why.")
    return Outcome(job, seconds, _why(told, code))


def _why(told: str, code: int) -> str:
    """The sentence of a job that failed, as the command line said it."""
    if sentences := _sentences(told):
        return sentences[-1]
    last = (told.strip().splitlines() or ["nothing was said"])[-1]
    return f"The job ended with exit code {code} ({last}); run it by itself to see why."


def _sentences(told: str) -> tuple[str, ...]:
    """What a command line said to the person."""
    start = "freetalk: "
    return tuple(line.removeprefix(start) for line in told.splitlines() if line.startswith(start))
