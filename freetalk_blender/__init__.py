"""FreeTalk makes any face scan talk. As a Blender extension this module registers it; the engine is in `core`."""

import os

# Else onnxruntime, once it is imported, tells Microsoft of this computer, and keeps a number for it in the home folder.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def register() -> None:
    from .blender.ui import registration

    registration.register()


def unregister() -> None:
    from .blender.ui import registration

    registration.unregister()
