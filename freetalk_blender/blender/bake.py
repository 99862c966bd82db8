"""Shape keys and their curves on a copy of the person's object.

The copy stands where the original stood, with everything that it had (modifiers, materials, groups, UVs, its own shape
keys and their animation); the original is hidden, not touched. One undo step takes all of it back, and `remove` does.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import bpy
import numpy as np

from ..core.compress import ShapeKeys, extend
from . import drivers, hair, hanging, linked, meshes, movers, parts, seen, spoken, steps, takes
from .marks import (
    BEFORE,
    LENT,
    NAME,
    NAMED,
    OF_COPIES,
    ORIGINAL,
    PREFIX,
    copies_of,
    copy_of,
    is_deleted,
    lent_keys,
    meant_keys,
    named_keys,
    original_of,
    own_blocks,
)
from .spoken import Line
from .steps import Steps


def copied(original: bpy.types.Object, joined: tuple[str, ...] = ()) -> bpy.types.Object:
    """A copy with a mesh of its own, to which other objects are joined, in no collection yet: nobody sees it."""
    copy = original.copy()
    copy.data = original.data.copy()
    for block in (copy, copy.data):
        if block.override_library:  # Blender would not save what is written on it
            block.make_local(clear_liboverride=True)
    copy.show_only_shape_key = False
    meshes.smooth(copy.data)
    takes.detach(copy)
    movers.own(copy, copy_of(original))
    for name in OF_COPIES:  # the original may be a talking copy whose own original is gone
        copy.pop(name, None)
    copy[ORIGINAL] = original
    if joined:
        try:
            parts.join(copy, original, joined)
        except BaseException:
            discard(copy)
            raise
    return copy


def put(copy: bpy.types.Object, original: bpy.types.Object, joined: tuple[str, ...] = ()) -> None:
    """The copy in the original's place and collections, the scene's own where these are another file's; the original is
    hidden, and objects joined to the copy are."""
    copy.name = f"{original.name} {PREFIX}"
    copy[NAME] = copy.name
    if is_deleted(copy):  # else it is where the one was that it replaces
        own = [each for each in original.users_collection if not (each.library or each.override_library)]
        for collection in own or [bpy.context.scene.collection]:
            collection.objects.link(copy)
    if BEFORE not in original:
        original[BEFORE] = seen.state(original)
    seen.show(original, False)
    parts.hide(original, joined)
    hair.root_in(copy, original)
    linked.remember(original)
    copy.hide_render = False
    copy.hide_get()  # the layer sees it now; an update would work out its shape too


def remove(original: bpy.types.Object, spared: bpy.types.Object | None = None) -> None:
    """Delete the object's talking copy with its mesh and takes; show the original as it was; on it hangs what hung on
    the copy. spared: takes its place, for what hangs on it or aims at it. Duplicates that the person made stay, and are
    plain objects from now on."""
    here, copies = copy_of(original), [copy for copy in copies_of(original) if copy != spared]
    if here is not None and spared is not None:
        here.user_remap(spared)
        drivers.follow(here, spared)
    elif here is not None:
        hanging.hand_back(here, original)
    for copy in copies:
        if copy == here or is_deleted(copy):
            discard(copy)
        else:
            for name in OF_COPIES:
                copy.pop(name, None)
    if copies or BEFORE in original:
        seen.restore(original, original.get(BEFORE, (0, 0)))
        original.pop(BEFORE, None)
    parts.show(original)
    hair.root_back(original)


def discard(copy: bpy.types.Object) -> None:
    """Delete a copy with its mesh, its takes and what moves it alone."""
    mesh, actions = copy.data, [*takes.listed(copy), *movers.owned(copy)]
    bpy.data.objects.remove(copy)
    if mesh.users == 0:
        bpy.data.meshes.remove(mesh)
    for action in actions:
        if action.users <= int(action.use_fake_user):
            bpy.data.actions.remove(action)


@dataclass(frozen=True)
class Shaped:
    """Shape keys made for a line, which nothing drives yet.

    columns: name of a key -> its weights (T,), of each that the line moves and, all 0, of the others that stay; added:
    the new ones among them, name for the time being -> name to be; gone: FreeTalk's keys that no line needs any more;
    lent: the person's own among the columns.
    """

    line: Line
    columns: dict[str, np.ndarray]
    added: dict[str, str]
    gone: list[str]
    lent: set[str]


def shaping(
    item: bpy.types.Object, keys: ShapeKeys, line: Line, tolerance: float, lent: Mapping[str, str] | None = None
) -> Steps[Shaped]:
    """The shapes that a line of speech lacks, added to the object; `finish` then puts it into the current take.

    keys.shapes: (K,V,3) for the object's V vertices, in its own axes and unit. Shape keys of other lines and takes
    stay, with their curves, and are used again; what they lack is added within `tolerance`. Those with names are used
    by others of these names alone. lent: name of a key -> name of the object's own shape key that is moved instead.
    Raises MeshError where the object cannot take shape keys.
    """
    meshes.check(item)
    own = [block.name for block in takes.made(item)]
    stay = set() if _is_only_line(item, line) else takes.moved_names(item, line) | set(named_keys(item))
    kept, gone = [name for name in own if name in stay], [name for name in own if name not in stay]
    lent = lent or {}
    known = {meaning: name for meaning, name in meant_keys(item).items() if name in kept} | {**lent}
    names = np.array([known.get(name, name) for name in keys.names or ("",) * len(keys.shapes)], object)
    mine = {*lent_keys(item), *lent.values()}
    columns = {name: np.zeros(line.frames, np.float32) for name in (*kept, *sorted(mine))}
    there = set(named_keys(item)) & set(kept) | mine
    columns |= {name: weights for name, weights in zip(names, keys.weights.T, strict=True) if name in there}
    new = np.flatnonzero([bool(name) and name not in there for name in names])
    unnamed, plain = np.flatnonzero(names == ""), [name for name in kept if name not in there]
    lacked, weights = [keys.shapes[row] for row in unnamed], keys.weights[:, unnamed]  # gigabytes, if they were copied
    if plain and lacked:
        have = yield from _read_shapes(item, plain)
        wanted = replace(keys, shapes=keys.shapes[unnamed], weights=weights, names=())
        shared, more = yield from steps.aside(partial(extend, have, wanted, tolerance))
        columns |= dict(zip(plain, shared.T, strict=True))
        lacked, weights = [*more.shapes], more.weights
    if lent:
        moved = zip(names, keys.shapes, strict=True)
        yield from _completing(item, {name: shape for name, shape in moved if name in mine})
    taken = set(kept)
    numbered = [name for n in range(1, len(kept) + len(lacked) + 1) if (name := f"{PREFIX} {n:02d}") not in taken]
    added = yield from _adding(item, [*lacked, *(keys.shapes[row] for row in new)])
    columns |= dict(zip(added, np.concatenate([weights, keys.weights[:, new]], 1).T, strict=True))
    renamed = dict(zip(added, [*numbered[: len(lacked)], *names[new]], strict=True))
    return Shaped(line, columns, renamed, gone, mine)


def finish(item: bpy.types.Object, shaped: Shaped) -> None:
    """Let the take's curves drive the shapes, with a key a frame."""
    takes.own(item)
    blocks, final = item.data.shape_keys.key_blocks, {}
    muted = {meaning for meaning, name in meant_keys(item).items() if name in shaped.gone and blocks[name].mute}
    _drop_shapes(item, shaped.gone)
    for name, wanted in shaped.added.items():
        block = blocks[name]
        block.name, block.mute = wanted, wanted in muted
        final[name] = block.name
        if not wanted.startswith(PREFIX):
            item[NAMED] = json.dumps(meant_keys(item) | {wanted: block.name})
    columns = {final.get(name, name): weights for name, weights in shaped.columns.items()}
    named = set(named_keys(item))
    if shaped.lent:
        item[LENT] = json.dumps(sorted(shaped.lent))
    for name, weights in columns.items():
        both_ways = (weights < 0).any()
        if name in shaped.lent and not both_ways:
            blocks[name].slider_max = max(blocks[name].slider_max, 1.0)
        elif name in named and not both_ways:
            blocks[name].slider_min = 0.0
        else:
            _widen(blocks[name], weights)
    take = takes.current(item) or takes.create(item)
    weights = np.stack([*columns.values()], 1) if columns else np.zeros((shaped.line.frames, 0), np.float32)
    takes.write(item, take, [*columns], weights, shaped.line)
    item.data.update()


