"""FreeTalk makes any face scan talk. As a Blender extension this module registers it; the engine is in `core`."""


def register() -> None:
    from .blender.ui import registration

    registration.register()


def unregister() -> None:
    from .blender.ui import registration

    registration.unregister()
