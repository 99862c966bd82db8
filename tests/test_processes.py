"""Jobs of a batch in processes: which does which, what they say, their share of the processors, and stopping."""

import functools
import subprocess
import sys
import time
from pathlib import Path

import pytest
from doors import freetalk, stand_in

from freetalk_blender import processes
from freetalk_blender.batch import Job


def test_words_of_any_script_end_no_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What jobs say is UTF-8, whatever this system's own encoding; other programs' words may be in neither."""
    monkeypatch.setattr(subprocess, "Popen", functools.partial(subprocess.Popen, encoding="cp1252"))
    told = "freetalk: No face was found in скан.obj."
    code = f"import sys; sys.stderr.buffer.write(b'\\xff\\n' + {told!a}.encode()); sys.exit(3)"
    stand_in(monkeypatch, tmp_path, code)
    (outcome,) = processes.run([Job(1, ("animate", "скан.obj"), ())], 1)
    assert outcome.sentence == "No face was found in скан.obj."


def test_a_stopped_batch_ends_the_jobs_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = tmp_path / "begun"
    stand_in(monkeypatch, tmp_path, f"import pathlib, time; pathlib.Path({str(begun)!r}).touch(); time.sleep(60)")
    jobs = [Job(n, ("animate", f"{n}.obj"), ()) for n in (1, 2)]
    outcome = processes.work(jobs[0], 1, begun.exists)
    assert begun.exists() and not outcome.done and outcome.seconds < 30
    assert processes.work(jobs[1], 1, begun.exists).sentence == "interrupted"


def test_a_job_that_ends_by_itself_in_time_is_not_ended_where_that_would_be_without_asking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, where it has got the Ctrl C of the batch, too."""
    begun, cleaned = tmp_path / "begun", tmp_path / "cleaned"
    code = f"pathlib.Path({str(begun)!r}).touch(); time.sleep(2); pathlib.Path({str(cleaned)!r}).touch()"
    stand_in(monkeypatch, tmp_path, f"import pathlib, sys, time; {code}; sys.exit(130)")
    monkeypatch.setattr(processes, "_GRACE", 60)
    assert not processes.work(Job(1, ("animate", "a.obj"), ()), 1, begun.exists).done
    assert cleaned.exists()


def test_jobs_of_one_face_go_to_one_process_and_every_worker_has_some() -> None:
    def listed(number: int, *words: str) -> Job:
        return Job(number, ("animate", *words), ())

    told_apart = [
        listed(1, "a.obj", "b.wav", "--keep-mouth", "--fps=25"),
        listed(2, "a.obj", "b.wav"),
        listed(3, "a.obj", "c.wav", "--fps=30", "--keep-mouth"),
        listed(4, "c.obj", "b.wav"),
        listed(5, "a.obj", "b.wav", "--landmarks=a.json"),
        listed(6, "a.obj", "b.wav", "--emotion=happy=1"),
    ]
    assert [[one.number for one in group] for group in processes.groups(told_apart, 2)] == [[1, 3], [2, 6], [4], [5]]
    for many, workers, sizes in ((4, 4, [1] * 4), (5, 2, [3, 2]), (120, 1, [50, 50, 20])):
        alike = [listed(number, "a.obj", f"{number}.wav") for number in range(many)]
        assert [len(group) for group in processes.groups(alike, workers)] == sizes


@pytest.fixture
def company(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A stand-in for the process that does several jobs: each says which process did it; some sounds end it."""
    stand_in(
        monkeypatch,
        tmp_path,
        "import json, os, pathlib, sys, time\n"
        f"assert sys.argv[1:] == [{processes.TOGETHER!r}]\n"
        "print('Blender 4.5')\n"
        "for line in sys.stdin:\n"
        "    words = json.loads(line)\n"
        f"    if 'half' in words[2]: print({processes.ANSWER!r} + '[0, ', end='', flush=True)\n"
        "    if 'crash' in words[2]: print('MemoryError', file=sys.stderr); os._exit(9)\n"
        "    if 'slow' in words[2]: pathlib.Path(words[2]).touch(); time.sleep(60)\n"
        "    said = 'freetalk: Silence.\\n' if 'bad' in words[2] else 'freetalk: One eye is open.\\n'\n"
        "    code = 3 if 'bad' in words[2] else 0\n"
        f"    print({processes.ANSWER!r} + json.dumps([code, json.dumps(os.getpid()), said]), flush=True)\n"
        "    print('some words', flush=True)\n",
    )
    return tmp_path


@pytest.mark.parametrize("crash", ["crash.wav", "half_an_answer_crash.wav"])
def test_a_job_that_ends_its_process_harms_no_other_of_its_face(company: Path, crash: str) -> None:
    sounds = ("a.wav", "b.wav", crash, "c.wav", "bad.wav", "d.wav")
    jobs = [Job(number, ("animate", "a.obj", sound), ()) for number, sound in enumerate(sounds, 1)]
    one, two, ended, three, bad, four = processes.run(jobs, 1)
    assert [outcome.job for outcome in (one, two, ended, three, bad, four)] == jobs
    assert one.answer == two.answer != three.answer == four.answer
    assert one.notes == four.notes == ("One eye is open.",)
    assert ended.sentence == "The job ended with exit code 9 (MemoryError); run it by itself to see why."
    assert bad.sentence == "Silence."


def test_a_stopped_batch_ends_the_process_of_several_jobs_and_starts_no_other(
    company: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    door, started = processes._door(), []
    monkeypatch.setattr(processes, "_door", lambda: started.append(1) or door)
    slow = company / "slow.wav"
    jobs = [Job(n, ("animate", "a.obj", sound), ()) for n, sound in enumerate(("a.wav", str(slow), "b.wav"), 1)]
    start = time.monotonic()
    outcomes = processes.run(jobs, 1)
    assert next(outcomes).done
    while not slow.exists():
        assert time.monotonic() < start + 30
        time.sleep(0.05)
    outcomes.close()
    assert time.monotonic() < start + 30 and len(started) == 1


def test_without_a_program_several_jobs_end_as_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_door", lambda: ["/no/such/program"])
    jobs = [Job(number, ("animate", "a.obj"), ()) for number in (1, 2)]
    for group in (jobs, jobs[:1]):
        with pytest.raises(FileNotFoundError):
            next(processes.run(group, 1))


@pytest.mark.parametrize("name", ["FREETALK_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"])
def test_jobs_share_the_processors_unless_the_person_says_how_many_threads(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, tmp_path, f"import json, os; print(json.dumps(os.environ.get('{name}')))")
    job = Job(1, ("animate", "a.obj"), ())
    for own, given in ((None, "2"), ("7", "7")):
        monkeypatch.delenv(name, raising=False)
        if own:
            monkeypatch.setenv(name, own)
        assert processes.work(job, 2, lambda: False).answer == given


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process is not told which processors it may use")
def test_processors_that_a_container_keeps_back_are_not_counted() -> None:
    code = (
        "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
        "from freetalk_blender import cli, processes\n"
        "print(processes.processors(), cli.parser().parse_args(['batch', 'jobs.json']).workers)"
    )
    done = freetalk(door=("-c", code))
    assert done.stdout.split() == ["1", "1"], done.stderr
