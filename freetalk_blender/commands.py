"""What each command of the command line does. Every function answers what `--json` prints."""

import argparse
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from .blender.speech import Speech
from .core import (
    atomic,
    audio,
    checkup,
    curve_file,
    detector,
    frame,
    key_sets,
    landmark_preview,
    landmarks,
    mesh,
    metrics,
    models,
    performance,
)
from .core import doctor as doctors
from .core.errors import FreeTalkError
from .core.style import STYLES, Style
from .progress import Progress
from .scans import Binder, import_bpy, own_vertices, points_of, read_own, tell

#: Outputs of `animate`, by suffix.
ANIMATE_OUTPUTS = (".glb", ".fbx", ".usdc", ".usda", ".usd", ".blend", ".npz", ".mp4", ".png")
#: Frames a second where neither the command nor a scene says otherwise.
FPS = 30.0


def animate(arguments: argparse.Namespace, steps: Progress) -> dict:
    """A scan and a voice in, a talking face out, in every format asked for."""
    arrays = [path for path in arguments.outputs if path.suffix.lower() == ".npz"]
    scenes = [path for path in arguments.outputs if path not in arrays]
    binder = Binder(arguments, steps)
    answer = _animate_arrays(arguments, binder, arrays, steps) if arrays else {}
    if scenes:
        answer |= _animate_scene(arguments, binder, scenes, steps)
    return answer | {"outputs": [str(path) for path in arguments.outputs]}


def perform(arguments: argparse.Namespace, steps: Progress) -> dict:
    """A voice in, landmark motion out: a Performance's fields in one .npz."""
    speech = _speech(arguments, arguments.fps or FPS, steps)
    with steps("perform the speech"):
        take = speech.perform(arguments.device)
    return _written(arguments.outputs, vars(take))


def deform(arguments: argparse.Namespace, steps: Progress) -> dict:
    """Landmark motion in, displacement (T,V,3) of the scan file's own vertices out, in the file's order and axes."""
    motion, fps, turns = _read_motion(arguments.motion)
    scan = own_vertices(arguments, Binder(arguments, steps), steps)
    with steps("move every vertex"):
        displacement = scan.displacement(motion, arguments.space, turns)
    return _written(arguments.outputs, {"displacement": displacement, "fps": fps})


def evaluate(arguments: argparse.Namespace, steps: Progress) -> dict:
    """A motion against the true one, landmarks or every vertex of a scan: the metrics of core/metrics.py."""
    found, true, answer = _read_pair(arguments.motion, arguments.truth)
    if arguments.scan is None:
        if found.shape[1] != 68:
            raise FreeTalkError(f"The motions move {found.shape[1]} vertices; say of which mesh with --scan SCAN.")
        return answer | metrics.landmark_metrics(found, true, frame.mean_landmarks(), answer["fps"])
    points = points_of(arguments)
    vertices, triangles, from_file = read_own(arguments, points, steps)
    if len(vertices) != found.shape[1]:
        counts = f"has {len(vertices)} vertices, the motions move {found.shape[1]}"
        raise FreeTalkError(f"{arguments.scan} {counts}; pass the scan they are of.")
    if points is None:
        with steps("find the face"):
            local = detector.detect(vertices, triangles, arguments.device).points
    else:
        local = frame.transformed(from_file, points)
    with steps("compare"):
        found, true = found @ from_file[:3, :3].T, true @ from_file[:3, :3].T
        return answer | metrics.vertex_metrics(found, true, vertices, triangles, local)


def show_metrics(answer: dict) -> str:
    """A line for each number."""
    width = max(map(len, answer))
    return "\n".join(f"{name:{width}}  {value:.4g}" for name, value in answer.items())


def find_landmarks(arguments: argparse.Namespace, steps: Progress) -> dict:
    """The 68 landmarks of a scan, in the file's coordinates, as a landmark file and a picture of them.

    Landmarks that are given are read back (from any file that `landmarks.read` knows) and checked against the scan.
    """
    points = points_of(arguments)
    vertices, triangles, from_file = read_own(arguments, points, steps)
    if points is None:
        near = None if arguments.near is None else frame.transformed(from_file, np.array(arguments.near))
        with steps("find the face"):
            found = detector.detect(vertices, triangles, arguments.device, near)
    else:
        found = landmarks.confirmed(
            landmarks.read(arguments.landmarks), frame.transformed(from_file, points), vertices, triangles
        )
    tell(landmarks.doubt(found), steps)
    placed = landmarks.Landmarks(
        frame.transformed(np.linalg.inv(from_file), found.points), found.vertices, found.confidence
    )
    outputs = [path for path in (arguments.output, arguments.preview) if path]
    if arguments.output:
        landmarks.write(arguments.output, placed)
    if arguments.preview:
        with steps("draw the preview"), atomic.output(arguments.preview) as temporary:
            landmark_preview.preview(vertices, triangles, found, temporary)
    answer: dict = {"outputs": [str(path) for path in outputs], "points": np.round(placed.points, 6).tolist()}
    if placed.confidence is not None:
        answer["confidence"] = np.round(placed.confidence, 3).tolist()
    return answer | {"check": list(landmarks.doubtful(placed))}


