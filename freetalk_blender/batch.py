"""Many animations by one command: `freetalk batch JOBS.json`.

JOBS.json holds a list of jobs, or {"defaults": {...}, "jobs": [...]}. A job names what `animate` takes: "scan",
"audio", "outputs" (one or a list), and any of its options by its long name: "emotion" ("happy=0.8" or {"happy": 0.8}),
"vad" ([V, A, D]), "landmarks", "fps", "keep-mouth" (true), ...; null takes a default back, and so does an empty path.
Paths are relative to the folder of JOBS.json.

Jobs run in processes of their own, so that none can harm another: on this machine, where jobs of the same face, bound
in the same way, follow each other in one process and bind it once, or with --scheduler on the workers of a Dask
cluster, which have FreeTalk installed and see the same folders. What became of each, and what it said of scan and
sound, is a line of JOBS.results.jsonl beside the list; the last one of each counts. `--resume` leaves out the jobs that
are done there, as they stand and as the files that they read are now, while what they wrote is there and no other job
wrote it since.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .core import atomic, json_lines, readable, same_file
from .core.errors import FreeTalkError

#: Keys of a job whose values are paths.
_PATHS = ("scan", "audio", "outputs", "landmarks", "emotion_curve", "style_curve")
_REQUIRED = ("scan", "audio", "outputs")
#: Options by which one scan is bound in several ways.
_BINDING = ("--landmarks", "--object", "--keep-mouth", "--inner-mouth", "--eyeballs", "--device")
#: Of so many jobs that are wrong it is told at once.
_TOLD = 5


class BatchError(FreeTalkError):
    """The list of jobs cannot be read or cannot be done as it stands."""


@dataclass(frozen=True)
class Job:
    """One animation: its place in the list (from 1), the words of the command line after `freetalk`, what it writes and
    reads, and what the files that it reads were like when the list was read."""

    number: int
    words: tuple[str, ...]
    outputs: tuple[Path, ...]
    reads: tuple[Path, ...] = ()
    inputs: tuple[str, ...] = ()

    @property
    def face(self) -> tuple[str, ...]:
        """The same of jobs that bind one face in one way."""
        return self.words[1], *sorted(word for word in self.words if word.partition("=")[0] in _BINDING)

    @property
    def fingerprint(self) -> str:
        """Says whether a remembered result is of this very job."""
        said = "\0".join([*self.words, *self.inputs]).encode("utf-8", "surrogatepass")  # paths need be no text
        return hashlib.sha256(said).hexdigest()[:16]


@dataclass(frozen=True)
class Outcome:
    """What became of a job; sentence: why it failed, empty where it is done; answer: what `animate --json` printed;
    notes: what it said of scan and sound."""

    job: Job
    seconds: float
    sentence: str = ""
    answer: dict | None = None
    notes: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        return not self.sentence

    def line(self) -> dict:
        """As a line of the results' file."""
        told = {"job": self.job.number, "fingerprint": self.job.fingerprint, "done": self.done}
        told |= {"outputs": [str(path) for path in self.job.outputs], "seconds": round(self.seconds, 2)}
        if not self.done:
            return told | {"error": self.sentence}
        return told | {"answer": self.answer} | ({"notes": list(self.notes)} if self.notes else {})


# The list -------------------------------------------------------------------------------------------------------------


def read(path: Path, known: Collection[str], check: Callable[[list[str]], str]) -> list[Job]:
    """The jobs of a file; known: what a job may say; check(words) says what is wrong with a command's words, empty
    where nothing is.

    Raises BatchError with the file and the first jobs that are wrong where the list is not one that can be done.
    """
    try:
        content = json.loads(readable.text(path))
    except OSError as error:
        raise BatchError(f"The jobs {path} cannot be read ({error.strerror or error}); check the path.") from error
    except (ValueError, RecursionError) as error:
        raise BatchError(f"The jobs {path} are not valid JSON ({error}); fix the file.") from error
    whole = content if isinstance(content, dict) else {"jobs": content}
    defaults, listed = whole.get("defaults", {}), whole.get("jobs")
    if (
        not isinstance(listed, list)
        or not listed
        or not isinstance(defaults, dict)
        or set(whole) - {"jobs", "defaults"}
    ):
        raise BatchError(f'{path} must hold a list of jobs, or "jobs" and "defaults"; see freetalk batch --help.')
    jobs, wrong = list[Job](), list[str]()
    for number, job in enumerate(listed, 1):
        try:
            jobs.append(_job(path, number, job, defaults, known, check))
        except BatchError as error:
            wrong.append(str(error))
    if wrong:
        more = [f"And {len(wrong) - _TOLD} more."] if len(wrong) > _TOLD else []
        raise BatchError("\n".join(wrong[:_TOLD] + more))
    _refuse_shared_files(path, jobs)
    return jobs


