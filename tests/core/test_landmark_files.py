"""Landmarks come in from other programs' files, in the scan's own coordinates."""

import json

import numpy as np
import pytest

from freetalk_blender.core import landmarks
from freetalk_blender.core.errors import LandmarkError

POINTS = np.random.default_rng(4).normal(0, 50, (68, 3)).round(3)
TURNED = POINTS * [-1, -1, 1]


def rows(points: np.ndarray, between: str = " ") -> str:
    return "\n".join(between.join(map(str, point)) for point in points)


def fcsv(points: np.ndarray, header: str) -> str:
    body = "\n".join(
        f"vtkMRMLMarkupsFiducialNode_{k},{x},{y},{z},0,0,0,1,1,1,0,F-{k + 1},," for k, (x, y, z) in enumerate(points)
    )
    return f"# Markups fiducial file version = 4.11\n{header}# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock\n{body}\n"


def markups(points: np.ndarray, system: str | None, **extra: str) -> str:
    places = [{"label": f"F-{k + 1}", "position": point, **extra} for k, point in enumerate(points.tolist())]
    said = {} if system is None else {"coordinateSystem": system}
    return json.dumps({"markups": [{"type": "Fiducial", **said, "controlPoints": places}]})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain.xyz", rows(POINTS)),
        ("commented.TXT", "# nose first\n\n" + rows(POINTS, ", ") + "\n"),
        ("semicolons.txt", rows(POINTS, ";").replace("\n", " # here\r\n")),
        ("three.pts", f"version: 1\nn_points: 68\n{{\n{rows(POINTS)}\n}}\n"),
        ("now.fcsv", fcsv(POINTS, "# CoordinateSystem = LPS\n")),
        ("numbered.fcsv", fcsv(POINTS, "# CoordinateSystem = 1\n")),
        ("old.fcsv", fcsv(TURNED, "# CoordinateSystem = 0\n")),
        ("silent.fcsv", fcsv(TURNED, "")),
        ("left.mrk.json", markups(POINTS, "LPS", positionStatus="defined")),
        ("right.mrk.json", markups(TURNED, "RAS")),
        ("silent.mrk.json", markups(POINTS, None)),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_points_come_in_the_coordinates_of_the_mesh_file(tmp_path, name, text, encoding):
    (tmp_path / name).write_text(text, encoding=encoding)
    found = landmarks.read(tmp_path / name)
    assert found.points == pytest.approx(POINTS)
    assert found.vertices is None and found.confidence is None


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("few.xyz", rows(POINTS[:67]), "holds 67 points; 68"),
        ("empty.txt", "", "holds 0 points"),
        ("word.xyz", rows(POINTS[:3]) + "\n1 2 nose", "x y z in line 4"),
        ("table.csv", rows(POINTS), r"of no kind that FreeTalk reads; use \.json, \.xyz"),
        ("two.xyz", "1 2\n", "x y z in line 1"),
        ("endless.xyz", "1 2 inf\n", "finite"),
        ("picture.pts", f"version: 1\nn_points: 68\n{{\n{rows(POINTS[:, :2])}\n}}\n", "in a photograph"),
        ("open.pts", rows(POINTS), "between"),
        ("late.pts", "version: 1\n{\n1 2 3\n1 2 x\n}", "line 4"),
        ("many.fcsv", fcsv(np.concatenate([POINTS, POINTS]), ""), "holds 136 points"),
        ("broken.fcsv", fcsv(POINTS, "").replace(str(POINTS[2, 1]), ""), "x y z in line"),
        ("voxels.fcsv", fcsv(POINTS, "# CoordinateSystem = IJK\n"), "'IJK'"),
        ("cut.mrk.json", markups(POINTS, "LPS")[:-20], "save it there again"),
        ("other.mrk.json", "[]", "save it there again"),
        ("none.mrk.json", '{"markups": []}', "save it there again"),
        ("unset.mrk.json", markups(POINTS, "LPS", positionStatus="undefined"), "not placed yet"),
        ("nothing.mrk.json", markups(POINTS, "LPS").replace(str(POINTS[3, 0]), "null"), "point 3"),
        ("huge.mrk.json", markups(POINTS, "LPS").replace(str(POINTS[3, 0]), "1" + 400 * "0"), "point 3"),
        pytest.param("deep.mrk.json", 200_000 * "[", "save it there again", id="nested without end"),
        pytest.param("braces.pts", 300_000 * "{", "between", id="braces without end"),
    ],
)
def test_a_wrong_file_is_told_in_a_sentence(tmp_path, name, text, says):
    (tmp_path / name).write_text(text)
    with pytest.raises(LandmarkError, match=says) as told:
        landmarks.read(tmp_path / name)
    assert str(tmp_path / name) in str(told.value)


def test_what_is_no_text_is_told_in_a_sentence(tmp_path):
    (tmp_path / "picture.xyz").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(LandmarkError, match="is not text"):
        landmarks.read(tmp_path / "picture.xyz")


def test_parts_to_check_are_named():
    confidence = np.ones(68)
    assert landmarks.doubt(landmarks.Landmarks(POINTS, confidence=confidence)) == ()
    confidence[[43, 8]] = 0.2
    given = landmarks.Landmarks(POINTS, confidence=confidence)
    assert landmarks.doubtful(given) == ("the chin", "the left eye's upper lid")
    assert landmarks.doubt(given) == ("Some landmarks are uncertain: check the chin and the left eye's upper lid.",)
    assert landmarks.doubtful(landmarks.Landmarks(POINTS)) == ()


def test_every_landmark_belongs_to_one_part():
    assert sorted(point for points in landmarks.PARTS.values() for point in points) == list(range(68))
