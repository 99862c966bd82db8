"""A plain material for surfaces without one, for exporters: FBX and USD give these the mesh's first, which may be the
inside of a mouth, and glTF's own default is metal, which is black where nothing but lamps is around it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import bpy
import numpy as np

from .. import exchange, meshes
from ..marks import PREFIX

#: Types of objects that have a surface.
_SURFACES = ("MESH", "CURVE", "SURFACE", "FONT", "META")
#: What a surface without a material looks like in Blender, and what its own colours are seen on undarkened.
_GREY, _WHITE = (0.8, 0.8, 0.8, 1.0), (1.0, 1.0, 1.0, 1.0)


@contextmanager
def worn(items: Iterable[bpy.types.Object], coloured: bool) -> Iterator[None]:
    """While one exports these objects, and what collections show through them, no surface is without a material.

    coloured: in the file a surface's own colours are seen on its material.
    """
    shown = [item for item in _with_instances(items) if item.type in _SURFACES]
    bare = [item.data for item in shown if not len(item.material_slots)]
    empty = [(item, number) for item in shown for number in _empty_slots(item)]
    skins: dict[bool, bpy.types.Material] = {}
    given: list[tuple[bpy.types.ID, np.ndarray | None]] = []

    def skin(data: bpy.types.ID) -> bpy.types.Material:
        white = coloured and isinstance(data, bpy.types.Mesh) and data.color_attributes.render_color_index >= 0
        if white not in skins:
            skins[white] = _made(white)
        return skins[white]

    try:
        for data in dict.fromkeys(bare):
            given.append((data, _material_index(data)))
            data.materials.clear()  # no face looks for a slot that is not there
            data.materials.append(skin(data))
        for item, number in empty:
            _fill(item, number, skin(item.data))
        yield
    finally:
        for item, number in empty:
            _fill(item, number, None)
        for data, index in given:
            data.materials.clear()  # unlike pop, it takes the objects' slots too, and what faces use of them
            if index is not None:
                exchange.write(data.attributes.new("material_index", "INT", "FACE"), index)
        for material in skins.values():
            bpy.data.materials.remove(material)


def _with_instances(items: Iterable[bpy.types.Object]) -> list[bpy.types.Object]:
    found = list(dict.fromkeys(items))
    for item in found:
        if item.instance_collection is not None:
            found += [each for each in item.instance_collection.all_objects if each not in found]
    return found


def _empty_slots(item: bpy.types.Object) -> list[int]:
    """Slots without a material that faces of the object use."""
    empty = [number for number, slot in enumerate(item.material_slots) if slot.material is None]
    if not empty or item.type != "MESH":
        return empty
    index = meshes.of_each(item.data.polygons, "material_index", kind=np.int32)
    used = {*np.unique(index.clip(max=len(item.material_slots) - 1)).tolist()}
    return [number for number in empty if number in used]


def _fill(item: bpy.types.Object, number: int, material: bpy.types.Material | None) -> None:
    slot = item.material_slots[number]
    if slot.link == "DATA":
        item.data.materials[number] = material  # the slot itself is closed where another file holds the mesh
    elif not slot.is_property_readonly("material"):
        slot.material = material


def _material_index(data: bpy.types.ID) -> np.ndarray | None:
    """(P,1) which slot each face uses, where that is kept."""
    if not isinstance(data, bpy.types.Mesh) or data.is_editmode or "material_index" not in data.attributes:
        return None
    return exchange.values(data.attributes["material_index"])


def _made(white: bool) -> bpy.types.Material:
    """The plain material: grey, or white under the colours of a surface."""
    material = bpy.data.materials.new(f"{PREFIX} skin")
    if not material.use_nodes:
        material.use_nodes = True
    tree = material.node_tree
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = _WHITE if white else _GREY
    shader.inputs["Roughness"].default_value = 0.5
    if white:
        colours = tree.nodes.new("ShaderNodeVertexColor")  # without a name, those that renders show
        tree.links.new(colours.outputs["Color"], shader.inputs["Base Color"])
    return material
