"""Batches: jobs of a list, each on its own, what became of them, and going on where a run stopped."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from doors import call, stand_in

from freetalk_blender import batch, cli, processes
from freetalk_blender.core import same_file


def accept(_words: list[str]) -> str:
    return ""


def write(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def job(name: str, **more: object) -> dict[str, object]:
    """A scan of that name speaks into a file of that name."""
    return {"scan": f"{name}.obj", "audio": "b.wav", "outputs": f"{name}.glb", **more}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A stand-in for the program: writes its output, or fails with a sentence where the scan is called bad."""
    stand_in(
        monkeypatch,
        tmp_path,
        "import json, pathlib, sys\n"
        "words = sys.argv[1:]\n"
        "if 'bad' in words[1]: print('freetalk: No face was found.', file=sys.stderr); sys.exit(3)\n"
        "if 'crash' in words[1]: sys.exit(-11)\n"
        "if 'mute' in words[1]: sys.exit()\n"
        "if 'dim' in words[1]: print('freetalk: One eye is open.\\nfreetalk: No blinks.', file=sys.stderr)\n"
        "out = next(w for w in words if w.startswith('--output=')).partition('=')[2]\n"
        "pathlib.Path(out).open('a').write('x')\n"
        "print(json.dumps({'outputs': [out]}))\n",
    )
    return tmp_path


def test_options_of_a_job_become_the_words_of_the_command(tmp_path: Path) -> None:
    content = {
        "defaults": {"fps": 25, "keep-mouth": True},
        "jobs": [
            {
                "scan": "a.obj",
                "audio": "/elsewhere/b.wav",
                "outputs": ["c.glb", "c.npz"],
                "emotion": {"happy": 0.5, "sad": 0.1},
                "keep_mouth": False,
            },
            {"scan": "a.obj", "audio": "b.wav", "outputs": "d.glb", "vad": [-0.5, 0.2, 0], "landmarks": "../a.json"},
            {"scan": "a.obj", "audio": "b.wav", "outputs": "e.glb", "landmarks": None, "fps": None},
            {"scan": "a.obj", "audio": "b.wav", "outputs": "f.glb", "landmarks": "", "style_curve": "", "fps": 30},
        ],
    }
    seen, known = [], cli._animate_options()
    path = write(tmp_path / "jobs.json", content)
    first, second, third, fourth = batch.read(path, known, lambda words: seen.append(words) or "")
    assert first.words[:3] == ("animate", str(tmp_path / "a.obj"), "/elsewhere/b.wav")
    assert first.words[3:] == (
        f"--output={tmp_path / 'c.glb'}", f"--output={tmp_path / 'c.npz'}", "--fps=25", "--emotion=happy=0.5,sad=0.1"
    )  # fmt: skip
    assert f"--landmarks={tmp_path.parent / 'a.json'}" in second.words
    assert {"--vad=-0.5,0.2,0", "--keep-mouth"} <= set(second.words)
    assert third.words[3:] == (f"--output={tmp_path / 'e.glb'}", "--keep-mouth"), "null takes a default back"
    assert fourth.words[3:] == (f"--output={tmp_path / 'f.glb'}", "--fps=30", "--keep-mouth"), "no path is no folder"
    assert [tuple(words) for words in seen] == [first.words, second.words, third.words, fourth.words]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_list_that_windows_wrote_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "jobs.json"
    path.write_text(json.dumps([job("a")]), encoding=encoding)
    assert len(batch.read(path, cli._animate_options(), accept)) == 1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "are not valid JSON"),
        pytest.param(200_000 * "[", "are not valid JSON", id="nested without end"),
        ([], "must hold a list of jobs"),
        ({"jobs": {}}, "must hold a list of jobs"),
        (["talk"], "Job 1"),
        ([{"scan": "a.obj", "audio": "b.wav"}], "does not say its outputs"),
        ([job("a", scan="")], "does not say its scan"),
        ([job("a", scan=3)], "needs a path as its scan"),
        ([job("a\0b", outputs="c.glb")], "needs a path as its scan"),
        ([job("\ud800", outputs="c.glb")], "needs a path as its scan"),
        ([job("a", object="\ud800")], "needs text as its object"),
        ([job("a", emotion={"sad\0": 1})], "needs text as its emotion"),
        ([job("a", outputs="c.txt")], "must end in"),
        ([job("a", mood="good")], "says mood, which animate does"),
        ([job("a", help=True)], "says help, which animate does"),
        ([job("a", output="d.glb")], "says output, which animate"),
        ([job("a", seed=-1)], "'-1' is not a whole number"),
        ({"default": {}, "jobs": [job("a")]}, "must hold a list of"),
        ([job("a", emotion={"grumpy": 1})], "grumpy"),
        ([job("a", outputs="c.glb"), job("b", outputs="c.glb")], "Jobs 1 and 2"),
        (
            [job("a", scan="x/../two.blend"), job("b", outputs="two.blend")],
            "two.blend, which job 2 writes, and jobs run side by side; put it into a list of its own",
        ),
    ],
)
def test_a_list_that_cannot_be_done_is_refused_before_any_job_runs(
    content: object, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    jobs = write(tmp_path / "jobs.json", content)
    assert call("batch", jobs) == cli.BAD_INPUT
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("freetalk: ") and sentence in told and str(jobs) in told and told[-1] == "."
    assert list(tmp_path.iterdir()) == [jobs]


@pytest.mark.parametrize(("wrong", "told", "more"), [(2, 2, ""), (5, 5, ""), (8, 5, "And 3 more.")])
def test_the_first_jobs_that_are_wrong_are_told_at_once(wrong: int, told: int, more: str, tmp_path: Path) -> None:
    jobs = [job(str(n), mood="good") for n in range(wrong)]
    del jobs[0]["mood"], jobs[0]["outputs"]
    jobs.insert(1, job("right"))
    with pytest.raises(batch.BatchError) as raised:
        batch.read(write(tmp_path / "jobs.json", jobs), cli._animate_options(), accept)
    lines = str(raised.value).splitlines()
    assert [line.partition(" of ")[0] for line in lines[:told]] == [f"Job {n}" for n in (1, 3, 4, 5, 6)[:told]]
    assert lines[told:] == [more] * bool(more)


def test_a_long_list_is_read_in_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    add = cli.argparse.ArgumentParser.add_subparsers
    monkeypatch.setattr(
        cli.argparse.ArgumentParser, "add_subparsers", lambda self, **words: made.append(self) or add(self, **words)
    )
    jobs = [job(str(n), seed=n) for n in range(100)]
    assert len(batch.read(write(tmp_path / "jobs.json", jobs), {*jobs[0]}, cli._wrong)) == 100
    assert len(made) <= 1, "one parser tells what is wrong with every job"


def test_jobs_that_write_one_file_through_a_link_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture, link: Callable[[Path, Path], None]
) -> None:
    link(tmp_path / "link", tmp_path)
    jobs = [job("a", outputs=output) for output in ("c.glb", "link/c.glb")]
    assert call("batch", write(tmp_path / "jobs.json", jobs)) == cli.BAD_INPUT
    assert "Jobs 1 and 2" in capsys.readouterr().err


