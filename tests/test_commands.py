"""What the commands answer and write that need no Blender."""

import argparse
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from doors import call, without_bpy, write_obj

from freetalk_blender import cli, commands, scans
from freetalk_blender.core import landmarks, models
from freetalk_blender.core.detection import detector
from freetalk_blender.core.errors import LandmarkError
from freetalk_blender.core.surface import scan_file


def motion_of(path: Path) -> np.ndarray:
    """The displacement that a command has written."""
    with np.load(path) as arrays:
        return arrays["displacement"]


def test_perform_writes_motion_and_needs_no_bpy(tmp_path: Path, short_clip: Path) -> None:
    out = tmp_path / "motion.npz"
    done = without_bpy("perform", short_clip, "-o", out, "--fps", "25", "--emotion", "happy=0.8", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["outputs"] == [str(out)] and "perform the speech" in answer["seconds"]
    with np.load(out) as arrays:
        assert arrays["displacement"].shape == (51, 68, 3) and arrays["displacement"].dtype == np.float32
        assert arrays["emotion"].shape == (51, 8) and np.isclose(arrays["emotion"][0, 1], 0.8)
        assert arrays["tongue"].shape == (51, 3)
        assert float(arrays["fps"]) == 25


def test_each_speaker_of_a_recording_has_a_channel(tmp_path: Path, short_clip: Path) -> None:
    voice, rate = soundfile.read(short_clip)
    soundfile.write(tmp_path / "two.wav", np.stack([np.zeros_like(voice), voice], 1), rate)
    for name, sound, options in (("alone", short_clip, ()), ("second", tmp_path / "two.wav", ("--channel", "2"))):
        assert call("perform", sound, "-o", tmp_path / f"{name}.npz", *options) == cli.DONE
    assert np.array_equal(motion_of(tmp_path / "alone.npz"), motion_of(tmp_path / "second.npz"))


def test_a_sound_without_speech_is_told(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    soundfile.write(tmp_path / "rain.wav", np.random.default_rng(0).normal(0, 0.05, 16000), 16000)
    assert call("perform", tmp_path / "rain.wav", "-o", tmp_path / "out.npz") == cli.DONE
    assert "No speech was heard in rain.wav" in capsys.readouterr().err


def test_the_same_seed_gives_the_same_motion_and_another_another(tmp_path: Path, short_clip: Path) -> None:
    moved = []
    for seed in (7, 7, 8):
        assert call("perform", short_clip, "-o", tmp_path / "out.npz", "--seed", seed) == cli.DONE
        moved.append(motion_of(tmp_path / "out.npz"))
    assert np.array_equal(moved[0], moved[1]) and not np.array_equal(moved[0], moved[2])


def test_of_a_face_that_cannot_be_bound_a_sentence_alone_is_said(
    tmp_path: Path, bare_face: tuple[np.ndarray, np.ndarray, np.ndarray], head_landmarks: Path
) -> None:
    """CHOLMOD's warning stood where results do."""
    vertices, triangles, _ = bare_face
    coarse = write_obj(tmp_path / "coarse.obj", np.round(vertices / 6) * 6, triangles)
    np.savez(tmp_path / "motion.npz", displacement=np.zeros((1, 68, 3), np.float32), fps=25)
    files = coarse, tmp_path / "motion.npz", "-o", tmp_path / "out.npz"
    done = without_bpy("deform", *files, "--landmarks", head_landmarks)
    assert (done.returncode, done.stdout) == (cli.BAD_INPUT, "")
    assert "too thin or too coarse in their coordinates" in done.stderr and "CHOLMOD" not in done.stderr


def test_deform_answers_for_every_vertex_of_the_file_in_its_order(
    tmp_path: Path, head: Path, head_landmarks: Path
) -> None:
    """An unused vertex at the front and shuffled order: importers would drop the one and keep the other by luck."""
    vertices, triangles = scan_file.read(head)
    order = np.random.default_rng(1).permutation(len(vertices))
    rank = np.argsort(order)
    unused = np.zeros((1, 3))
    shuffled = write_obj(tmp_path / "shuffled.obj", np.concatenate([unused, vertices[order]]), rank[triangles] + 1)
    motion = tmp_path / "motion.npz"
    moved = np.zeros((3, 68, 3), np.float32)
    moved[1:, 48:68, 1] = -0.05
    np.savez(motion, displacement=moved, fps=25)
    dense = []
    for path in (head, shuffled):
        out = tmp_path / f"{path.stem}.npz"
        assert call("deform", path, motion, "--landmarks", head_landmarks, "-o", out) == cli.DONE
        with np.load(out) as arrays:
            dense.append(arrays["displacement"])
            assert float(arrays["fps"]) == 25
    assert dense[0].shape == (3, len(vertices), 3) and dense[1].shape == (3, len(vertices) + 1, 3)
    assert np.abs(dense[1][:, 0]).max() == 0
    assert np.abs(dense[0][1]).max() > 1, "millimetres"
    assert np.abs(dense[1][:, 1:][:, rank] - dense[0]).max() < 0.5, "order of vertices changes rounding, not the face"


def test_fused_lips_that_are_kept_are_told(
    tmp_path: Path, head: Path, head_landmarks: Path, capsys: pytest.CaptureFixture
) -> None:
    motion, out = tmp_path / "motion.npz", tmp_path / "dense.npz"
    np.savez(motion, displacement=np.zeros((2, 68, 3), np.float32), fps=25)
    told = []
    for more in ([], ["--keep-mouth"]):
        assert call("deform", head, motion, "--landmarks", head_landmarks, "-o", out, *more) == cli.DONE
        told.append(capsys.readouterr().err)
    assert "lips of this scan are fused" not in told[0] and "lips of this scan are fused" in told[1]


def test_landmark_motion_in_the_scans_own_axes_moves_its_landmarks_there(
    tmp_path: Path, head: Path, head_landmarks: Path
) -> None:
    points = landmarks.read(head_landmarks).points
    moved = np.zeros((2, 68, 3), np.float32)
    moved[1, 8] = (0, -6, 1)
    motion, out = tmp_path / "motion.npz", tmp_path / "out.npz"
    np.savez(motion, displacement=moved, fps=25)
    assert call("deform", head, motion, "--landmarks", head_landmarks, "--space", "mesh", "-o", out) == cli.DONE
    nearest = np.linalg.norm(scan_file.read(head)[0] - points[8], axis=1).argmin()
    assert np.allclose(motion_of(out)[1, nearest], (0, -6, 1), atol=0.05)


def test_doctor_tells_versions_networks_and_providers_without_bpy() -> None:
    done = without_bpy("doctor", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["packages"]["numpy"] == np.__version__
    assert "runs on CPUExecutionProvider" in answer["networks"]["stm"]
    assert set(answer["providers"]) >= {"auto", "cpu", "cuda"} and answer["failed"] == []


def test_doctor_fails_where_networks_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("FREETALK_MODELS", str(tmp_path))
    models.forget()
    try:
        assert call("doctor", "--json") == cli.SOME_FAILED
    finally:
        models.forget()
    assert "stm" in json.loads(capsys.readouterr().out)["failed"]


def test_landmarks_of_another_program_are_read_back_and_checked(
    tmp_path: Path, head: Path, head_landmarks: Path
) -> None:
    truth = landmarks.read(head_landmarks)
    np.savetxt(tmp_path / "marks.xyz", truth.points)
    words = ["landmarks", head, "--landmarks", tmp_path / "marks.xyz", "-o", tmp_path / "out.json"]
    done = without_bpy(*words, "--preview", tmp_path / "out.png")
    assert done.returncode == cli.DONE and (tmp_path / "out.png").is_file()
    found = landmarks.read(tmp_path / "out.json")
    assert found.points == pytest.approx(truth.points, abs=1e-6) and found.confidence is None
    again = without_bpy("landmarks", head, "--landmarks", tmp_path / "out.json", "--json")
    answer = json.loads(again.stdout)
    assert np.array(answer["points"]) == pytest.approx(truth.points, abs=1e-5) and answer["check"] == []
    np.savetxt(tmp_path / "far.xyz", truth.points + 1e4)
    far = without_bpy("landmarks", head, "--landmarks", tmp_path / "far.xyz", "-o", tmp_path / "far.json")
    assert far.returncode == cli.BAD_INPUT and "off the mesh" in far.stderr
    assert not (tmp_path / "far.json").exists()


def test_landmarks_of_a_scan_far_from_its_origin_are_in_the_files_coordinates(
    tmp_path: Path, head: Path, head_landmarks: Path
) -> None:
    """Georeferenced: millimetres, some thousand kilometres off."""
    vertices, triangles = scan_file.read(head)
    offset, points = np.array([4e8, 5e9, 1e5]), landmarks.read(head_landmarks).points
    far = write_obj(tmp_path / "far.obj", vertices + offset, triangles)
    given, out = tmp_path / "far.json", tmp_path / "out.json"
    landmarks.write(given, landmarks.Landmarks(points + offset))
    assert call("landmarks", far, "--landmarks", given, "-o", out) == cli.DONE
    assert np.abs(landmarks.read(out).points - offset - points).max() < 1e-3


def test_landmarks_of_a_scan_in_tiny_units_are_as_exact(
    tmp_path: Path, head: Path, head_landmarks: Path, capsys: pytest.CaptureFixture
) -> None:
    """Ten thousand kilometres: a millimetre is 1e-7."""
    vertices, triangles = scan_file.read(head)
    points, millimetre = landmarks.read(head_landmarks).points, 1e-7
    tiny = write_obj(tmp_path / "tiny.obj", vertices.astype(float) * millimetre, triangles)
    np.savetxt(tmp_path / "tiny.xyz", points * millimetre)
    for command in ("landmarks", "check"):
        words = [command, tiny, "--landmarks", tmp_path / "tiny.xyz", "--json"]
        assert cli.main([*map(str, words)]) == cli.DONE
        told = json.loads(capsys.readouterr().out)
        found = told["points"] if command == "landmarks" else told["facts"]["landmarks"]
        assert np.abs(np.array(found) - points * millimetre).max() < 1e-3 * millimetre
    eyes = np.linalg.norm(points[45] - points[36])
    assert told["facts"]["eye_distance"] == pytest.approx(eyes * millimetre, rel=1e-5)


def test_parts_of_a_scan_that_are_uncertain_are_named(tmp_path: Path, head: Path, head_landmarks: Path) -> None:
    truth = landmarks.read(head_landmarks)
    sure = np.ones(68)
    sure[[43, 44]] = 0.1
    landmarks.write(tmp_path / "unsure.json", landmarks.Landmarks(truth.points, None, sure))
    done = without_bpy("landmarks", head, "--landmarks", tmp_path / "unsure.json", "--json")
    assert json.loads(done.stdout)["check"] == ["the left eye's upper lid"]
    assert "check the left eye's upper lid" in done.stderr


def test_check_tells_findings_with_a_fix_and_needs_no_bpy(head: Path, head_landmarks: Path) -> None:
    done = without_bpy("check", head, "--landmarks", head_landmarks, "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == cli.DONE and answer["level"] == "notice" and answer["facts"]["lips"] == "fused"
    shown = without_bpy("check", head, "--landmarks", head_landmarks).stdout
    assert "notice   The lips are one surface" in shown and "-> Animate cuts them apart" in shown


@pytest.mark.parametrize("of", [(), ("--object", "bare")])
def test_check_names_pictures_that_are_missing(
    head: Path, head_landmarks: Path, tmp_path: Path, capsys: pytest.CaptureFixture, of: tuple
) -> None:
    """Read directly, or by Blender."""
    (tmp_path / "bare.mtl").write_text("newmtl skin\nmap_Kd my skin.png\n")
    (tmp_path / "bare.obj").write_text("mtllib bare.mtl\nusemtl skin\n" + head.read_text(encoding="utf-8"))
    if of:
        pytest.importorskip("bpy")
    assert call("check", tmp_path / "bare.obj", "--landmarks", head_landmarks, "--json", *of) == cli.DONE
    found = json.loads(capsys.readouterr().out)["findings"]
    (told,) = [finding for finding in found if finding["topic"] == "pictures"]
    assert told["level"] == "notice" and str(tmp_path / "my skin.png") in told["sentence"]


def test_check_counts_the_texture_seams_of_an_obj(
    tmp_path: Path, head: Path, head_landmarks: Path, capsys: pytest.CaptureFixture
) -> None:
    vertices, triangles = scan_file.read(head)
    right = vertices[triangles].mean(1)[:, 0] > 0
    textured = tmp_path / "textured.obj"
    with textured.open("w") as stream:
        stream.writelines(f"v {x:.6f} {y:.6f} {z:.6f}\n" for x, y, z in vertices)
        stream.writelines(f"vt {x / 400 + half:.6f} {y / 400:.6f}\n" for half in (0, 1) for x, y, _ in vertices)
        for corners, half in zip(triangles + 1, right * len(vertices), strict=True):
            stream.write("f " + " ".join(f"{corner}/{corner + half}" for corner in corners) + "\n")
    assert call("check", textured, "--landmarks", head_landmarks, "--json") == cli.DONE
    assert json.loads(capsys.readouterr().out)["facts"]["texture_seams"] > 50


def test_landmarks_are_found_in_the_files_own_coordinates(tmp_path: Path, head: Path, head_landmarks: Path) -> None:
    out, preview = tmp_path / "found.json", tmp_path / "found.png"
    assert call("landmarks", head, "-o", out, "--preview", preview) == cli.DONE
    found, true = landmarks.read(out), landmarks.read(head_landmarks)
    assert np.median(np.linalg.norm(found.points - true.points, axis=1)) < 5, "millimetres"
    assert found.confidence is not None and preview.read_bytes().startswith(b"\x89PNG")


def test_emotion_and_style_are_drawn_by_files(tmp_path: Path, short_clip: Path) -> None:
    feeling, style = tmp_path / "feeling.csv", tmp_path / "style.csv"
    feeling.write_text("time,happy\n0.5,0\n1.5,1\n")
    style.write_text("time,articulation,contact\n0.9,1,0\n1.1,0,0\n")

    def performed(*words: object) -> np.ndarray:
        out = tmp_path / "out.npz"
        assert call("perform", short_clip, "-o", out, "--fps", 25, "--blinks", 0, *words) == cli.DONE
        return motion_of(out)

    plain, happy, quiet = performed(), performed("--emotion-curve", feeling), performed("--style-curve", style)
    assert np.allclose(happy[:6], plain[:6], atol=1e-4) and np.abs(happy[-5:] - plain[-5:])[:, 48].max() > 0.05
    lips = slice(48, 68)
    assert np.allclose(quiet[:22], plain[:22], atol=1e-5)
    assert np.abs(quiet[30:, lips]).max() < 0.2 * np.ptp(plain[:, lips])
    assert np.abs(plain[30:, lips]).max() > np.abs(quiet[30:, lips]).max()


def test_style_is_an_option_of_the_performance(tmp_path: Path, short_clip: Path) -> None:
    spans = []
    for jaw in ("0", "1", "1.5"):
        out = tmp_path / f"{jaw}.npz"
        assert call("perform", short_clip, "-o", out, "--jaw", jaw, "--blinks", 0) == cli.DONE
        spans.append(np.ptp(motion_of(out)[:, 8, 1]))
    assert spans[0] < spans[1] < spans[2]
    assert call("perform", short_clip, "-o", tmp_path / "nods.npz", "--head", 1) == cli.DONE
    with np.load(out) as at_rest, np.load(tmp_path / "nods.npz") as nods:
        assert not at_rest["turns"].any() and nods["turns"][:, :3].any() and not nods["turns"][:, 3:].any()


def test_evaluate_prints_the_papers_metrics_of_landmarks_and_of_vertices(
    tmp_path: Path, head: Path, head_landmarks: Path, short_clip: Path, capsys: pytest.CaptureFixture
) -> None:
    for name, more in (("calm", []), ("wide", ["--articulation", "1.3"])):
        motion, dense = tmp_path / f"{name}.npz", tmp_path / f"{name}_dense.npz"
        assert call("perform", short_clip, "-o", motion, "--seed", 1, *more) == cli.DONE
        assert call("deform", head, motion, "--landmarks", head_landmarks, "-o", dense) == cli.DONE
    capsys.readouterr()
    assert call("evaluate", tmp_path / "wide.npz", tmp_path / "calm.npz", "--json") == cli.DONE
    points = json.loads(capsys.readouterr().out)
    assert points["aperture_r"] > 0.9 and points["aperture_ratio"] > 1.1 and points["lips_mm"] > 0.1
    np.savez(tmp_path / "still.npz", displacement=np.zeros((30, 68, 3)), fps=30)
    assert call("evaluate", tmp_path / "still.npz", tmp_path / "still.npz", "--json") == cli.DONE
    still = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert still["aperture_ratio"] is None and still["landmarks_mm"] == 0
    calm = motion_of(tmp_path / "calm.npz")
    np.savez(tmp_path / "start.npz", displacement=calm[:30], fps=30)
    for pair in (("start", "calm"), ("calm", "start")):
        assert call("evaluate", *(tmp_path / f"{name}.npz" for name in pair), "--json") == cli.DONE
        same = json.loads(capsys.readouterr().out)
        assert (same["frames"], same["frames_left_out"]) == (30, len(calm) - 30) and same["landmarks_mm"] == 0
    dense = (tmp_path / f"{name}_dense.npz" for name in ("wide", "calm"))
    assert call("evaluate", *dense, "--scan", head, "--landmarks", head_landmarks) == cli.DONE
    shown = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert 0 < float(shown["MVE_mm"]) < 1 and float(shown["LVE_mm2"]) > 0


def test_the_frames_of_a_long_motion_are_told_to_the_last_one() -> None:
    assert commands.show_metrics({"frames": 18001, "lag_ms": 10.0}).split() == ["frames", "18001", "lag_ms", "10"]


@pytest.mark.parametrize("words", [("--vad", "-0.6,-0.2,-0.3"), ("--contact", "-1e-2")])
def test_points_of_feeling_and_contact_may_begin_with_a_minus(
    tmp_path: Path, short_clip: Path, words: tuple[str, str]
) -> None:
    out = tmp_path / "sad.npz"
    assert call("perform", short_clip, "-o", out, *words) == cli.DONE
    assert out.is_file()


def test_the_place_of_a_face_may_begin_with_a_minus(head: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = []

    def detect(_vertices: np.ndarray, _triangles: np.ndarray, _device: str, near: np.ndarray | None) -> None:
        places.append(near)
        raise LandmarkError("No face was found.")

    monkeypatch.setattr(detector, "detect", detect)
    assert call("landmarks", head, "--near", "-20,-3.5,80") == cli.BAD_INPUT
    assert len(places) == 1 and places[0] == pytest.approx([-20, -3.5, 80])


def test_a_face_that_another_command_has_bound_is_told_of_and_bound_anew_only_in_another_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    monkeypatch.setattr(scans.faces, "prepare", lambda *_, **__: SimpleNamespace(notes=("One eye is open.",)))
    steps, kept = SimpleNamespace(say=told.append, quiet=None), {}
    vertices, triangles, points = np.zeros((3, 3)), np.array([[0, 1, 2]]), np.zeros((68, 3))

    def bound(marks: landmarks.Landmarks | np.ndarray, *words: str) -> object:
        """As a command with these words binds it, once for arrays and once for a scene; it tells of it once."""
        told.clear()
        words = ("animate", "a.obj", "b.wav", "--output=c.npz", *words)
        binder = scans.Binder(cli.parser().parse_args(words, argparse.Namespace(kept=kept)), steps)
        first = binder.bind(vertices.copy(), triangles.copy(), marks)
        assert binder.bind(vertices, triangles, marks) is first and told == ["freetalk: One eye is open."]
        return first

    first = bound(points)
    assert bound(points.copy(), "--fps=25") is first
    placed = bound(landmarks.Landmarks(points))
    assert placed is not first and bound(landmarks.Landmarks(points.copy())) is placed
    for other in ("--keep-mouth", "--eyeballs", "--inner-mouth=none", "--device=cpu"):
        assert bound(landmarks.Landmarks(points), other) is not placed
        placed = bound(landmarks.Landmarks(points))
    binder = scans.Binder(cli.parser().parse_args(["deform", "a.obj", "b.npz", "--output=c.npz"]), steps)
    usual = vertices, triangles, points
    beside = [(vertices, triangles)]
    for other in ((vertices + 1, *usual[1:]), (vertices, triangles[:, ::-1], points), (*usual[:2], points + 1)):
        assert binder.bind(*usual) is not binder.bind(*other)
    assert binder.bind(*usual) is not binder.bind(*usual, beside)
