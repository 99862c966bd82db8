"""Emotion and style drawn over time."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from freetalk_blender.core.errors import FreeTalkError
from freetalk_blender.core.voice import curve_file
from freetalk_blender.core.voice.emotion import EMOTIONS, EmotionError
from freetalk_blender.core.voice.style import StyleError


def test_weights_run_straight_between_keys_and_are_held_at_the_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\ufefftime, Happy,surprised\n1.0,0.2,0\n\n2.0,1.0,0.5\n", encoding="utf-8")
    weights = curve_file.emotion(path, frames=76, fps=25)
    assert weights.shape == (76, 8) and weights.dtype == np.float32
    happy, surprised = weights[:, EMOTIONS.index("happy")], weights[:, EMOTIONS.index("surprised")]
    assert np.allclose(happy[:26], 0.2) and np.allclose(happy[50:], 1.0) and np.isclose(happy[30], 0.36)
    assert np.isclose(surprised[40], 0.3) and weights.sum() == happy.sum() + surprised.sum()


@pytest.mark.parametrize(
    ("read", "error", "content"),
    [
        (curve_file.emotion, EmotionError, ""),
        (curve_file.emotion, EmotionError, "happy,time\n1,2\n"),
        (curve_file.emotion, EmotionError, "time,grumpy\n0,1\n"),
        (curve_file.emotion, EmotionError, "time,happy,happy\n0,1,1\n"),
        (curve_file.emotion, EmotionError, "time,happy\n"),
        (curve_file.emotion, EmotionError, "time,happy\n0\n"),
        (curve_file.emotion, EmotionError, "time,happy\n0,0.2,1.5,0.9\n"),
        (curve_file.emotion, EmotionError, "time,happy\n0\n0.5\n1\n0.7\n"),
        (curve_file.emotion, EmotionError, "time,happy\n0,much\n"),
        (curve_file.emotion, EmotionError, "time,happy\n1,1\n0,1\n"),
        (curve_file.emotion, EmotionError, "time,happy\n0,1\n2,1\n1,1\n"),
        (curve_file.emotion, EmotionError, "time,happy\n0,1\nnan,1\n"),
        (curve_file.emotion, EmotionError, "time\n0\n"),
        (curve_file.emotion, EmotionError, "time,happy\n0,-1\n1,1\n"),
        (curve_file.emotion, EmotionError, "time,happy\n0,nan\n1,1\n"),
        (curve_file.style, StyleError, "time,happy\n0,1\n"),
        (curve_file.style, StyleError, "time,jaw\n0,2.5\n"),
        (curve_file.style, StyleError, "time,contact\n0,-1.5\n"),
    ],
)
def test_what_is_no_such_file_is_one_sentence(
    tmp_path: Path, read: Callable[..., object], error: type[FreeTalkError], content: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(error, match=r"a\.csv") as caught:
        read(path, 10, 25)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("read", "content", "told"),
    [
        (curve_file.emotion, "time,happy\n0,-1\n", "happy must be 0 or more in every row"),
        (curve_file.style, "time,jaw\n0,-1\n", "jaw must lie between 0 and 2 in every row"),
        (curve_file.emotion, "time,hapy\n0,1\n", "a line like time,happy,sad; known are neutral, happy, sad, "),
    ],
)
def test_what_is_wrong_with_such_a_file_is_told(
    tmp_path: Path, read: Callable[..., object], content: str, told: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(FreeTalkError, match=told):
        read(path, 10, 25)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(EmotionError, match=r"cannot be read \(No such file or directory\); check the path"):
        curve_file.emotion(tmp_path / "none.csv", 10, 25)


def test_a_style_file_draws_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("time,contact,upper-face\n0,-1,1\n1,1,2\n")
    drawn = curve_file.style(path, frames=51, fps=50)
    assert list(drawn) == ["contact", "upper_face"]
    assert np.allclose(drawn["contact"], np.linspace(-1, 1, 51)) and np.allclose(
        drawn["upper_face"], np.linspace(1, 2, 51)
    )