def test_jobs_that_write_one_file_where_case_is_ignored_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(same_file, "_ignores_case", lambda folder: True)
    jobs = [job("a", outputs=output) for output in ("Talk.glb", "talk.glb")]
    assert call("batch", write(tmp_path / "jobs.json", jobs)) == cli.BAD_INPUT
    assert "Jobs 1 and 2" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="other systems know names of letters alone")
def test_jobs_in_a_folder_with_a_name_in_another_encoding_are_done(quick: Path) -> None:
    folder = quick / os.fsdecode(b"M\xfcller")
    folder.mkdir()
    path = write(folder / "jobs.json", [job("a")])
    assert call("batch", path) == call("batch", path, "--resume") == cli.DONE
    assert (folder / "a.glb").read_text() == "x"


def test_a_missing_list_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert call("batch", tmp_path / "none.json") == cli.BAD_INPUT
    assert "cannot be read" in capsys.readouterr().err


def test_failed_jobs_are_told_and_harm_no_other(quick: Path, capsys: pytest.CaptureFixture) -> None:
    path = write(quick / "jobs.json", [*map(job, ("good", "bad", "fine", "crash", "mute"))])
    assert call("batch", path, "--workers", 2, "--json") == cli.SOME_FAILED
    answer = json.loads(capsys.readouterr().out)
    assert [(f["job"], f["error"][:25]) for f in answer["failed"]] == [
        (2, "No face was found."), (4, "The job ended with exit c"), (5, "The job ended without an ")
    ]  # fmt: skip
    assert (quick / "good.glb").is_file() and (quick / "fine.glb").is_file()
    lines = [json.loads(line) for line in (quick / "jobs.results.jsonl").read_text().splitlines()]
    assert sorted(line["job"] for line in lines if line["done"]) == [1, 3] and len(lines) == 5


