"""What each command of the command line does. Every function answers what `--json` prints."""

import argparse
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np

from .core import atomic, checkup, frame, key_sets, landmarks, metrics, models
from .core import doctor as doctors
from .core.detection import detector, landmark_preview
from .core.errors import FreeTalkError
from .core.surface import scan_file
from .core.voice import audio, curve_file, performance
from .core.voice.performance import Performance
from .core.voice.style import STYLES, Style
from .core.voice.utterance import Utterance
from .progress import Progress
from .scans import (
    FPS,
    Binder,
    import_bpy,
    load,
    missing_pictures,
    needs_blender,
    outputs_of,
    own_vertices,
    points_of,
    read_own,
    read_uvs,
    refuse_read,
    tell,
)

if TYPE_CHECKING:
    from .stage import Actor, Stage

#: Outputs of `animate`, by suffix.
ANIMATE_OUTPUTS = (".glb", ".fbx", ".usdc", ".usda", ".usd", ".blend", ".npz", ".mp4", ".png")


def animate(arguments: argparse.Namespace, steps: Progress) -> dict:
    """A scan and a voice in, a talking face out, in every format asked for."""
    arrays = [path for path in arguments.outputs if path.suffix.lower() == ".npz"]
    scenes = [path for path in arguments.outputs if path not in arrays]
    points, binder = points_of(arguments), Binder(arguments, steps)
    stage = _stage(arguments, points, steps) if scenes or needs_blender(arguments) else None
    said = _utterance(arguments, steps, stage)
    own = own_vertices(arguments, points, binder, steps, None if stage is None else stage.scan) if arrays else None
    actor = stage.bind(points, said.style.turning, binder) if stage and scenes else None
    take = _performed(said, arguments, steps)
    answer: dict = {"frames": len(take.displacement), "fps": take.fps}
    if own:
        with steps("move every vertex"):
            displacement = own.displacement(take.displacement, turns=take.turns)
        answer |= _written(arrays, {"displacement": displacement, "fps": take.fps})
    if stage and actor:
        answer |= _shown(arguments, stage, actor, take, scenes, steps)
    return answer | {"outputs": [str(path) for path in arguments.outputs]}


def perform(arguments: argparse.Namespace, steps: Progress) -> dict:
    """A voice in, landmark motion out: a Performance's fields in one .npz."""
    take = _performed(_utterance(arguments, steps), arguments, steps)
    return _written(arguments.outputs, vars(take))


def deform(arguments: argparse.Namespace, steps: Progress) -> dict:
    """Landmark motion in, displacement (T,V,3) of the scan file's own vertices out, in the file's order and axes."""
    motion, fps, turns = _read_motion(arguments.motion)
    scan = own_vertices(arguments, points_of(arguments), Binder(arguments, steps), steps)
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
    told = {name: str(value) if isinstance(value, int) else f"{value:.4g}" for name, value in answer.items()}
    return "\n".join(f"{name:{width}}  {value}" for name, value in told.items())


