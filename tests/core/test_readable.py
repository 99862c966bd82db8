"""Files that other files name may be anywhere, and called anything."""

import os
from pathlib import Path

import pytest

from freetalk_blender.core.readable import is_readable, text


def test_what_is_no_file_or_cannot_be_one_is_not_readable(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    names = ("there", "none", ".", 300 * "x", "a\0b", "there/within")
    assert [is_readable(tmp_path / name) for name in names] == [True, *5 * [False]]


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has other permissions")
def test_what_nobody_may_read_or_look_into_is_not_readable(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    shut, within = tmp_path / "shut", tmp_path / "folder/file"
    shut.touch(0o000)
    within.touch()
    within.parent.chmod(0o000)
    tester = os.geteuid()
    try:
        if tester == 0:  # who may read everything
            os.seteuid(65534)
        assert not is_readable(shut) and not is_readable(within)
    finally:
        os.seteuid(tester)
        within.parent.chmod(0o700)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_a_text_is_read_as_programs_of_windows_write_it(tmp_path: Path, encoding: str) -> None:
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    (tmp_path / "a").write_text(f"{mark}größer\n1 2 3\n", encoding=encoding)
    assert text(tmp_path / "a") == "größer\n1 2 3\n"


@pytest.mark.skipif(os.name == "nt", reason="a shell of Linux and macOS")
def test_a_text_may_come_from_a_pipe() -> None:
    end, begin = os.pipe()
    os.write(begin, b"1 2 3\n")
    os.close(begin)
    assert text(Path(f"/dev/fd/{end}")) == "1 2 3\n"
    os.close(end)