def show_landmarks(answer: dict) -> str:
    """The files written, or, where none was asked for, the points: one a line."""
    lines = [" ".join(map(str, point)) for point in answer["points"]]
    return "\n".join(answer["outputs"] or lines)


def check(arguments: argparse.Namespace, steps: Progress) -> dict:
    """What the scan is, with a traffic light for each finding and the fix it would get; nothing is written."""
    points = points_of(arguments)
    vertices, triangles, from_file = read_own(arguments, points, steps)
    local = None if points is None else frame.transformed(from_file, points)
    report = checkup.check_up(vertices, triangles, local, device=arguments.device, step=steps)
    findings = [asdict(finding) for finding in report.findings]
    return {"scan": str(arguments.scan), "level": report.level, "findings": findings, "facts": report.facts}


def show_check(answer: dict) -> str:
    lines = []
    for finding in answer["findings"]:
        lines.append(f"{finding['level']:8} {finding['sentence']}")
        if finding["fix"]:
            lines.append(f"{'':8} -> {finding['fix']}")
    return "\n".join(lines)


def render(arguments: argparse.Namespace, steps: Progress) -> dict:
    """A .blend with a talking face in, a film or a contact sheet out."""
    with steps.blender("start Blender"):
        import_bpy()
        from .blender import files, scene
    with steps.blender("read the scene"):
        files.read(arguments.scene)
        face = scene.talking_object()
    for path in arguments.outputs:
        with steps.blender(f"write {path.name}") as share:
            _write_pictures(path, face, share)
    return {"outputs": [str(path) for path in arguments.outputs]}


def doctor(arguments: argparse.Namespace, steps: Progress) -> dict:
    """Versions, networks present, and the execution providers that really load."""
    return doctors.examine(arguments.device)


def show_outputs(answer: dict) -> str:
    return "\n".join(answer["outputs"])


# Input ----------------------------------------------------------------------------------------------------------------


def _speech(
    arguments: argparse.Namespace,
    fps: float,
    steps: Progress,
    load: Callable[[Path], tuple[np.ndarray, int]] = audio.load,
) -> Speech:
    with steps("read the sound"):
        samples, rate = load(arguments.audio)
    feeling = arguments.emotion if arguments.emotion is not None else arguments.vad
    frames = performance.frame_count(len(samples), rate, fps)
    style = Style(**{name: getattr(arguments, name) for name in STYLES})
    if arguments.emotion_curve:
        feeling = curve_file.emotion(arguments.emotion_curve, frames, fps)
    if arguments.style_curve:
        style = replace(style, **curve_file.style(arguments.style_curve, frames, fps))
    return Speech(samples, rate, fps, feeling, arguments.seed, style)


