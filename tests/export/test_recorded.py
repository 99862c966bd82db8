"""People who describe pictures: which recordings count, and what is believed of them."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("pocketsphinx", reason="the training environment aligns speech")

from evaluation.ats_pictures import TEXT
from export import aligned, recorded, voices
from freetalk_blender.core import json_lines
from freetalk_blender.core.voice import audio

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture()
def packages(tmp_path) -> Path:
    """A folder as the Debian package unpacks to: one stamp that counts, and four that do not."""
    stamps = tmp_path / "usr/share/tuxpaint/stamps/animals"
    stamps.mkdir(parents=True)
    texts = {"frog": "O broască.", "toad": "O broască.", "coin": "25 de cenți ($.25).", "cat": "", "dog": None}
    for place, (name, text) in enumerate(texts.items()):
        soundfile.write(stamps / f"{name}_desc_ro.ogg", np.sin(np.arange(8000) / (9 + place)), 16000)
        if text is not None:
            (stamps / f"{name}.txt").write_text(f"{name}\nes.utf8=Otra cosa.\nro.utf8={text}\n", encoding="utf-8")
    (stamps / "toad_desc_ro.ogg").write_bytes((stamps / "frog_desc_ro.ogg").read_bytes())
    return tmp_path


def test_a_description_counts_once_and_where_it_is_written_in_words(packages) -> None:
    found = list(recorded.described(packages, "ro"))
    assert [(name, text) for name, _, text in found] == [("ro_animals_frog_desc_ro", "O broască.")]


def test_a_language_that_is_missing_is_told(packages) -> None:
    with pytest.raises(Exception, match="_desc_fr"):
        list(recorded.described(packages, "fr"))


def test_russian_is_never_trained_on() -> None:
    assert [x for x in recorded.LANGUAGES if voices.is_held_out(f"{aligned.STAMPS} {x}")] == ["ru"]


@pytest.mark.parametrize("right", [True, False])
def test_a_recording_that_says_another_text_is_doubted(tmp_path, monkeypatch, capsys, right: bool) -> None:
    monkeypatch.setattr(aligned, "TOLD", 1)
    texts = [TEXT, "The five boxing wizards jump quickly, and nobody has seen them since that evening."]
    text, other = texts if right else reversed(texts)
    output = tmp_path / "recorded.jsonl"
    path = tmp_path / "said.flac"
    aligned.keep(audio.load(EXAMPLES / "speech.flac")[0], path)
    aligned.write([aligned.Recording("said", "stamps ro", path, text, others=(other,))], None, output)
    (row,) = json_lines.read(output)
    assert row["doubt"] == ("" if right else "another text is likelier")
    assert capsys.readouterr().out == "recorded.jsonl: 1 recordings\n"