def find_landmarks(arguments: argparse.Namespace, steps: Progress) -> dict:
    """The 68 landmarks of a scan, in the file's coordinates, as a landmark file and a picture of them.

    Landmarks that are given are read back (from any file that `landmarks.read` knows) and checked against the scan.
    """
    given = landmarks.read(arguments.landmarks) if arguments.landmarks else None
    vertices, triangles, from_file = read_own(arguments, None if given is None else given.points, steps)
    if given is None:
        near = None if arguments.near is None else frame.transformed(from_file, np.array(arguments.near))
        with steps("find the face"):
            found = detector.detect(vertices, triangles, arguments.device, near)
    else:
        found = landmarks.confirmed(given, frame.transformed(from_file, given.points), vertices, triangles)
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
    points = np.round(placed.points, landmarks.decimals(placed.points, 6))
    answer: dict = {"outputs": [str(path) for path in outputs], "points": points.tolist()}
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
    loaded = load(arguments, points, steps) if needs_blender(arguments) else None
    vertices, triangles, from_file = read_own(arguments, points, steps, loaded)
    local, uvs = None if points is None else frame.transformed(from_file, points), read_uvs(arguments, loaded)
    offset = None if loaded else -from_file[:3, 3]
    report = checkup.check_up(vertices, triangles, local, uvs=uvs, offset=offset, device=arguments.device, step=steps)
    report = replace(report, findings=report.findings + checkup.without(missing_pictures(arguments, loaded)))
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
    with steps.quiet("start Blender"):
        import_bpy()
        import bpy

        from .blender import scene, sound
        from .blender.formats import files
        from .stage import write
    with steps.quiet("read the scene"):
        files.read(arguments.scene)
        refuse_read(arguments, files.sources())
        face = scene.talking_object()
    tell(sound.notes(bpy.context.scene), steps)
    for path in arguments.outputs:
        with steps.quiet(f"write {path.name}") as share:
            write(path, face, share)
    return {"outputs": [str(path) for path in arguments.outputs]}


def doctor(arguments: argparse.Namespace, steps: Progress) -> dict:
    """Versions, networks present, and the execution providers that really load."""
    return doctors.examine(arguments.device)


def show_outputs(answer: dict) -> str:
    return "\n".join(answer["outputs"])


# Input ----------------------------------------------------------------------------------------------------------------


def _stage(arguments: argparse.Namespace, points: np.ndarray | None, steps: Progress) -> "Stage":
    """The scan in Blender's scene."""
    scan = load(arguments, points, steps)
    from .stage import Stage

    return Stage(scan, arguments, steps)


def _utterance(arguments: argparse.Namespace, steps: Progress, stage: "Stage | None" = None) -> Utterance:
    """What is said and how; where Blender is at work it hears what it alone can read, at its scene's frame rate."""
    fps = arguments.fps or (stage and stage.fps) or FPS
    with steps("read the sound"):
        samples, rate = stage.hear(arguments.audio) if stage else audio.load(arguments.audio, channel=arguments.channel)
    feeling = arguments.emotion if arguments.emotion is not None else arguments.vad
    frames = performance.frame_count(len(samples), rate, fps)
    style = Style(**{name: getattr(arguments, name) for name in STYLES})
    if arguments.emotion_curve:
        feeling = curve_file.emotion(arguments.emotion_curve, frames, fps)
    if arguments.style_curve:
        style = replace(style, **curve_file.style(arguments.style_curve, frames, fps))
    return Utterance(samples, rate, fps, feeling, arguments.seed, style)


def _performed(said: Utterance, arguments: argparse.Namespace, steps: Progress) -> Performance:
    with steps("perform the speech"):
        take = said.perform(arguments.device)
    tell(take.notes(arguments.audio.name), steps)
    return take