def test_what_a_job_says_of_its_scan_is_told_where_it_is_done_too(quick: Path, capsys: pytest.CaptureFixture) -> None:
    path = write(quick / "jobs.json", [job("dim"), job("clear")])
    assert call("batch", path, "--workers", 1) == cli.DONE
    told = capsys.readouterr().err
    assert told.index("job 1") < told.index("One eye is open.") < told.index("No blinks.") < told.index("job 2")
    dim, clear = (json.loads(line) for line in batch.results_path(path).read_text().splitlines())
    assert dim["notes"] == ["One eye is open.", "No blinks."] and "notes" not in clear


def test_resume_runs_what_failed_what_changed_and_what_is_gone(quick: Path, capsys: pytest.CaptureFixture) -> None:
    jobs = [*map(job, ("c", "a", "b", "bad"))]
    path = write(quick / "jobs.json", jobs)
    assert call("batch", path) == cli.SOME_FAILED
    with (quick / "jobs.results.jsonl").open("a") as stream:
        stream.write(200_000 * "[" + '\n{"outputs": 3}\n{"outputs": [[3]]}\n')
        stream.write('{"job": 1, "fing')  # a run that was killed
    (quick / "b.glb").unlink()
    jobs[0]["fps"], jobs[3]["scan"] = 25, "mended.obj"
    write(path, jobs)
    capsys.readouterr()
    assert call("batch", path, "--resume", "--json", "--workers=1") == cli.DONE
    answer = json.loads(capsys.readouterr().out)
    assert (answer["jobs"], answer["run"]) == (4, 3)
    assert (quick / "a.glb").read_text() == "x" and (quick / "c.glb").read_text() == "xx"
    assert call("batch", path, "--resume") == cli.DONE
    assert "\n4 of 4 were done already; " in "\n" + capsys.readouterr().out
    assert call("batch", path, "--resume", "--json") == cli.DONE
    assert json.loads(capsys.readouterr().out)["run"] == 0, "what follows the half line is known"


@pytest.mark.parametrize("changed", ["a.obj", "b.wav", "mood.csv"])
def test_resume_does_a_job_again_whose_files_have_changed(
    quick: Path, capsys: pytest.CaptureFixture, changed: str
) -> None:
    for name in ("a.obj", "b.wav", "c.obj", "d.wav", "mood.csv"):
        (quick / name).write_text("as it was")
    jobs = [
        {"scan": "a.obj", "audio": "b.wav", "outputs": "one.glb", "emotion-curve": "mood.csv"},
        {"scan": "c.obj", "audio": "d.wav", "outputs": "two.glb"},
    ]
    path = write(quick / "jobs.json", jobs)
    assert call("batch", path) == cli.DONE
    (quick / changed).write_text("recorded anew")
    capsys.readouterr()
    assert call("batch", path, "--resume") == cli.DONE
    assert capsys.readouterr().out.startswith("1 of 1 jobs done, 1 of 2 were done already; ")
    assert (quick / "one.glb").read_text() == "xx" and (quick / "two.glb").read_text() == "x"


def test_resume_does_a_job_again_whose_file_another_job_wrote_since(quick: Path, capsys: pytest.CaptureFixture) -> None:
    """A list that goes back to what it said before: what is there is of what it said in between."""
    path = quick / "jobs.json"
    for happy, run in ((0.6, 1), (1.0, 1), (0.6, 1), (0.6, 0)):
        write(path, [job("a", emotion={"happy": happy})])
        assert call("batch", path, "--resume", "--json") == cli.DONE
        assert json.loads(capsys.readouterr().out)["run"] == run