def _read_motion(path: Path) -> tuple[np.ndarray, float, np.ndarray | None]:
    """displacement (T,68,3), fps and, where it has them, turns of a motion file; FreeTalkError where it is none."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return arrays["displacement"], float(arrays.get("fps", FPS)), arrays.get("turns")
    except OSError as error:
        raise FreeTalkError(f"The motion {path} cannot be read ({error.strerror or error}); check the path.") from error
    except (ValueError, KeyError, BadZipFile, TypeError) as error:
        raise FreeTalkError(f"The motion {path} is no .npz with a displacement; write one with perform.") from error


def _read_pair(motion: Path, truth: Path) -> tuple[np.ndarray, np.ndarray, dict]:
    """Two displacements (T,N,3) of the same points in the frames that both have, and what is told of them."""
    pair = [_read_motion(path) for path in (motion, truth)]
    for path, (moved, *_) in zip((motion, truth), pair, strict=True):
        if moved.ndim != 3 or moved.shape[2] != 3 or not len(moved) or not np.isfinite(moved).all():
            raise FreeTalkError(f"The motion {path} is no finite (T,N,3) array; write one with perform or deform.")
    (found, fps, _), (true, true_fps, _) = pair
    if found.shape[1] != true.shape[1] or not np.isclose(fps, true_fps):
        both = " and ".join(f"{moved.shape[1]} points at {rate:g} fps" for moved, rate, _ in pair)
        raise FreeTalkError(f"The two motions differ ({both}); compare motions of the same points and frame rate.")
    frames = min(len(found), len(true))
    answer = {"frames": frames, "frames_left_out": max(len(found), len(true)) - frames, "fps": fps}
    return found[:frames].astype(np.float64), true[:frames].astype(np.float64), answer


def check_outputs(arguments: argparse.Namespace) -> None:
    """FreeTalkError before the work rather than after it, where a folder cannot be written to."""
    single = [getattr(arguments, name, None) for name in ("output", "preview")]
    for path in filter(None, [*getattr(arguments, "outputs", []), *single]):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FreeTalkError(f"Cannot write to {path.parent} ({error.strerror}); choose another folder.") from error
        if not os.access(path.parent, os.W_OK):
            raise FreeTalkError(f"Cannot write to {path.parent} (permission denied); choose another folder.")


# Output ---------------------------------------------------------------------------------------------------------------


def _animate_arrays(arguments: argparse.Namespace, binder: Binder, outputs: list[Path], steps: Progress) -> dict:
    speech = _speech(arguments, arguments.fps or FPS, steps)
    scan = own_vertices(arguments, binder, steps)
    with steps("perform the speech"):
        take = speech.perform(arguments.device)
    with steps("move every vertex"):
        displacement = scan.displacement(take.displacement, turns=take.turns)
    return _written(outputs, {"displacement": displacement, "fps": take.fps})


def _animate_scene(arguments: argparse.Namespace, binder: Binder, outputs: list[Path], steps: Progress) -> dict:
    points = points_of(arguments)
    with steps.blender("start Blender"):
        import_bpy()
        import bpy

        from .blender import files, lent, mouth, parts, scene, sound
        from .blender.steps import run
    with steps.blender("read the scan"):
        scan = files.load(arguments.scan, points, arguments.device, arguments.object)
        tell(scan.notes, steps)
        local = None if points is None else frame.transformed(scan.file_to_object, points)
        vertices, triangles, local = scene.read_face(scan.item, local)
        if not arguments.keep_mouth:
            mouth.check(scan.item)
        around = parts.around(scan.item)
        own = lent.read(scan.item, arguments.keys == key_sets.ARKIT)
        if own.of_arkit:
            tell((f"{own.of_arkit} of ARKit's shape keys are the face's own.",), steps)
    opened_scene = arguments.scan.suffix.lower() == ".blend"
    fps = arguments.fps or (sound.scene_fps(bpy.context.scene) if opened_scene else FPS)
    speech = _speech(arguments, fps, steps, sound.load)
    marks: landmarks.Landmarks | np.ndarray | None = local
    if around:  # which of them go with the face is told from where it is
        marks, local = detector.located(local, vertices, triangles, arguments.device, steps)
    mine, beside = parts.told_apart(vertices, triangles, local, around, speech.style.turning)
    joined = tuple(part.name for part in mine)
    if joined:
        tell((f"These objects go with the face: {parts.named(joined)}.",), steps)
        vertices, triangles = mesh.together([(vertices, triangles), *(part.surface for part in mine)])
    face = binder.bind(vertices, triangles, marks, [part.surface for part in beside])
    with steps("perform the speech"):
        take = speech.perform(arguments.device)
    with steps("make shape keys"):
        keys = key_sets.shape_keys(face, take, arguments.keys, arguments.tolerance, own.shapes)
    with steps.blender("bake"):
        if arguments.scan.suffix.lower() in files.UNORIENTED:
            files.upright(scan, scene.up(scan.item, face))
        sound.set_scene_fps(bpy.context.scene, fps)
        start = bpy.context.scene.frame_start if opened_scene else 0
        scene.set_range(start, len(take.displacement))
        copy = run(scene.talking(scan.item, face, keys, start, joined=joined, lent=own.names))
        bpy.context.view_layer.update()
        tell(scene.notes(copy), steps)
        sound.add_strip(bpy.context.scene, arguments.audio, start)
    for path in outputs:
        with steps.blender(f"write {path.name}") as share:
            if path.suffix.lower() in files.EXPORTS:
                files.save(path)
            else:
                _write_pictures(path, copy, share)
    return {
        "frames": len(take.displacement),
        "fps": fps,
        "vertices": len(copy.data.vertices),
        "shape_keys": len(keys.shapes),
        "own_shape_keys": own.of_arkit,
        "max_error_mm": round(keys.max_error / face.frame.units_per_mm, 4),
        "mouth_opened": face.opened is not None,
        "provider": models.device_report("stm", arguments.device).provider,
    }


def _write_pictures(path: Path, face: object, share: Callable[[float], None]) -> None:
    from .blender import render

    if path.suffix.lower() == ".mp4":
        render.film(path, face, share)
    else:
        render.contact_sheet(path, face, share)


def _written(outputs: list[Path], arrays: dict) -> dict:
    for path in outputs:
        _save_npz(path, arrays)
    shapes = {name: list(np.shape(values)) for name, values in arrays.items()}
    return {"outputs": [str(path) for path in outputs], "arrays": shapes}


def _save_npz(path: Path, arrays: dict) -> None:
    with atomic.output(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **arrays)
