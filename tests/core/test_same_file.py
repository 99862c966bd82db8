"""Paths of one file are known as such on every system."""

import os
import unicodedata

import pytest

from freetalk_blender import cli
from freetalk_blender.core import same_file


@pytest.fixture
def ignoring_case(tmp_path, monkeypatch):
    """A folder in which names are found in any case, as on the disks of Windows and macOS."""
    real = os.lstat

    def lstat(path, **options):
        folder, name = os.path.split(os.fspath(path))
        if str(folder).startswith(str(tmp_path)) and os.path.isdir(folder):
            name = next((known for known in os.listdir(folder) if known.lower() == name.lower()), name)
        return real(os.path.join(folder, name), **options)

    monkeypatch.setattr(os, "lstat", lstat)
    (tmp_path / "known").write_text("")
    return tmp_path


def test_names_that_differ_in_case_are_one_file_where_the_folder_says_so(ignoring_case):
    composed, apart = (unicodedata.normalize(form, "Zoë.glb") for form in ("NFC", "NFD"))
    for one, other in (("Talk.glb", "talk.GLB"), ("new/Talk.glb", "New/talk.glb"), (composed, apart.upper())):
        assert same_file.identity(ignoring_case / one) == same_file.identity(ignoring_case / other)
    assert same_file.identity(ignoring_case / "a.glb") != same_file.identity(ignoring_case / "b.glb")


def test_an_empty_folder_is_as_the_one_that_it_is_in(ignoring_case):
    (ignoring_case / "takes").mkdir()
    assert same_file.identity(ignoring_case / "takes" / "A") == same_file.identity(ignoring_case / "takes" / "a")


def test_names_that_differ_in_case_are_two_files_elsewhere(tmp_path):
    (tmp_path / "known").write_text("")
    if (tmp_path / "KNOWN").exists():
        pytest.skip("this system's folders ignore case")
    assert same_file.identity(tmp_path / "Talk.glb") != same_file.identity(tmp_path / "talk.glb")
    (tmp_path / "KNOWN").write_text("another")
    same_file._ignores_case.cache_clear()
    assert same_file.identity(tmp_path / "Talk.glb") != same_file.identity(tmp_path / "talk.glb")


def test_a_scene_is_not_written_over_under_its_name_in_another_case(ignoring_case, capsys):
    (ignoring_case / "Hero.blend").write_text("an artist's work")
    words = ["animate", ignoring_case / "Hero.blend", "speech.wav", "-o", ignoring_case / "hero.blend"]
    assert cli.main([*map(str, words)]) == cli.BAD_INPUT
    assert "hero.blend is read by this command; write to another file." in capsys.readouterr().err
