"""FreeTalk's command line: `freetalk`, `python -m freetalk_blender` and `blender --command freetalk`.

Results go to stdout, progress to stderr. Exit codes: 0 done; 2 wrong usage; 3 bad input, or a file that the system
refuses (one sentence, nothing half-written); 4 some jobs of a batch, or networks in doctor, failed; 130 interrupted;
143 ended by SIGTERM, SIGHUP or SIGBREAK. bpy is imported by the commands that need it.
"""

import argparse
import contextlib
import functools
import io
import json
import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TypeAlias

from . import batch, cluster, commands, options, processes
from .core import cancel, doctor, key_sets
from .core.argument_types import whole_number
from .core.errors import TOLD, sentence
from .progress import Progress

DONE, BAD_INPUT, SOME_FAILED, INTERRUPTED, TERMINATED = 0, 3, 4, 130, 143
#: What commands are added to.
_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main(words: list[str] | None = None) -> int:
    """Run one command, or the jobs that a batch hands over; the exit code."""
    _open_streams()
    words = sys.argv[1:] if words is None else words
    run = functools.partial(_run, kept={})
    return processes.serve(run, (INTERRUPTED, TERMINATED)) if words == [processes.TOGETHER] else run(words)


def _run(words: list[str], kept: dict) -> int:
    """Run one command; kept: what it leaves for another one; the exit code."""
    try:
        arguments = parser().parse_args(_attached(words), argparse.Namespace(kept=kept))
    except SystemExit as stopped:  # argparse has printed its own words; in Blender the process must go on
        return int(stopped.code or 0)
    with Progress(sys.stderr) as steps, _terminable() as was_terminated:
        try:
            commands.check_outputs(arguments)
            answer = arguments.run(arguments, steps)
            _print(_json({**answer, "seconds": steps.seconds}) if arguments.json else arguments.show(answer))
        except TOLD as error:
            steps.say(f"freetalk: {sentence(error)}")
            return BAD_INPUT
        except KeyboardInterrupt:
            steps.say("freetalk: interrupted.")
            return TERMINATED if was_terminated() else INTERRUPTED
    return SOME_FAILED if answer.get("failed") else DONE


