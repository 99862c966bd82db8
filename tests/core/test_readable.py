"""Files that other files name may be anywhere, and called anything."""

import os
from pathlib import Path

import pytest

from freetalk_blender.core.readable import is_readable


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
