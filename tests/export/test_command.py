"""How the commands of export and evaluation end."""

import argparse
import importlib
import re
import sys
from pathlib import Path

import pytest

from export import command
from freetalk_blender.core.argument_types import whole_number
from freetalk_blender.core.errors import FreeTalkError

ROOT = Path(__file__).resolve().parents[2]
#: It needs the standard library and numpy alone, and says itself what is wrong.
ALONE = "encoder_weights.py"


def ended(main, monkeypatch) -> object:
    monkeypatch.setattr(sys, "argv", ["/somewhere/judge.py"])
    with pytest.raises(SystemExit) as end:
        command.run(main)
    return end.value.code


def raising(error):
    def main() -> None:
        raise error

    return main


def test_a_command_that_works_ends_with_0(monkeypatch) -> None:
    assert ended(lambda: None, monkeypatch) == 0


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (FreeTalkError("It is not there; look."), "judge.py: It is not there; look.\n"),
        (FileNotFoundError(2, "No such file", "/nowhere/a.npz"), r"judge.py: /nowhere/a\.npz cannot be read .*\n"),
    ],
)
def test_what_a_person_can_mend_is_one_line_and_3(error, told, monkeypatch, capsys) -> None:
    assert ended(raising(error), monkeypatch) == 3
    assert re.fullmatch(told, capsys.readouterr().err)


def test_another_wheel_than_the_pinned_one_is_one_line_and_3(tmp_path, monkeypatch, capsys) -> None:
    pytest.importorskip("ctranslate2", reason="needs the training environment")
    from export import transcribe

    wheel = tmp_path / "half.whl"
    wheel.write_bytes(b"half a download")
    assert ended(lambda: transcribe.Transcriber(wheel), monkeypatch) == 3
    assert re.fullmatch(r"judge\.py: .*half\.whl is not the pinned .*; .*\n", capsys.readouterr().err)


def test_ctrl_c_is_130_without_a_word(monkeypatch, capsys) -> None:
    assert ended(raising(KeyboardInterrupt()), monkeypatch) == 130
    assert capsys.readouterr().err == ""


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(IndexError):
        command.run(raising(IndexError()))


def test_a_folder_without_such_files_is_named(tmp_path) -> None:
    with pytest.raises(FreeTalkError, match=re.escape(f"{tmp_path / 'speech'} has no files **/*.flac")):
        command.files(tmp_path / "speech", "**/*.flac")
    (tmp_path / "speech" / "one").mkdir(parents=True)
    (tmp_path / "speech" / "one" / "a.flac").touch()
    assert command.files(tmp_path / "speech", "**/*.flac") == [tmp_path / "speech" / "one" / "a.flac"]


@pytest.mark.parametrize("words", [["no_such_program"], [sys.executable, "-c", "import sys; sys.exit('no voice')"]])
def test_a_program_that_lacks_a_voice_is_named(words) -> None:
    pytest.importorskip("pocketsphinx", reason="needs the training environment")
    from export import synthesisers

    with pytest.raises(FreeTalkError, match=rf"{re.escape(words[0])} failed \(.*no.+\); export/synthesisers"):
        synthesisers._run(words)


def test_no_recordings_are_no_perfect_score(tmp_path) -> None:
    pytest.importorskip("pocketsphinx", reason="needs the training environment")
    from evaluation import ats

    with pytest.raises(FreeTalkError, match=re.escape(str(tmp_path / "speech"))):
        ats.recordings(tmp_path)


@pytest.mark.parametrize(
    ("voices", "told"), [((), "was aligned"), (("grid_s1",), "was aligned"), (("prompts it",), "is in these files")]
)
def test_files_of_heard_voices_alone_are_no_table(voices, told, tmp_path) -> None:
    pytest.importorskip("pocketsphinx", reason="needs the training environment")
    from evaluation import ats_phones
    from export import aligned

    spoken = [aligned.Aligned("one", voice, tmp_path, []) for voice in voices]
    with pytest.raises(FreeTalkError, match=f"Nobody .*{told}; "):
        ats_phones.readers(ats_phones.groups(spoken, 5))


@pytest.mark.parametrize("text", ["0", "-1", "2.5", "many"])
def test_a_count_of_nothing_is_argparse_s_own_sentence(text, capsys) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--faces", type=whole_number(1))
    assert parser.parse_args(["--faces", "3"]).faces == 3
    with pytest.raises(SystemExit):
        parser.parse_args([f"--faces={text}"])
    assert f"--faces: '{text}' is not a whole number of at least 1" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["mouth", "mouth_motion", "mouth_opening"])
def test_a_kind_that_there_is_not_is_argparse_s_own_sentence(name, monkeypatch, capsys) -> None:
    pytest.importorskip("pymeshlab", reason="needs the training environment")
    module = importlib.import_module(f"evaluation.{name}")
    monkeypatch.setattr(sys, "argv", [name, "--data", "/nowhere", "--kinds", "nonsense"])
    with pytest.raises(SystemExit):
        module.main()
    assert "--kinds: invalid choice: 'nonsense'" in capsys.readouterr().err


def test_scans_of_pictures_are_given_one_after_the_other(tmp_path, monkeypatch) -> None:
    pytest.importorskip("pymeshlab", reason="needs the training environment")
    from evaluation import stm_pictures

    words = ["--data", str(tmp_path), "-o", str(tmp_path), "--scan", "one.obj", "two.obj"]
    monkeypatch.setattr(sys, "argv", ["stm_pictures", *words])
    with pytest.raises(FileNotFoundError, match="ict_facekit"):  # the words were taken, the data is not there
        stm_pictures.main()


def test_every_command_ends_so() -> None:
    commands = {
        path.name: text.split('if __name__ == "__main__":\n')[1]
        for folder in ("export", "evaluation")
        for path in (ROOT / folder).glob("*.py")
        if '__name__ == "__main__"' in (text := path.read_text(encoding="utf-8"))
    }
    assert [name for name, end in commands.items() if "command.run(main)" not in end] == [ALONE]
