"""Batches on a cluster: what a worker cannot do, stopping, and addresses where nobody is."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import distributed
import pytest
from doors import call, stand_in

from freetalk_blender import batch, cli, cluster, processes


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A scheduler with one worker of two threads, in this process, so that its `_door` can be replaced."""
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0", protocol="tcp://"
    ) as local:
        yield local.scheduler_address


def test_jobs_run_on_the_workers_and_failures_are_told(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    code = (
        "import json, os, pathlib, sys\n"
        "if 'bad' in sys.argv[2]: print('freetalk: No face was found.', file=sys.stderr); sys.exit(3)\n"
        "out = next(w for w in sys.argv if w.startswith('--output=')).partition('=')[2]\n"
        "pathlib.Path(out).write_text('x')\n"
        "print(json.dumps({'threads': os.environ['FREETALK_THREADS']}))\n"
    )
    stand_in(monkeypatch, tmp_path, code)
    monkeypatch.delenv("FREETALK_THREADS", raising=False)
    jobs = [{"scan": f"{n}.obj", "audio": "b.wav", "outputs": f"{n}.glb"} for n in ("a", "bad", "c")]
    path = tmp_path / "jobs.json"
    path.write_text(json.dumps(jobs))
    assert call("batch", path, "--scheduler", address, "--json") == cli.SOME_FAILED
    answer = json.loads(capsys.readouterr().out)
    assert answer["failed"] == [{"job": 2, "error": "No face was found."}]
    assert (tmp_path / "a.glb").is_file() and (tmp_path / "c.glb").is_file()
    lines = [json.loads(line) for line in (tmp_path / "jobs.results.jsonl").read_text().splitlines()]
    threads = {line["answer"]["threads"] for line in lines if line["done"]}
    assert threads == {str(max(1, processes.processors() // 2))}


def test_a_stopped_batch_ends_the_jobs_at_work(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import os, pathlib, sys, time\n"
        "if sys.argv[2] == 'quick.obj': print('{}'); sys.exit()\n"
        f"pathlib.Path({str(tmp_path)!r}, 'pid').write_text(str(os.getpid()))\n"
        "time.sleep(60)\n"
    )
    stand_in(monkeypatch, tmp_path, code)
    jobs = [batch.Job(n, ("animate", scan), ()) for n, scan in enumerate(("slow.obj", "quick.obj"), 1)]
    outcomes = cluster.run(jobs, address)
    assert next(outcomes).job.number == 2
    deadline = time.monotonic() + 30
    while not (tmp_path / "pid").is_file() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process = Path("/proc", (tmp_path / "pid").read_text())
    outcomes.close()
    while process.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_a_worker_cannot_do_is_a_sentence(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_door", lambda: ["/no/such/program"])
    (outcome,) = cluster.run([batch.Job(1, ("animate", "a.obj"), ())], address)
    assert not outcome.done and "FileNotFoundError" in outcome.sentence and outcome.sentence.endswith("log.")


def test_every_job_of_a_long_list_is_waited_for_once() -> None:
    """To wait for all that are left after each would take longer than the jobs."""

    class Ended:
        asked = 0

        def add_done_callback(self, tell: Callable[["Ended"], None]) -> None:
            self.asked += 1
            tell(self)

    class Connection:
        def nthreads(self) -> dict:
            raise AssertionError("nobody needs to ask while jobs end")

    jobs = [Ended() for _ in range(1000)]
    assert list(cluster._as_they_end(Connection(), jobs)) == jobs
    assert {job.asked for job in jobs} == {1}


@pytest.mark.parametrize(("lost", "sentence"), [("workers", "has no workers any more"), ("scheduler", "was lost")])
def test_jobs_that_are_left_without_workers_or_scheduler_say_so(
    lost: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 5)
    jobs = [batch.Job(number, ("animate", "none.obj", "none.wav", "--output=none.npz"), ()) for number in range(1, 5)]
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=":0", protocol="tcp://"
    ) as local:
        outcomes = cluster.run(jobs, local.scheduler_address)
        assert "none.wav" in next(outcomes).sentence
        (local.close if lost == "scheduler" else lambda: local.scale(0))()
        assert [outcome.sentence for outcome in outcomes][-1].partition(";")[0].endswith(sentence)


@pytest.mark.parametrize("place", ["", "tcp://127.0.0.1:9", "nowhere"])
def test_an_address_without_a_scheduler_is_a_sentence(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 1)
    path = tmp_path / "jobs.json"
    path.write_text(json.dumps([{"scan": "a.obj", "audio": "b.wav", "outputs": "c.glb"}]))
    threads = set(threading.enumerate())
    assert call("batch", path, "--scheduler", place) == cli.BAD_INPUT
    assert set(threading.enumerate()) <= threads  # no half-made client waits to be collected
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("freetalk: No scheduler answers at " + place)


def test_a_scheduler_without_workers_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 1)
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=":0", protocol="tcp://") as local,
        pytest.raises(batch.BatchError, match="has no workers"),
    ):
        next(cluster.run([batch.Job(1, ("animate", "a.obj"), ())], local.scheduler_address))


def test_a_scheduler_that_goes_while_a_worker_is_waited_for_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 2)
    with distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=":0", protocol="tcp://") as local:
        wait = distributed.Client.wait_for_workers
        monkeypatch.setattr(
            distributed.Client,
            "wait_for_workers",
            lambda self, *words, **named: (local.close(), wait(self, *words, **named)),
        )
        with pytest.raises(batch.BatchError, match="No scheduler answers at"):
            next(cluster.run([batch.Job(1, ("animate", "a.obj"), ())], local.scheduler_address))
