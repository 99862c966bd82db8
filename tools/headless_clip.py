"""From the zip to a talking .glb by the operators of the panel, in each Blender without a window that is here.

    .venv/bin/python -m tools.headless_clip SCAN [SPEECH]

The Blenders are .venv's and those of `python3 build.py blenders`, each bare, as in tools/in_blender.py: the zip is
installed, the scan imported, the recording chosen, Animate and Export pressed. Prints what came of it.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_TOOLS = Path(__file__).resolve().parent
_ANSWER = "ANSWER"


def main(words: list[str]) -> int:
    from . import extension, first_clip
    from .steps import BUILD, ROOT, BuildError, say, venv_python

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", type=Path, help="an .obj")
    parser.add_argument("speech", type=Path, nargs="?", default=first_clip.SPEECH, help="default: the sample's")
    given = parser.parse_args(words)
    scan, speech = given.scan.resolve(), given.speech.resolve()
    try:
        for venv in (".venv", *sorted(path.name for path in ROOT.glob(".venv-blender-*"))):
            python = venv_python(ROOT / venv)
            package = extension.build(Path(sys.executable), extension.here(python))
            folder = BUILD / "headless" / venv.lstrip(".")
            bare = extension.bare_blender(python, folder / "blender")
            glb = folder / f"{scan.stem}.glb"
            glb.unlink(missing_ok=True)
            command = [python, "-S", __file__, bare, folder / "user", package, scan, speech, glb]
            done = subprocess.run(
                [*map(str, command)],
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                env=os.environ | {"PYTHONNOUSERSITE": "1"},
            )
            if done.returncode or _ANSWER not in done.stdout:
                raise BuildError(f"{venv} wrote no .glb: {(done.stderr.strip().splitlines() or ['no words'])[-1]}")
            told = json.loads(done.stdout.split(_ANSWER)[-1])
            size = glb.stat().st_size / 1e6
            say(", ".join([f"Blender {told['blender']}", *map(str, told["said"]), f"{glb.name} {size:.1f} MB"]))
    except BuildError as error:
        print(f"headless_clip.py: {error}", file=sys.stderr)
        return 1
    return 0


def talk(scan: str, speech: str, glb: str) -> dict[str, Any]:
    """What a person does, by the operators behind the buttons; runs inside Blender."""
    import bpy

    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    began = time.perf_counter()
    bpy.ops.wm.obj_import(filepath=scan)
    bpy.context.scene.freetalk.sound_file = speech
    for done in (bpy.ops.freetalk.animate(), bpy.ops.freetalk.export(filepath=glb)):
        if done != {"FINISHED"}:
            sys.exit(f"It ended with {done}.")
    seconds = time.perf_counter() - began
    keys = bpy.context.view_layer.objects.active.data.shape_keys
    frames = bpy.context.scene.frame_end - bpy.context.scene.frame_start + 1
    said = [f"{len(keys.key_blocks) - 1} shape keys", f"{frames} frames", f"{seconds:.1f} s"]
    return {"blender": bpy.app.version_string, "said": said}


if __name__ == "__main__":
    if len(sys.argv) == 7:
        sys.path.insert(0, str(_TOOLS))
        import in_blender

        in_blender.install(*map(Path, sys.argv[1:4]))
        print(_ANSWER + json.dumps(talk(*sys.argv[4:])), flush=True)
        os._exit(0)  # Blender as a module may wait for a sound device at its end
    sys.exit(main(sys.argv[1:]))
