"""Install an extension zip into the Blender of this Python, then run FreeTalk's command line inside it, as users do.

    python -S tools/in_blender.py SITE USER_FOLDER ZIP [freetalk words ...]

SITE: a folder holding bpy and numpy and nothing of FreeTalk; with `-S` this Python sees no other packages, so what the
zip forgot to bundle is missing here as it would be for a user. USER_FOLDER: Blender's settings and extensions go here.
"""

import importlib
import os
import shutil
import sys
from pathlib import Path


def install(site: Path, user: Path, package: Path) -> str:
    """Install and enable the zip in an isolated Blender; the name of the add-on's module."""
    shutil.rmtree(user, ignore_errors=True)
    user.mkdir(parents=True)
    os.environ["BLENDER_USER_RESOURCES"] = str(user)
    sys.path.insert(0, str(site))
    bpy = importlib.import_module("bpy")
    addon_utils = importlib.import_module("addon_utils")
    addon_utils.enable("bl_pkg", default_set=True)
    done = bpy.ops.extensions.package_install_files(filepath=str(package), repo="user_default", enable_on_install=True)
    module = "bl_ext.user_default.freetalk"
    if done != {"FINISHED"} or not addon_utils.check(module)[1]:
        sys.exit(f"in_blender.py: {package.name} was not installed and enabled ({done}).")
    return module


def main(words: list[str]) -> int:
    site, user, package = (Path(word).resolve() for word in words[:3])
    module = install(site, user, package)
    cli = importlib.import_module(f"{module}.cli")
    print(f"[in_blender] {package.name} runs from {cli.__name__}", file=sys.stderr)
    return cli.main(words[3:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