def _open_streams() -> None:
    """Streams that the caller closed lead nowhere: else the next files would have their numbers, which Blender writes
    its words to."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), "w", encoding="utf-8"))


def _print(text: str) -> None:
    """The answer, for whoever still reads; OSError where it cannot be written."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file on Windows may have no letter for a path's
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        print(text, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python writes it once more as it ends
        if not isinstance(error, BrokenPipeError):
            raise


@contextlib.contextmanager
def _terminable() -> Iterator[Callable[[], bool]]:
    """What ends a process (SIGTERM: a farm, docker stop, a batch; SIGHUP: a connection that is lost, unless nohup has
    it ignored; SIGBREAK: Ctrl Break on Windows) ends the command as Ctrl C does, so that nothing half-written stays;
    yields whether it did. Threads, and a Blender with a window, are left as they are."""
    bpy, ended = sys.modules.get("bpy"), False
    if threading.current_thread() is not threading.main_thread() or (bpy is not None and not bpy.app.background):
        yield lambda: ended
        return

    def end(_number: int, frame: FrameType | None) -> None:
        nonlocal ended
        ended = True
        for number in before:
            signal.signal(number, signal.SIG_IGN)  # it cleans up, and ends
        pressed = signal.getsignal(signal.SIGINT)
        (pressed if callable(pressed) else signal.default_int_handler)(signal.SIGINT, frame)

    handlers = {number: signal.getsignal(number) for number in cancel.SIGNALS}
    before = {n: handler for n, handler in handlers.items() if n == signal.SIGTERM or handler is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, end)
    try:
        yield lambda: ended
    finally:
        if not ended:
            for number, handler in before.items():
                signal.signal(number, handler)


def _attached(words: list[str]) -> list[str]:
    """The words with `--vad -0.6,...` as `--vad=-0.6,...`: argparse takes numbers in a row, and -1e-2, for an option's
    name."""
    taking = [number for number, word in enumerate(words) if word in ("--vad", "--near", "--contact")]
    for number in reversed(taking):
        if words[number + 1 : number + 2] and words[number + 1].startswith("-"):
            words = [*words[:number], f"{words[number]}={words[number + 1]}", *words[number + 2 :]]
    return words


def _json(answer: dict) -> str:
    """One line of JSON, which knows no numbers that are not finite: null for those."""

    def known(value: object) -> object:
        if isinstance(value, dict):
            return {name: known(part) for name, part in value.items()}
        if isinstance(value, list | tuple):
            return [known(part) for part in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(known(answer), allow_nan=False)


def parser() -> argparse.ArgumentParser:
    """The one parser behind the three doors."""
    top = argparse.ArgumentParser(prog="freetalk", description="Make any face scan talk.")
    adding = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_animate(adding)
    _add_perform(adding)
    _add_deform(adding)
    _add_landmarks(adding)
    _add_check(adding)
    _add_evaluate(adding)
    _add_render(adding)
    _add_batch(adding)
    _add_doctor(adding)
    return top


def _command(
    adding: _Commands, name: str, run: Callable, help: str, show: Callable = commands.show_outputs
) -> argparse.ArgumentParser:
    """A command with the options that all have; run: what it does; show: its answer in words."""
    added = adding.add_parser(name, help=help, description=help)
    added.add_argument("--json", action="store_true", help="print the result as one line of JSON")
    added.set_defaults(run=run, show=show)
    return added


def _add_animate(adding: _Commands) -> None:
    command = _command(adding, "animate", commands.animate, "A scan and a voice in, a talking face out.")
    options.add_scan(command)
    command.add_argument("audio", type=Path, metavar="AUDIO", help="wav, flac, mp3, ogg, m4a, a film, ...")
    options.add_outputs(command, commands.ANIMATE_OUTPUTS)
    options.add_speech(command, "30; the file's own where SCAN is a .blend, or an FBX with animation")
    options.add_face(command)
    options.add_made_parts(command)
    command.add_argument(
        "--start", type=whole_number(0), metavar="FRAME",
        help="frame of the scene at which the speech begins (the first; 0 where SCAN is not a .blend)",
    )  # fmt: skip
    command.add_argument(
        "--tolerance", type=options.positive, default=0.1, metavar="MM",
        help="largest vertex error of the shape keys (0.1)",
    )  # fmt: skip
    command.add_argument(
        "--keys", type=options.keys, default=key_sets.AUTO, metavar="auto|arkit|N",
        help="shape keys: as few as the tolerance needs; ARKit's by name, weights 0 to 1; or at most N",
    )  # fmt: skip


def _add_perform(adding: _Commands) -> None:
    command = _command(adding, "perform", commands.perform, "A voice in, the motion of 68 landmarks out.")
    command.add_argument("audio", type=Path, metavar="AUDIO", help="wav, flac, mp3 or ogg")
    options.add_outputs(command, (".npz",))
    options.add_speech(command, "30")
    options.add_device(command)


def _add_deform(adding: _Commands) -> None:
    command = _command(
        adding, "deform", commands.deform, "Landmark motion in, displacement of the scan's own vertices out."
    )
    options.add_scan(command)
    command.add_argument("motion", type=Path, metavar="MOTION.npz", help="displacement (T,68,3), as perform writes it")
    options.add_outputs(command, (".npz",))
    options.add_face(command)
    command.set_defaults(inner_mouth="none", eyeballs=False)  # what is made moves no vertex of the scan
    command.add_argument(
        "--space", choices=("canonical", "mesh"), default="canonical",
        help="canonical: a performance, retargeted to this face; mesh: this face's own landmarks, in the scan's units",
    )  # fmt: skip


def _add_landmarks(adding: _Commands) -> None:
    command = _command(
        adding, "landmarks", commands.find_landmarks, "A scan in, its 68 facial landmarks out.", commands.show_landmarks
    )
    options.add_scan(command)
    command.add_argument("-o", "--output", type=options.path(".json"), metavar="FILE.json", help="a landmark file")
    command.add_argument(
        "--preview", type=options.path(".png"), metavar="PNG", help="the scan and the points, from three sides"
    )
    chosen = command.add_mutually_exclusive_group()
    chosen.add_argument(
        "--landmarks", type=Path, metavar="FILE",
        help="points to check and convert: .json, .xyz, .txt, .fcsv, .mrk.json or .pts, in the scan file's coordinates",
    )  # fmt: skip
    chosen.add_argument(
        "--near", type=options.three, metavar="X,Y,Z", help="of several faces, the one nearest to this point"
    )
    options.add_device(command)


def _add_check(adding: _Commands) -> None:
    command = _command(
        adding, "check", commands.check, "What a scan is, what is wrong with it, and the fix.", commands.show_check
    )
    options.add_scan(command)
    options.add_landmarks(command)
    options.add_device(command)


def _add_evaluate(adding: _Commands) -> None:
    command = _command(
        adding,
        "evaluate",
        commands.evaluate,
        "A motion against the true one: the papers' metrics.",
        commands.show_metrics,
    )
    command.add_argument("motion", type=Path, metavar="MOTION.npz", help="displacement (T,N,3) of perform or deform")
    command.add_argument("truth", type=Path, metavar="TRUTH.npz", help="the true displacement of the same points")
    command.add_argument("--scan", type=Path, metavar="SCAN", help="the mesh at rest, where its vertices moved")
    options.add_object(command)
    options.add_landmarks(command)
    options.add_device(command)


def _add_render(adding: _Commands) -> None:
    command = _command(
        adding, "render", commands.render, "A .blend with a talking face in, a film or a contact sheet out."
    )
    command.add_argument("scene", type=Path, metavar="SCENE.blend", help="what animate or the sidebar wrote")
    options.add_outputs(command, (".mp4", ".png"))


def _add_batch(adding: _Commands) -> None:
    command = _command(adding, "batch", run_batch, "Many animations, from a list of jobs.", show_batch)
    command.formatter_class, command.description = argparse.RawDescriptionHelpFormatter, batch.__doc__
    command.add_argument("jobs", type=Path, metavar="JOBS.json", help="a list of jobs")
    where = command.add_mutually_exclusive_group()
    where.add_argument(
        "--workers", type=whole_number(1), default=max(1, processes.processors() // 2), metavar="N",
        help="jobs at a time (half of the processors that it may use)",
    )  # fmt: skip
    where.add_argument("--scheduler", metavar="ADDRESS", help="do the jobs on the workers of this Dask scheduler")
    command.add_argument("--resume", action="store_true", help="leave out what JOBS.results.jsonl knows as done")


def _add_doctor(adding: _Commands) -> None:
    command = _command(
        adding, "doctor", commands.doctor, "What is installed, and what the networks really run on.", doctor.report
    )
    options.add_device(command)


def run_batch(arguments: argparse.Namespace, steps: Progress) -> dict:
    """Every job of the list, in processes of their own; what became of each."""
    listed = batch.read(arguments.jobs, _animate_options(), _wrong)
    jobs = batch.left(arguments.jobs, listed) if arguments.resume else listed
    failed: list[dict] = []
    recording, where = batch.record(arguments.jobs, arguments.resume), arguments.scheduler
    outcomes = processes.run(jobs, arguments.workers) if where is None else cluster.run(jobs, where)
    with recording as add, steps(f"animate {len(jobs)} of {len(listed)} jobs") as share:
        for finished, outcome in enumerate(outcomes, 1):
            add(outcome)
            told = "done" if outcome.done else outcome.sentence
            steps.say(f"{outcome.seconds:8.2f} s  job {outcome.job.number} ({finished} of {len(jobs)}): {told}")
            for note in outcome.notes:
                steps.say(f"            {note}")
            share(finished / len(jobs))
            if not outcome.done:
                failed.append({"job": outcome.job.number, "error": outcome.sentence})
    results = str(batch.results_path(arguments.jobs))
    return {"jobs": len(listed), "run": len(jobs), "failed": sorted(failed, key=lambda f: f["job"]), "results": results}


def show_batch(answer: dict) -> str:
    lines = [f"job {failure['job']}: {failure['error']}" for failure in answer["failed"]]
    before, counts = answer["jobs"] - answer["run"], []
    if answer["run"]:
        counts.append(f"{answer['run'] - len(lines)} of {answer['run']} jobs done")
    if before:
        counts.append(f"{before} of {answer['jobs']} were done already")
    return "\n".join([*lines, f"{', '.join(counts)}; {answer['results']} tells what became of each"])


def _animate_options() -> set[str]:
    """What a job may say: the names of animate's arguments."""
    parsed = parser().parse_args(["animate", "SCAN", "AUDIO", "--output=OUT.npz"])
    return set(vars(parsed)) - {"command", "run", "show", "json"}


#: For thousands of jobs: to make a parser takes longer than to use it.
_same_parser = functools.cache(parser)


def _wrong(words: list[str]) -> str:
    """What is wrong with a command's words, as argparse says it; empty where nothing is."""
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            _same_parser().parse_args(words)
    except SystemExit:
        return told.getvalue().strip().splitlines()[-1].partition("error: ")[2] or "wrong words"
    return ""