def _job(
    path: Path, number: int, job: Any, defaults: dict, known: Collection[str], check: Callable[[list[str]], str]
) -> Job:
    if not isinstance(job, dict):
        raise BatchError(f"Job {number} of {path} is not an object with scan, audio and outputs; fix it.")
    said = {key.replace("-", "_"): value for whole in (defaults, job) for key, value in whole.items()}
    unknown = sorted(set(said) - set(known))
    if unknown:
        raise BatchError(f"Job {number} of {path} says {' and '.join(unknown)}, which animate does not know; fix it.")
    given = {key: value for key, value in said.items() if value is not None and not (key in _PATHS and value == "")}
    missing = [key for key in _REQUIRED if not given.get(key)]
    if missing:
        raise BatchError(f"Job {number} of {path} does not say its {' and '.join(missing)}; add it.")
    for key in _PATHS:
        if key in given:
            given[key] = _resolved(path, number, key, given[key])
    reads = tuple(given[key][0] for key in _PATHS if key in given and key != "outputs")
    words = ["animate", str(given.pop("scan")[0]), str(given.pop("audio")[0])]
    outputs = given.pop("outputs")
    words += [f"--output={output}" for output in outputs]
    for key, value in given.items():
        option = [*_option(key, value)]
        if not all(map(_can_be_given, option)):
            raise BatchError(f"Job {number} of {path} needs text as its {key}, not {json.dumps(value)}; fix it.")
        words += option
    wrong = check(words)
    if wrong:
        raise BatchError(f"Job {number} of {path}: {wrong.rstrip('.')}; fix it.")
    return Job(number, tuple(words), tuple(outputs), reads, tuple(map(_state, reads)))


def _state(path: Path) -> str:
    """The size of a file and when it was changed, which tell whether it is the same; empty where it is missing."""
    try:
        found = path.stat()
    except OSError:
        return ""
    return f"{found.st_size} {found.st_mtime_ns}"


def _resolved(path: Path, number: int, key: str, value: Any) -> list[Path]:
    """Absolute paths of a job's value, which is one path or, for outputs, a list of them."""
    listed = value if isinstance(value, list) and key == "outputs" else [value]
    if not all(isinstance(item, str) and _can_be_given(item) for item in listed):
        raise BatchError(f"Job {number} of {path} needs a path as its {key}, not {json.dumps(value)}; fix it.")
    return [Path(os.path.abspath(path.parent / item)) for item in listed]


def _can_be_given(text: str) -> bool:
    """A program can be given the text as a word, and so as a path."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _option(key: str, value: Any) -> Iterator[str]:
    """The words of one option: none for false, a bare one for true."""
    name = "--" + key.replace("_", "-")
    if value is True:
        yield name
    elif isinstance(value, dict):
        yield f"{name}={','.join(f'{part}={weight}' for part, weight in value.items())}"
    elif isinstance(value, list):
        yield f"{name}={','.join(map(str, value))}"
    elif value is not False:
        yield f"{name}={value}"


def _refuse_shared_files(path: Path, jobs: list[Job]) -> None:
    """Jobs run side by side, and in any order: none may write what another writes or reads."""
    owner: dict[str, int] = {}  # of a file, whichever path leads to it
    for job in jobs:
        for output in job.outputs:
            first = owner.setdefault(same_file.identity(output), job.number)
            if first != job.number:
                raise BatchError(f"Jobs {first} and {job.number} of {path} both write {output}; rename one.")
    for job in jobs:
        for read in job.reads:
            first = owner.get(same_file.identity(read), job.number)
            if first != job.number:
                raise BatchError(
                    f"Job {job.number} of {path} reads {read}, which job {first} writes, and jobs run side by "
                    "side; put it into a list of its own, and do that afterwards."
                )


# What is done ---------------------------------------------------------------------------------------------------------


def results_path(path: Path) -> Path:
    """Where the results of a list of jobs are kept."""
    return path.with_suffix(".results.jsonl")


def left(path: Path, jobs: list[Job]) -> list[Job]:
    """The jobs that the results' file does not know as done, or whose files are gone, or another job's by now."""
    results = results_path(path)
    known = json_lines.read(results) if results.is_file() else []
    last = {output: line for line in known for output in _outputs(line)}

    def stands(job: Job, output: Path) -> bool:
        line = last.get(str(output), {})
        return bool(line.get("done")) and line.get("fingerprint") == job.fingerprint and output.is_file()

    return [job for job in jobs if not all(stands(job, output) for output in job.outputs)]


def _outputs(line: dict) -> list[str]:
    """The files that a line of results names; none where it is damaged."""
    named = line.get("outputs")
    return [output for output in named if isinstance(output, str)] if isinstance(named, list) else []


@contextmanager
def record(path: Path, keep: bool) -> Iterator[Callable[[Outcome], None]]:
    """A function that adds an outcome to the results' file; keep: what is there stays, else only until every job is
    through, so that a run that is stopped takes nothing back that it did not do again. What another run of the list
    adds meanwhile stays."""
    target, mine = results_path(path), set[str]()
    before = Counter(_written(target))
    with json_lines.adding(target) as add:

        def note(outcome: Outcome) -> None:
            add(outcome.line())
            mine.add(json.dumps(outcome.line()))

        yield note
    if not keep:
        there = [*(Counter(_written(target)) - before).elements()]
        taken = sorted(mine.difference(there))  # by another run, which took them for older ones
        with atomic.output(target) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in (*taken, *there)), encoding="utf-8")


def _written(results: Path) -> list[str]:
    """The lines of a results' file; none where it is not there."""
    return [json.dumps(row) for row in json_lines.read(results)] if results.is_file() else []
