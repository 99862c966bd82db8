"""Shape keys for exporters, which ask for some of what limits them or for nothing: not whether one is muted, for the
vertex group that it is limited to, or for another key that it is relative to."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import bpy
import numpy as np

from .. import meshes


@contextmanager
def written(items: Iterable[bpy.types.Object]) -> Iterator[None]:
    """While one exports these objects: each of their shape keys does by its places alone, relative to the basis, what
    it does in Blender; a muted one rests, and stays muted for those who ask. Meshes in Edit Mode stay as they are."""
    owners = {item.data.shape_keys: item for item in items if item.type == "MESH" and item.data.shape_keys}
    limited = [
        (keys.reference_key, block, _places_shown(item, block))
        for keys, item in owners.items()
        if keys.use_relative and not item.data.is_editmode
        for block in keys.key_blocks
        if block != keys.reference_key and _is_limited(block, keys.reference_key)
    ]
    before = [(block.relative_key, block, meshes.places(block), block.vertex_group) for _, block, _ in limited]
    try:
        for rest, block, places in limited:
            _put(rest, block, places, "")
        yield
    finally:
        for relative, block, places, group in before:
            _put(relative, block, places, group)


def _is_limited(block: bpy.types.ShapeKey, rest: bpy.types.ShapeKey) -> bool:
    return block.mute or bool(block.vertex_group) or block.relative_key != rest


def _places_shown(item: bpy.types.Object, block: bpy.types.ShapeKey) -> np.ndarray:
    """(V,3) the object's vertices as the block alone makes them at weight 1."""
    rest = meshes.vertices(item.data)
    if block.mute:
        return rest
    return rest + _weights(item, block.vertex_group) * (meshes.places(block) - meshes.places(block.relative_key))


def _weights(item: bpy.types.Object, name: str) -> np.ndarray:
    """(V,1) how far a shape key moves vertices that is limited to a group of this name: wholly where the object has no
    such group, or no vertex in any."""
    group, vertices = item.vertex_groups.get(name), item.data.vertices
    if group is None or not any(vertex.groups for vertex in vertices):
        return np.ones((len(vertices), 1), np.float32)
    held = ([each.weight for each in vertex.groups if each.group == group.index] for vertex in vertices)
    return np.array([weight[0] if weight else 0.0 for weight in held], np.float32)[:, None]


def _put(relative: bpy.types.ShapeKey, block: bpy.types.ShapeKey, places: np.ndarray, group: str) -> None:
    block.relative_key, block.vertex_group = relative, group
    keys = block.id_data
    if keys.library is None and keys.override_library is None:
        block.points.foreach_set("co", places.astype(np.float32).ravel())
    else:  # of another file's, all at once does nothing, without a word
        for point, place in zip(block.points, places.tolist(), strict=True):
            point.co = place
    keys.user.update_tag()