def test_a_run_that_is_stopped_takes_back_only_what_it_did_again(quick: Path, capsys: pytest.CaptureFixture) -> None:
    path = write(quick / "jobs.json", [*map(job, "abc")])
    results = batch.results_path(path)
    for _ in range(2):
        assert call("batch", path) == cli.DONE
        assert len(results.read_text().splitlines()) == 3, "a run that went through tells of itself alone"
    first, second, _ = batch.read(path, cli._animate_options(), accept)
    with pytest.raises(KeyboardInterrupt), batch.record(path, keep=False) as add:
        add(batch.Outcome(first, 1.0, answer={}))
        add(batch.Outcome(second, 1.0, "No face was found."))
        raise KeyboardInterrupt
    capsys.readouterr()
    assert call("batch", path, "--resume", "--json") == cli.DONE
    assert json.loads(capsys.readouterr().out)["run"] == 1
    assert [len((quick / f"{name}.glb").read_text()) for name in "abc"] == [2, 3, 2]


@pytest.mark.parametrize("keep", [False, True])
def test_what_two_runs_of_a_list_do_at_once_is_recorded_together(quick: Path, keep: bool) -> None:
    """One is through while the other, with or without --resume, is at work; what is older is told by neither."""
    path = write(quick / "jobs.json", [*map(job, "abc")])
    assert call("batch", path) == cli.DONE
    jobs = batch.read(path, cli._animate_options(), accept)
    one, two, three = (batch.Outcome(job, 0.0, answer={}) for job in jobs)
    with batch.record(path, keep) as other:
        with batch.record(path, keep=False) as add:
            add(one)
            other(two)
        other(three)
    told = [json.loads(line) for line in batch.results_path(path).read_text().splitlines()]
    assert [(line["job"], line["answer"]) for line in told] == [(1, {}), (2, {}), (3, {})]


def test_what_a_run_had_done_when_another_began_and_was_through_is_recorded(quick: Path) -> None:
    """The other took it for older, and may have had another list."""
    path = write(quick / "jobs.json", [*map(job, "ab")])
    one, two = (batch.Outcome(job, 0.0, answer={}) for job in batch.read(path, cli._animate_options(), accept))
    with batch.record(path, keep=False) as other:
        other(one)
        with batch.record(path, keep=False) as add:
            add(two)
    told = [json.loads(line)["job"] for line in batch.results_path(path).read_text().splitlines()]
    assert told == [1, 2]


def test_jobs_of_one_face_bind_it_once_and_write_what_each_does_alone(
    tmp_path: Path, head: Path, head_landmarks: Path, short_clip: Path
) -> None:
    usual = {"scan": str(head), "audio": str(short_clip), "landmarks": str(head_landmarks)}
    jobs = [usual | {"outputs": f"{n}.npz", "seed": n, "emotion": {"happy": n}} for n in range(2)]
    jobs.insert(1, usual | {"outputs": "none.npz", "audio": "none.wav"})
    path = write(tmp_path / "jobs.json", jobs)
    assert call("batch", path, "--workers", 1) == cli.SOME_FAILED
    first, failed, second = (json.loads(line) for line in batch.results_path(path).read_text().splitlines())
    assert "none.wav does not exist" in failed["error"]
    assert "bind the face" in first["answer"]["seconds"] and "bind the face" not in second["answer"]["seconds"]
    together = (tmp_path / "1.npz").read_bytes()
    alone = processes.work(
        batch.read(path, cli._animate_options(), accept)[2], processes.processors(), lambda: False
    ).line()
    assert "bind the face" in alone["answer"]["seconds"]
    for line in (alone, second):
        del line["seconds"], line["answer"]["seconds"]
    assert alone == second and (tmp_path / "1.npz").read_bytes() == together


def test_a_batch_animates_real_scans(
    tmp_path: Path, head: Path, head_landmarks: Path, short_clip: Path, capsys: pytest.CaptureFixture
) -> None:
    files = {"calm.npz": str(head_landmarks), "none.npz": "none.json"}
    real = {"scan": str(head), "audio": str(short_clip)}
    jobs = [{**real, "outputs": output, "landmarks": points} for output, points in files.items()]
    path = write(tmp_path / "jobs.json", jobs)
    assert call("batch", path, "--workers", 1, "--json") == cli.SOME_FAILED
    (failure,) = json.loads(capsys.readouterr().out)["failed"]
    assert failure["job"] == 2 and "none.json cannot be read" in failure["error"]
    with np.load(tmp_path / "calm.npz") as arrays:
        assert np.abs(arrays["displacement"]).max() > 1
    assert not (tmp_path / "none.npz").exists()