def _read_motion(path: Path) -> tuple[np.ndarray, float, np.ndarray | None]:
    """displacement, fps and, where it has them, turns of a motion file; FreeTalkError where it is none."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            moved, fps, turns = arrays["displacement"], float(arrays.get("fps", FPS)), arrays.get("turns")
    except OSError as error:
        raise FreeTalkError(f"The motion {path} cannot be read ({error.strerror or error}); check the path.") from error
    except MemoryError:
        raise
    except Exception as error:  # zipfile, zlib and numpy raise many unrelated types for a damaged file
        raise FreeTalkError(f"The motion {path} is not an .npz with a displacement; write one with perform.") from error
    if not 0 < fps < float("inf"):
        raise FreeTalkError(f"The motion {path} has a frame rate of {fps:g}; write it again with perform or deform.")
    return moved, fps, turns


def _read_pair(motion: Path, truth: Path) -> tuple[np.ndarray, np.ndarray, dict]:
    """Two displacements (T,N,3) of the same points in the frames that both have, and what is told of them."""
    pair = [_read_motion(path) for path in (motion, truth)]
    for path, (moved, *_) in zip((motion, truth), pair, strict=True):
        numbers = moved.dtype.kind in "fiu" and moved.ndim == 3 and moved.shape[2] == 3
        if not numbers or not moved.size or not np.isfinite(moved).all():
            raise FreeTalkError(f"The motion {path} is not a finite (T,N,3) array; write one with perform or deform.")
    (found, fps, _), (true, true_fps, _) = pair
    if found.shape[1] != true.shape[1] or not np.isclose(fps, true_fps):
        both = " and ".join(f"{moved.shape[1]} points at {rate:g} fps" for moved, rate, _ in pair)
        raise FreeTalkError(f"The two motions differ ({both}); compare motions of the same points and frame rate.")
    frames = min(len(found), len(true))
    answer = {"frames": frames, "frames_left_out": max(len(found), len(true)) - frames, "fps": fps}
    return found[:frames].astype(np.float64), true[:frames].astype(np.float64), answer


def check_outputs(arguments: argparse.Namespace) -> None:
    """FreeTalkError before the work rather than after it, where an output cannot be written, or an input is a pipe;
    nothing is made yet."""
    read = [getattr(arguments, name, None) for name in ("scan", "audio", "motion", "truth", "scene", "jobs")]
    for path in filter(None, read):
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise FreeTalkError(
                f"{path} is no file but a pipe or a device; write what it holds to a file and name that."
            )
    refuse_read(arguments, filter(None, [*read, getattr(arguments, "landmarks", None)]))
    if read[0] and any(path.suffix.lower() == ".png" for path in outputs_of(arguments)):
        refuse_read(arguments, scan_file.pictures(read[0]))
    for path in outputs_of(arguments):
        if path.is_dir():
            raise FreeTalkError(f"Cannot write {path} (it is a folder); choose another name.")
        atomic.refuse_protected(path)
        there = next((folder for folder in path.absolute().parents if folder.exists()), path.parent)
        if not there.is_dir():
            raise FreeTalkError(f"Cannot write to {path.parent} ({there} is not a folder); choose another folder.")
        if not os.access(there, os.W_OK):
            raise FreeTalkError(f"Cannot write to {path.parent} (permission denied); choose another folder.")


# Output ---------------------------------------------------------------------------------------------------------------


def _shown(
    arguments: argparse.Namespace,
    stage: "Stage",
    actor: "Actor",
    take: Performance,
    outputs: list[Path],
    steps: Progress,
) -> dict:
    """The take baked in the scene and written to every file; what is told of it."""
    from .blender import unwritten
    from .stage import write

    with steps("make shape keys"):
        keys = key_sets.shape_keys(actor.face, take, arguments.keys, arguments.tolerance, actor.own.shapes)
    copy, opened = stage.bake(actor, keys, take), actor.face.opened
    for path in outputs:
        with steps.quiet(f"write {path.name}") as share:
            write(path, copy, share)
    tell(unwritten.notes(copy, outputs), steps)
    return {
        "vertices": len(copy.data.vertices),
        "shape_keys": len(keys.shapes),
        "own_shape_keys": actor.own.of_arkit,
        "max_error_mm": round(keys.max_error / actor.face.frame.units_per_mm, 4),
        "mouth_opened": opened is not None and opened.has_mouth,
        "provider": models.device_report("stm", arguments.device).provider,
    }


def _written(outputs: list[Path], arrays: dict) -> dict:
    """Arrays by name in an .npz, and what is told of it. Where the disk is full numpy's own `savez` leaves an archive
    open, of which Python complains later."""
    for path in outputs:
        with atomic.output(path) as temporary, ZipFile(temporary, "w", ZIP_DEFLATED) as archive:
            for name, values in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                    np.lib.format.write_array(stream, np.asanyarray(values), allow_pickle=False)
    shapes = {name: list(np.shape(values)) for name, values in arrays.items()}
    return {"outputs": [str(path) for path in outputs], "arrays": shapes}