def _read_shapes(item: bpy.types.Object, names: list[str]) -> Steps[np.ndarray]:
    """(K,V,3) float32 displacement of these shape keys at weight 1."""
    shapes = np.empty((len(names), len(item.data.vertices), 3), np.float32)
    for row, name in zip(shapes, names, strict=True):
        row[:] = meshes.places(item.data.shape_keys.key_blocks[name])
        yield
    shapes -= meshes.vertices(item.data)
    return shapes


def prune(item: bpy.types.Object) -> None:
    """Take out FreeTalk's shape keys that no take moves."""
    takes.own(item)
    moved = takes.moved_names(item)
    _drop_shapes(item, [block.name for block in own_blocks(item) if block.name not in moved])


def _is_only_line(item: bpy.types.Object, line: Line) -> bool:
    """Would a line leave nothing of what FreeTalk baked before?"""
    take = takes.current(item)
    others = [] if take is None else spoken.kept(take, line)
    return not others and takes.listed(item) in ([], [take])


def _completing(item: bpy.types.Object, shapes: Mapping[str, np.ndarray]) -> Steps[None]:
    """The person's own keys move what was joined to the face, where they do not yet, by these shapes (V,3)."""
    rest, first = meshes.vertices(item.data), len(original_of(item).data.vertices)
    for name, shape in shapes.items():
        block = item.data.shape_keys.key_blocks[name]
        places = meshes.places(block)
        still = (places == rest).all(1) & shape.any(1)
        still[:first] = False
        if still.any():
            places[still] = rest[still] + shape[still]
            block.points.foreach_set("co", places.ravel())
            yield


