"""The command line as such: exit codes, one sentence for what a person can mend, whole files or none."""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from doors import call, freetalk, without_bpy

from freetalk_blender import cli, processes, scans
from freetalk_blender.core import cancel, landmarks

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("sing",),
        ("animate", "head.obj"),
        ("animate", "head.obj", "speech.wav"),
        ("animate", "head.obj", "speech.wav", "-o", "out.txt"),
        ("animate", "head.obj", "speech.wav", "-o", "out.glb", "--emotion", "grumpy=1"),
        ("animate", "head.obj", "speech.wav", "-o", "out.glb", "--emotion", "happy=1", "--vad", "0,0,0"),
        ("animate", "head.obj", "speech.wav", "-o", "out.glb", "--vad", "0,0"),
        ("animate", "head.obj", "speech.wav", "-o", "out.glb", "--vad", "0,nan,0"),
        ("landmarks", "head.obj", "--near", "nan,0,0"),
        ("animate", "head.obj", "speech.wav", "-o", "out.glb", "--fps", "0"),
        ("animate", "head.obj", "speech.wav", "-o", "out.glb", "--tolerance", "-1"),
        ("animate", "head.obj", "speech.wav", "-o", "out.glb", "--keys", "0"),
        ("animate", "head.obj", "speech.wav", "-o", "out.glb", "--keys", "many"),
        ("perform", "speech.wav", "-o", "out.npz", "--device", "abacus"),
        ("perform", "speech.wav", "-o", "out.npz", "--seed", "-1"),
        ("perform", "speech.wav", "-o", "out.npz", "--lips", "-1"),
        ("deform", "head.obj", "motion.npz", "-o", "out.obj"),
    ],
)
def test_wrong_usage_ends_with_2(words: tuple[str, ...], capsys: pytest.CaptureFixture) -> None:
    assert cli.main(list(words)) == 2
    assert "usage: freetalk" in capsys.readouterr().err


def test_help_ends_with_0_and_names_every_command(capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["--help"]) == cli.DONE
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("animate", "perform", "deform", "landmarks", "check", "evaluate", "doctor"))


