"""glTF by Blender's exporter, and what it gets wrong put right."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import bpy

from .. import compat, movers, takes
from ..marks import all_copies
from . import morph_normals

#: Types of objects of which a file has the place alone: nothing is seen of how they move.
_NOT_WRITTEN = ("CAMERA", "LIGHT", "SPEAKER")


def write(path: Path, items: list[bpy.types.Object], selected: bool) -> None:
    """Objects, which are the scene's visible ones, or the selected ones, as .glb, with shape keys and what they do."""
    # Sampling re-keys every curve and works out each frame of the scene, but the exporter knows nothing else than
    # curves without it; of those that ease Blender's default alone, where all keys have it; and of objects and bones
    # none that turn by angles, or beside deltas.
    sampled = movers.by_more_than_shape_keys(item for item in items if item.type not in _NOT_WRITTEN)
    mode = {"export_animation_mode": "SCENE", "export_anim_scene_split_object": False}
    operator = bpy.ops.export_scene.gltf
    options = compat.known_options(
        operator,
        export_format="GLB",
        use_visible=True,
        use_selection=selected,
        export_animations=True,
        export_morph=True,
        export_morph_animation=True,
        export_morph_normal=False,
        export_morph_tangent=False,
        export_force_sampling=sampled,
        export_try_sparse_sk=True,
        export_extras=False,
        export_apply=False,
        export_rest_position_armature=False,
        **mode if sampled else {"export_animation_mode": "ACTIVE_ACTIONS"},
    )
    as_exported = nullcontext() if sampled else takes.linear(all_copies())
    with its_frame_rate(bpy.context.scene.render), as_exported:
        operator(filepath=str(path), **options)
    morph_normals.add(path)


@contextmanager
def its_frame_rate(render: bpy.types.RenderSettings) -> Iterator[None]:
    """Blender's exporter and importer take fps * fps_base for the frame rate, which is fps / fps_base: at 29.97 frames
    a second keys come 0.2 % early."""
    base = render.fps_base
    render.fps_base = 1 / base
    try:
        yield
    finally:
        render.fps_base = base