def _adding(item: bpy.types.Object, shapes: Sequence[np.ndarray]) -> Steps[list[str]]:
    """New keys of shapes (V,3), at rest, under names for the time being; where it is closed, they go again."""
    bare, active = item.data.shape_keys is None, item.active_shape_key_index
    names: list[str] = []
    try:
        if bare:
            item.shape_key_add(name="Basis", from_mix=False)
        basis, reference = meshes.vertices(item.data), item.data.shape_keys.reference_key
        for _shape in shapes:  # all before the first is filled: with each that is added Blender draws the viewport
            block = item.shape_key_add(name=f"{PREFIX} new", from_mix=False)
            names.append(block.name)
            block.relative_key, block.value = reference, 0.0
            yield
        for name, shape in zip(names, shapes, strict=True):
            item.data.shape_keys.key_blocks[name].points.foreach_set("co", (basis + shape).ravel())
            yield
    except BaseException:
        if bare:
            item.shape_key_clear()
        else:
            for name in names:
                item.shape_key_remove(item.data.shape_keys.key_blocks[name])
            item.active_shape_key_index = active
        raise
    return names


def _drop_shapes(item: bpy.types.Object, names: list[str]) -> None:
    takes.forget(item, names)
    for name in names:
        item.shape_key_remove(item.data.shape_keys.key_blocks[name])
    if NAMED in item:
        item[NAMED] = json.dumps({wanted: name for wanted, name in meant_keys(item).items() if name not in names})


def _widen(block: bpy.types.ShapeKey, weights: np.ndarray) -> None:
    """Sliders from -1 to 1, and farther where a line needs more: Blender clamps at a slider's ends."""
    peak = float(np.ceil(np.abs(weights).max(initial=0) * 10) / 10)
    block.slider_max = max(block.slider_max, peak, 1.0)
    block.slider_min = min(block.slider_min, -block.slider_max)
