"""A file appears whole or not at all."""

import errno
import os

import pytest

from freetalk_blender.core import atomic
from freetalk_blender.core.errors import FreeTalkError


def test_a_whole_file_appears_under_its_name_only(tmp_path):
    with atomic.output(tmp_path / "new" / "a.json") as temporary:
        temporary.write_text("whole")
        assert not (tmp_path / "new" / "a.json").exists()
        assert temporary.suffix == ".json"
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["a.json"]
    assert (tmp_path / "new" / "a.json").read_text() == "whole"


@pytest.mark.skipif(os.name == "nt", reason="permissions of Windows are others")
def test_a_file_is_for_those_for_whom_the_persons_other_files_are(tmp_path):
    (tmp_path / "other.txt").write_text("")
    with atomic.output(tmp_path / "a.txt") as temporary:
        temporary.write_text("whole")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "other.txt").stat().st_mode


def test_a_crash_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(RuntimeError), atomic.output(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


@pytest.mark.skipif(os.name == "nt", reason="permissions of Windows are others")
def test_a_link_stays_a_link_and_a_file_keeps_its_permissions(tmp_path, link):
    kept, latest = tmp_path / "store" / "v001", tmp_path / "latest.txt"
    kept.parent.mkdir()
    link(latest, kept)
    for mode in (0o666 & ~atomic._UMASK, 0o640):
        with atomic.output(latest) as temporary:
            temporary.write_text(f"{mode:o}")
            assert temporary.suffix == ".txt" and temporary.parent == kept.parent
        assert latest.is_symlink() and latest.read_text() == f"{mode:o}"
        assert kept.stat().st_mode & 0o777 == mode
        kept.chmod(0o640)


@pytest.mark.parametrize("through", ["itself", "a link"])
def test_a_file_that_is_protected_is_not_replaced(through, tmp_path, link):
    kept = tmp_path / "approved.txt"
    kept.write_text("approved")
    kept.chmod(0o444)
    named = kept
    if through == "a link":
        named = tmp_path / "latest.txt"
        link(named, kept)
    there = set(tmp_path.iterdir())
    with pytest.raises(FreeTalkError, match=r"Cannot write .*\.txt \(it is write-protected\);"), atomic.output(named):
        raise AssertionError("nothing is made first")
    assert kept.read_text() == "approved" and set(tmp_path.iterdir()) == there


def test_a_folder_that_is_a_file_is_told_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FreeTalkError, match="Cannot write to"), atomic.output(tmp_path / "file" / "a.txt"):
        pass


def test_a_folder_that_lets_nothing_be_made_in_it_is_told_at_once(tmp_path, monkeypatch):
    """What Windows answers there: os.access lets it pass, and opening a new file is not permitted."""
    asked = []

    def refuse(path, *_):
        asked.append(path)
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(FreeTalkError, match=r"Cannot write to .* \(Permission denied\)"), atomic.output(tmp_path / "a"):
        pass
    with pytest.raises(PermissionError), atomic.folder(tmp_path):
        pass
    assert len([path for path in asked if path.parent == tmp_path]) == 2


def test_a_name_that_is_taken_is_left_to_whom_it_belongs(tmp_path, monkeypatch):
    names = iter(["taken", "free"])
    monkeypatch.setattr(atomic.secrets, "token_hex", lambda _: next(names))
    (tmp_path / ".freetalk-taken.txt").write_text("another's")
    with atomic.output(tmp_path / "a.txt") as temporary:
        assert temporary.name == ".freetalk-free.txt"
    assert (tmp_path / ".freetalk-taken.txt").read_text() == "another's"


def test_a_disk_that_is_full_afterwards_is_told_and_leaves_nothing(tmp_path, monkeypatch):
    usage = atomic.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(atomic.shutil, "disk_usage", lambda _: usage._replace(free=0))
    with pytest.raises(FreeTalkError, match=r"The disk of .* is full"), atomic.output(tmp_path / "a.usdc") as temporary:
        temporary.write_text("cut off")
    assert not [*tmp_path.iterdir()]


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path):
    name = "a" * 250 + ".json"
    with atomic.output(tmp_path / name) as temporary:
        temporary.write_text("whole")
    assert [file.name for file in tmp_path.iterdir()] == [name]