def bad_inputs() -> dict[str, tuple[list[str], str]]:
    """What a person might do wrong -> (words, what the sentence must say). {tmp} is a folder with broken files."""
    sample, voice, marks = "examples/head.obj", "examples/speech.flac", "examples/head.landmarks.json"
    animate = ["animate", sample, voice, "--landmarks", marks, "-o", "{tmp}/out.npz"]

    def changed(position: int, value: str) -> list[str]:
        return [*animate[:position], value, *animate[position + 1 :]]

    def deform(motion: str) -> list[str]:
        return ["deform", sample, f"{{tmp}}/{motion}.npz", "--landmarks", marks, "-o", "{tmp}/out.npz"]

    return {
        "no such scan": (changed(1, "{tmp}/none.obj"), "none.obj does not exist"),
        "no such sound": (changed(2, "{tmp}/none.wav"), "none.wav does not exist"),
        "no such landmarks": (changed(4, "{tmp}/none.json"), "none.json cannot be read"),
        "a broken scan": (changed(1, "{tmp}/broken.obj"), "broken.obj"),
        "a scan of points": (changed(1, "{tmp}/points.obj"), "0 faces"),
        "a broken sound": (changed(2, "{tmp}/broken.wav"), "broken.wav cannot be read"),
        "landmarks that are not valid JSON": (changed(4, "{tmp}/broken.json"), "is not valid JSON"),
        "landmarks of another scan": (changed(4, "{tmp}/far.json"), "off the mesh"),
        "no such motion": (deform("none"), "none.npz"),
        "a broken motion": (deform("broken"), "not an .npz"),
        "an empty motion": (deform("empty"), "not an .npz"),
        "a damaged motion": (deform("damaged"), "not an .npz"),
        "a motion of 5 points": (deform("five"), "(T, 68, 3)"),
        "a motion in the plane": ([*deform("flat"), "--space", "mesh"], "(T, 68, 3)"),
        "a motion without frames": (deform("short"), "has no frames"),
        "a motion with turns of text": (deform("turns"), "Turns are finite values"),
        "a motion at no frame rate": (deform("stopped"), "a frame rate of 0;"),
        "a comparison with another motion": (["evaluate", "{tmp}/five.npz", "{tmp}/still.npz"], "5 points at 30 fps"),
        "a comparison of unknown vertices": (["evaluate", "{tmp}/five.npz", "{tmp}/five.npz"], "--scan"),
        "a comparison on another scan": (
            ["evaluate", "{tmp}/five.npz", "{tmp}/five.npz", "--scan", sample, "--landmarks", marks],
            "pass the scan they are of",
        ),
        "a comparison of what is no motion": (["evaluate", "{tmp}/nan.npz", "{tmp}/still.npz"], "not a finite"),
        "a comparison of text": (["evaluate", "{tmp}/text.npz", "{tmp}/text.npz"], "not a finite"),
        "a comparison backwards in time": (["evaluate", "{tmp}/back.npz", "{tmp}/back.npz"], "a frame rate of -3;"),
        "a style that is out of bounds": (
            ["perform", voice, "-o", "{tmp}/out.npz", "--style-curve", "{tmp}/jaw.csv"],
            "jaw must lie between 0 and 2 in every row",
        ),
        "an output that is a folder": (changed(6, "{tmp}/folder.npz"), "it is a folder"),
        "a new output folder and no such sound": (
            ["perform", "{tmp}/none.wav", "-o", "{tmp}/new/deep/x.npz"],
            "none.wav",
        ),
        "an output folder that is a file": (changed(6, "{tmp}/broken.obj/out.npz"), "Cannot write"),
        "a scan in a foreign format": (changed(1, "{tmp}/broken.json"), "not a scan that FreeTalk reads"),
    }


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("broken")
    for name in ("broken.obj", "broken.wav", "broken.json", "broken.npz"):
        (folder / name).write_bytes(b"v 1 2\nf 1 2 3\n")
    (folder / "jaw.csv").write_text("time,jaw\n0,3\n")
    (folder / "points.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\n")
    np.savez(folder / "five.npz", displacement=np.zeros((4, 5, 3)), fps=30)
    np.savez(folder / "flat.npz", displacement=np.zeros((4, 68, 2)), fps=30)
    np.savez(folder / "still.npz", displacement=np.zeros((4, 68, 3)), fps=30)
    np.savez(folder / "nan.npz", displacement=np.full((4, 68, 3), np.nan), fps=30)
    np.savez(folder / "short.npz", displacement=np.zeros((0, 68, 3)), fps=30)
    np.savez(folder / "turns.npz", displacement=np.zeros((2, 68, 3)), fps=30, turns=np.array(["a", "b"]))
    np.savez(folder / "stopped.npz", displacement=np.zeros((2, 68, 3)), fps=0)
    np.savez(folder / "back.npz", displacement=np.zeros((2, 68, 3)), fps=-3)
    np.savez(folder / "text.npz", displacement=np.full((2, 68, 3), "a"), fps=30)
    np.savez_compressed(folder / "damaged.npz", displacement=np.random.default_rng(0).normal(size=(20, 68, 3)), fps=30)
    content = bytearray((folder / "damaged.npz").read_bytes())
    content[200:260] = bytes(range(60))
    (folder / "damaged.npz").write_bytes(content)
    (folder / "empty.npz").touch()
    (folder / "folder.npz").mkdir()
    far = landmarks.read(ROOT / "examples/head.landmarks.json")
    landmarks.write(folder / "far.json", landmarks.Landmarks(far.points + 1e4, None, None))
    return folder


@pytest.mark.parametrize("case", bad_inputs())
def test_bad_input_ends_with_3_one_sentence_and_no_file(
    case: str, broken: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    words, sentence = bad_inputs()[case]
    before = sorted(broken.rglob("*"))
    assert cli.main([word.format(tmp=broken) for word in words]) == cli.BAD_INPUT
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("freetalk: ") and sentence in last and last[-1] in ".?", last
    assert sorted(broken.rglob("*")) == before


@pytest.mark.skipif(os.name == "nt", reason="Windows limits no file's size")
def test_a_full_disk_is_a_sentence_and_leaves_nothing(tmp_path: Path, short_clip: Path) -> None:
    """A file that may be no larger stands for the disk."""
    import resource

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    out = tmp_path / "out.npz"
    done = freetalk("perform", short_clip, "-o", out, preexec_fn=limited)
    assert done.returncode == cli.BAD_INPUT and "Traceback" not in done.stderr
    assert done.stderr.endswith(f"freetalk: {out} cannot be read or written (File too large); check path and disk.\n")
    assert list(tmp_path.iterdir()) == []


def test_an_answer_that_the_streams_encoding_lacks_letters_for_is_printed(
    tmp_path: Path, head: Path, head_landmarks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding="cp1252"))
    out = tmp_path / "скан.json"
    assert call("landmarks", head, "--landmarks", head_landmarks, "-o", out) == cli.DONE
    assert out.is_file() and rb"\u0441\u043a\u0430\u043d.json" in printed.getvalue()


