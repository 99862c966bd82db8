"""What a check-up finds on good, bad and hopeless meshes."""

import json

import numpy as np
import pytest

from freetalk_blender.core import checkup
from freetalk_blender.core.errors import MeshError
from freetalk_blender.core.mouth import fused_mouth, opening
from freetalk_blender.core.mouth.opened_mouth import BAG


def levels(report: checkup.CheckUp) -> dict[str, str]:
    return {finding.topic: finding.level for finding in report.findings}


def test_the_sample_head_is_described(scan):
    before = [array.copy() for array in scan]
    report = checkup.check_up(*scan)
    assert report.facts["lips"] == "fused" and report.facts["eyes"] == ["open", "open"]
    assert report.facts["up"] == "+Y" and report.facts["forward"] == "+Z" and report.facts["unit"] == "millimetres"
    assert report.facts["parts"] == 2 and report.facts["neutral"]
    assert levels(report)["lips"] == "notice" and levels(report)["eyes"] == "good" and report.level == "notice"
    assert all(finding.fix for finding in report.findings if finding.level != "good")
    assert json.loads(json.dumps(report.facts)) == report.facts
    assert all(np.array_equal(old, new) for old, new in zip(before, scan, strict=True))


def test_pose_and_unit_are_told(scan):
    vertices, triangles, points = scan
    turn = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]) / 1000
    report = checkup.check_up((vertices @ turn.T).astype(np.float32), triangles, points @ turn.T)
    assert (report.facts["up"], report.facts["forward"], report.facts["unit"]) == ("+Z", "-Y", "metres")


def test_an_open_mouth_is_no_neutral_face(scan):
    vertices, triangles, points = scan
    points = points.copy()
    points[[65, 66, 67], 1] -= 9
    points[55:60, 1] -= 9
    report = checkup.check_up(vertices, triangles, points)
    assert levels(report)["expression"] == "notice" and not report.facts["neutral"]


@pytest.mark.parametrize(
    ("moves", "says"),
    [({(17, 27): (0, 8)}, "the brows are raised"), ({(48, 49): (-5, 7), (54, 55): (5, 7)}, "the mouth smiles")],
)
def test_raised_brows_and_a_smile_are_no_neutral_face(scan, moves, says):
    vertices, triangles, points = scan
    for share, level in ((0.0, "good"), (1.0, "notice")):
        moved = points.copy()
        for place, move in moves.items():
            moved[slice(*place), :2] += share * np.array(move)
        (told,) = (each for each in checkup.check_up(vertices, triangles, moved).findings if each.topic == "expression")
        assert told.level == level and (told.sentence == f"The face is not neutral: {says}.") == bool(share)


@pytest.mark.parametrize("apart", [0.0, 7.0])
def test_lips_on_pieces_of_their_own_are_a_finding_however_far_apart_they_stand(scan, apart):
    """Those of a mouth that stood open ended the whole check-up."""
    vertices, triangles, points = scan
    height = vertices[triangles, 1] - points[60:68, 1].mean()
    marks = points.copy()
    marks[61:64, 1] += apart / 2
    marks[65:68, 1] -= apart / 2
    report = checkup.check_up(vertices, triangles[(height > 1).all(1) | (height < -1).all(1)], marks)
    (told,) = (finding for finding in report.findings if finding.topic == "mouth")
    assert told.level == "notice" and "The lips lie on different pieces of the mesh" in told.sentence
    assert levels(report)["lips"] == levels(report)["eyes"] == "good"


def test_open_lips_are_told_with_what_lies_behind(scan):
    vertices, triangles, points = scan
    opened = fused_mouth.open_lips(vertices, triangles, points)
    own = checkup.check_up(opened.vertices, opened.triangles, points)
    assert own.facts["lips"] == "open" and own.facts["cavity"] == "closed" and levels(own)["mouth"] == "good"


@pytest.mark.parametrize(
    ("gap", "hole", "cut"),
    [
        (16, lambda x, y: (np.abs(x) > 4) & (np.abs(x) < 21) & (np.abs(y) < 7.5), False),
        (12, lambda x, y: (np.abs(x) < 6) & (y < -4), True),
    ],
    ids=["a laugh's teeth with holes beside them", "a scan that is torn from its lower lip down"],
)
def test_a_mouth_that_stood_open_is_told_as_animate_opens_it(scan, gap, hole, cut):
    """The first was said to be impossible to open, of the second that its web is taken out."""
    vertices, triangles, shut = scan
    x, y, z = (vertices[triangles].mean(1) - shut[60:68].mean(0)).T
    torn, points = triangles[~(hole(x, y) & (np.abs(z) < 40))], shut.copy()
    points[61:64, 1] += gap / 2
    points[65:68, 1] -= gap / 2
    opened, notes = opening.opened(vertices, torn, points, "dark")
    assert not notes and opened.is_cut == cut and BAG in opened.part
    (told,) = (finding for finding in checkup.check_up(vertices, torn, points).findings if finding.topic == "lips")
    assert told.level == "notice" and ("are one surface" if cut else "stood open") in told.sentence


def test_texture_seams_are_counted(scan):
    vertices, triangles, points = scan
    uvs = vertices[triangles][:, :, :2] / 400
    whole = checkup.check_up(vertices, triangles, points, uvs=uvs)
    uvs[vertices[triangles].mean(1)[:, 0] > 0] += 1
    cut = checkup.check_up(vertices, triangles, points, uvs=uvs)
    assert whole.facts["texture_seams"] == 0 and cut.facts["texture_seams"] > 50
    with pytest.raises(MeshError, match="uvs must have shape"):
        checkup.check_up(vertices, triangles, points, uvs=uvs[:5])


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda v, t: (v * np.nan, t), "no faces with finite corners"),
        (lambda v, t: (v[:0], t[:0]), "0 vertices and 0 faces"),
        (lambda v, t: (v, t + 10**6), "A triangle names vertex"),
        (lambda v, t: (v * 1e32, t), "1e30 units away"),
    ],
)
def test_a_hopeless_mesh_is_a_finding_and_no_error(scan, spoil, sentence):
    with np.errstate(over="ignore"):
        report = checkup.check_up(*spoil(*scan[:2]))
    assert report.level == "problem" and len(report.findings) == 1
    assert sentence in report.findings[0].sentence


def test_a_mesh_without_a_face_is_told(scan):
    vertices, triangles, points = scan
    back = triangles[(vertices[triangles][:, :, 2] < points[0, 2] - 30).all(1)]
    report = checkup.check_up(vertices, back)
    assert levels(report)["face"] == "problem" and "No face was found" in report.findings[-1].sentence


def test_arrays_that_are_no_mesh_raise():
    with pytest.raises(MeshError, match="shape"):
        checkup.check_up(np.zeros((3, 2)), np.zeros((1, 3), int))


def test_a_scan_far_from_its_origin_is_told(scan):
    vertices, triangles, points = scan
    offset = np.array([5e6, 0, 0])
    near = checkup.check_up(vertices, triangles, points, offset=offset)
    (place,) = [finding for finding in near.findings if finding.topic == "place"]
    assert "5,000," in place.sentence and "0.5 units apart" in place.sentence and ".npz" in place.fix
    blurred = checkup.check_up((vertices + offset).astype(np.float32), triangles, points + offset)
    assert levels(blurred)["place"] == "notice"
    lost = checkup.check_up((vertices + 1e3 * offset).astype(np.float32), triangles, points + 1e3 * offset)
    assert lost.level == "problem" and "move it to its origin" in lost.findings[0].sentence
    assert "place" not in levels(checkup.check_up(vertices, triangles, points, offset=np.zeros(3)))