def test_without_bpy_a_scene_is_refused_in_a_sentence(tmp_path: Path, head: Path, sentence: Path) -> None:
    done = without_bpy("animate", head, sentence, "-o", tmp_path / "out.glb")
    assert done.returncode == cli.BAD_INPUT
    assert "needs Blender as a module" in done.stderr and "Traceback" not in done.stderr


def test_the_console_script_is_the_same_parser() -> None:
    script = Path(sys.executable).with_name("freetalk" + (".exe" if os.name == "nt" else ""))
    if not script.is_file():
        pytest.skip("FreeTalk is not installed in this environment; build.py does that")
    done = subprocess.run([script, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == freetalk("--help").stdout


@pytest.mark.skipif(os.name == "nt", reason="a shell of Linux and macOS")
@pytest.mark.parametrize("words", [("perform", "/dev/stdin", "-o", "out.npz"), ("batch", "/dev/stdin")])
def test_a_pipe_is_told_as_such(words: tuple[str, ...]) -> None:
    done = freetalk(*words, input="sound or jobs")
    assert done.returncode == cli.BAD_INPUT and "/dev/stdin is no file but a pipe or a device;" in done.stderr


def test_what_memory_does_not_hold_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sentence: Path, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("freetalk_blender.core.voice.performance.perform", lambda *_, **__: np.empty(2**58))
    assert call("perform", sentence, "-o", tmp_path / "out.npz") == cli.BAD_INPUT
    assert "freetalk: There is not enough memory (Unable to allocate 2.00 EiB" in capsys.readouterr().err


def test_ctrl_c_ends_with_130(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sentence: Path) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("freetalk_blender.core.voice.performance.perform", interrupt)
    assert call("perform", sentence, "-o", tmp_path / "out.npz") == cli.INTERRUPTED
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows ends processes without asking")
@pytest.mark.parametrize("ending", cancel.SIGNALS)
def test_what_ends_a_process_leaves_nothing_half_written(
    ending: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sentence: Path
) -> None:
    """As Ctrl C, also where that is ignored, as of a shell's jobs behind &; whoever asks again is not heard."""

    def stopped(*_: object, **__: object) -> None:
        (half,) = tmp_path.iterdir()
        assert half.name.startswith(".freetalk-")
        try:
            signal.raise_signal(ending)
        finally:
            signal.raise_signal(ending)

    monkeypatch.setattr(np.lib.format, "write_array", stopped)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *cancel.SIGNALS)}
    for pressed in (signal.default_int_handler, signal.SIG_IGN):
        signal.signal(signal.SIGINT, pressed)
        signal.signal(ending, signal.SIG_DFL)
        try:
            assert call("perform", sentence, "-o", tmp_path / "out.npz") == cli.TERMINATED
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        assert list(tmp_path.iterdir()) == []
    assert call("check", tmp_path / "none.obj") == cli.BAD_INPUT
    assert signal.getsignal(ending) is before[ending]


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no SIGHUP")
def test_a_command_under_nohup_outlives_its_connection() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with cli._terminable() as was_terminated:
            signal.raise_signal(signal.SIGHUP)
        assert not was_terminated() and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_commands_that_are_handed_over_are_answered_one_by_one_until_one_is_ended() -> None:
    """Whatever else is written to stdout, as by C, is not taken for an answer."""
    code = (
        "import os, sys\n"
        "from freetalk_blender import cli, processes\n"
        "def run(words, kept):\n"
        "    kept['words'] = [*kept.get('words', []), *words]\n"
        "    os.write(1, b'Saved: x.blend')\n"
        "    print(*kept['words'])\n"
        "    print('freetalk: told.', file=sys.stderr)\n"
        "    return cli.INTERRUPTED if words == ['end'] else cli.DONE\n"
        "cli._run = run\n"
        "sys.exit(cli.main([processes.TOGETHER]))\n"
    )
    lines = "".join(f"{json.dumps([word])}\n" for word in ("one", "two", "end", "never"))
    done = freetalk(door=("-c", code), input=lines)
    answers = [json.loads(line.removeprefix(processes.ANSWER)) for line in done.stdout.splitlines()]
    assert answers == [[0, "one\n", "freetalk: told.\n"], [0, "one two\n", "freetalk: told.\n"]]
    assert done.returncode == cli.INTERRUPTED and done.stderr.endswith("freetalk: told.\n")


@pytest.mark.skipif(os.name == "nt", reason="Windows ends processes without asking")
@pytest.mark.parametrize("ending", cancel.SIGNALS)
def test_what_ends_a_process_while_blender_starts_is_heard(
    ending: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    swallows = f"import signal\ntry:\n    signal.raise_signal({ending:d})\nexcept KeyboardInterrupt:\n    pass\n"
    (tmp_path / "bpy.py").write_text(swallows)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("BLENDER_USER_RESOURCES", str(tmp_path))
    monkeypatch.delitem(sys.modules, "bpy", raising=False)
    before = {number: signal.getsignal(number) for number in cancel.SIGNALS}
    signal.signal(ending, signal.SIG_DFL)
    try:
        with cli._terminable() as was_terminated, pytest.raises(KeyboardInterrupt):
            scans.import_bpy()
        assert was_terminated() and "bpy" in sys.modules
    finally:
        sys.modules.pop("bpy", None)
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.skipif(os.name == "nt", reason="a shell of Linux and macOS")
@pytest.mark.parametrize(
    ("where", "code", "words"),
    [
        ("| true", cli.DONE, ""),
        ("2>&1 | true", cli.DONE, ""),
        (">/dev/full", cli.BAD_INPUT, "A file cannot be read or written (No space left on device)"),
        (">&-", cli.DONE, ""),
        ("2>&-", cli.DONE, ""),
        ("<&- >&- 2>&-", cli.DONE, ""),
    ],
)
def test_an_answer_that_nobody_takes_is_no_bug(where: str, code: int, words: str) -> None:
    if "/dev/full" in where and not Path("/dev/full").exists():
        pytest.skip("only Linux has it")
    line = f'"{sys.executable}" -m freetalk_blender doctor {where}; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == code and words in done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


def test_a_protected_file_is_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli.commands, "points_of", lambda _: pytest.fail("the work began"))
    out = tmp_path / "out.npz"
    out.write_bytes(b"approved")
    out.chmod(0o444)
    assert call("animate", "head.obj", "speech.wav", "-o", out) == cli.BAD_INPUT
    assert f"Cannot write {out} (it is write-protected); " in capsys.readouterr().err
    assert out.read_bytes() == b"approved"


def test_what_is_read_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    scan = tmp_path / "head.glb"
    scan.write_bytes(b"a scan")
    again = f"{tmp_path}/../{tmp_path.name}/head.glb"
    assert call("animate", scan, "speech.wav", "-o", tmp_path / "x.npz", "-o", again) == cli.BAD_INPUT
    assert "head.glb is read by this command; write to another file." in capsys.readouterr().err
    points = tmp_path / "head.mrk.json"
    points.write_bytes(b"of another program")
    assert call("landmarks", scan, "--landmarks", points, "-o", points) == cli.BAD_INPUT
    assert "head.mrk.json is read by this command; write to another file." in capsys.readouterr().err
    assert scan.read_bytes() == b"a scan" and points.read_bytes() == b"of another program"


@pytest.mark.parametrize("kind", ["obj", "ply"])
def test_a_picture_of_the_scan_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture, kind: str) -> None:
    scan, picture = tmp_path / f"head.{kind}", tmp_path / "head.png"
    scan.write_text("mtllib head.mtl\n" if kind == "obj" else "ply\ncomment TextureFile head.png\nend_header\n")
    (tmp_path / "head.mtl").write_text("newmtl skin\nmap_Bump -bm 0.5 head.png\n")
    picture.write_bytes(b"skin")
    for words in (("landmarks", scan, "--preview", picture), ("animate", scan, "speech.wav", "-o", picture)):
        assert call(*words) == cli.BAD_INPUT
        assert f"{picture} is read by this command; write to another file." in capsys.readouterr().err
    assert picture.read_bytes() == b"skin"
