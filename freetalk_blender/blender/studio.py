"""Where a talking face is photographed: a scene of its own has camera, lamps and settings, and is gone again.

Workbench draws on any machine with OpenGL, also in software, at a fraction of a second a frame; where there is no
OpenGL at all, Cycles does it on the processor.
"""

import ctypes
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import bpy
import numpy as np
from mathutils import Matrix

from ..core.frame import Similarity, canonical_frame
from ..core.landmarks import INNER_LIPS, OUTER_LIPS
from .scene import subdivided
from .soundtrack import alone_animated, keep_sound

#: What a picture shows, in eye distances: height, and how far the middle lies above the eyes' line.
HEAD_HEIGHT, HEAD_RISE = 3.1, -0.2
LIPS_HEIGHT = 0.65
#: Pictures of so few pixels show no more of a subdivided face than so many vertices do.
_FINEST = 50_000
_LENS, _SENSOR = 85.0, 36.0
_EGL_SURFACELESS, _EGL_OPENGL_API = 0x31DD, 0x30A2  # egl.xml, Khronos
#: The colour of clay.
SKIN = (0.9, 0.62, 0.5)
#: Corners nearer to each other than this share of an object's size are one.
_SAME_PLACE = 1e-5
#: Towards the light that casts shadows, in the face's axes: from the front and its left, so low that it meets the teeth
#: under the upper lip, and how dark the shadows are. Without any, the inside of a mouth would be as light as skin.
_SUN, _SHADOW = np.array([0.3, 0.1, 0.95]), 0.6
_BACKGROUND = (0.045, 0.05, 0.06)
#: Stops by which clay is lighter than Blender shows it, and faces that bring colours of their own, for light and shade
#: are in these already.
CLAY, PHOTOGRAPHED = 0.6, 0.8
#: Types of properties that are no values.
_HOLDERS = ("POINTER", "COLLECTION")
#: What the studio's settings have of the person's scene.
_KEPT = ("name", "fps", "fps_base", "use_simplify", "simplify_subdivision", "simplify_subdivision_render")


def head_view(landmarks: np.ndarray) -> Matrix:
    """A camera (4,4), to world, that sees the whole head; landmarks (68,3) in the world."""
    face = canonical_frame(landmarks)
    return _view(face, face.to_mesh(np.array([0, HEAD_RISE, 0])), HEAD_HEIGHT)


def lips_view(landmarks: np.ndarray) -> Matrix:
    """One that sees the mouth alone."""
    middle = np.concatenate([landmarks[OUTER_LIPS], landmarks[INNER_LIPS]]).mean(0)
    return _view(canonical_frame(landmarks), middle, LIPS_HEIGHT)


def _view(face: Similarity, target: np.ndarray, height: float) -> Matrix:
    """One that looks along the face's -Z at a place (3,) and shows so much (eye distances)."""
    distance = height * face.scale * _LENS / _SENSOR
    matrix = np.identity(4)
    matrix[:3, :3] = face.rotation
    matrix[:3, 3] = target + distance * face.rotation[:, 2]
    return Matrix(matrix.tolist())


@contextmanager
def studio(item: bpy.types.Object, landmarks: np.ndarray) -> Iterator[bpy.types.Scene]:
    """A scene of its own for the picture, sharing the objects: camera, background, light; gone afterwards."""
    current, face = bpy.context.scene, canonical_frame(landmarks)
    scene, camera = current.copy(), bpy.data.objects.new("FreeTalk camera", bpy.data.cameras.new("FreeTalk camera"))
    world, lamps = bpy.data.worlds.new("FreeTalk background"), [camera]
    world.color = _BACKGROUND
    camera.data.lens, camera.data.sensor_width = _LENS, _SENSOR
    camera.data.clip_start, camera.data.clip_end = 0.05 * face.scale, 200 * face.scale
    scene.collection.objects.link(camera)
    scene.camera, scene.world = camera, world
    try:
        _clear(scene)
        keep_sound(scene)
        scene.render.use_compositing = False  # its nodes may show another scene, and write files of their own
        scene.view_settings.view_transform = "Standard"
        scene.view_settings.exposure = CLAY if _colour_type(item) in ("SINGLE", "MATERIAL") else PHOTOGRAPHED
        lamps += _light(scene, item, face)
        few = subdivided(item, _subdivisions(len(item.data.vertices)), scene)
        with alone_animated(scene), _clay(item), _welded(item), few:
            yield scene
    finally:
        for thing in lamps:
            data = thing.data
            bpy.data.objects.remove(thing)
            (bpy.data.cameras if isinstance(data, bpy.types.Camera) else bpy.data.lights).remove(data)
        bpy.data.scenes.remove(scene)
        bpy.data.worlds.remove(world)
        current.frame_set(current.frame_current, subframe=current.frame_subframe)


def _clear(scene: bpy.types.Scene) -> None:
    """All settings of the scene's pictures are those of a new one, whatever the person's are: this view layer, every
    frame at its own time, the camera that the scene has."""
    for layer in [layer for layer in scene.view_layers if layer.name != bpy.context.view_layer.name]:
        scene.view_layers.remove(layer)
    scene.view_layers[0].material_override = None
    scene.frame_step, scene.use_audio = 1, True
    for marker in scene.timeline_markers:
        marker.camera = None
    fresh = bpy.data.scenes.new("FreeTalk")
    try:
        for own, new in zip(_groups(scene), _groups(fresh), strict=True):
            for prop in _settings(new):
                value = _value(new, prop)
                if _value(own, prop) != value:
                    setattr(own, prop.identifier, value)
    finally:
        bpy.data.scenes.remove(fresh)


def _groups(scene: bpy.types.Scene) -> list[bpy.types.bpy_struct]:
    """What holds the settings of a scene's pictures."""
    render, display = scene.render, scene.display
    groups = [scene.view_layers[0], render, render.image_settings, display, display.shading]
    groups += [scene.display_settings, scene.view_settings]
    return [*groups, scene.cycles] if hasattr(scene, "cycles") else groups


def _settings(group: bpy.types.bpy_struct) -> list[bpy.types.Property]:
    """Its properties that can be set; not a choice that this Blender does not know, such as another's engine."""
    own = [prop for prop in group.bl_rna.properties if not prop.is_readonly and prop.type not in _HOLDERS]
    own = [prop for prop in own if prop.identifier not in _KEPT]
    return [prop for prop in own if prop.type != "ENUM" or getattr(group, prop.identifier) != ""]


def _value(group: bpy.types.bpy_struct, prop: bpy.types.Property) -> object:
    value = getattr(group, prop.identifier)
    return tuple(value) if getattr(prop, "is_array", False) else value


@contextmanager
def _welded(item: bpy.types.Object) -> Iterator[None]:
    """While one renders: triangles without a common corner, as files of facets have them, hang together, for every edge
    that is open casts a shadow of its own and takes its time."""
    if len(item.data.vertices) < len(item.data.polygons):
        yield
        return
    weld = item.modifiers.new("FreeTalk weld", "WELD")
    weld.merge_threshold = _SAME_PLACE * max(item.dimensions)
    item.modifiers.move(len(item.modifiers) - 1, 0)
    try:
        yield
    finally:
        item.modifiers.remove(weld)


def _subdivisions(vertices: int) -> int:
    """How often a face of so many vertices may be subdivided, each time into four, before a picture is slow."""
    return max(0, int(math.log(_FINEST / vertices, 4)))


def _light(scene: bpy.types.Scene, item: bpy.types.Object, face: Similarity) -> list[bpy.types.Object]:
    """Workbench's studio light, or lamps and Cycles where there is no OpenGL; the lamps added."""
    if _has_opengl():
        scene.render.engine = "BLENDER_WORKBENCH"
        shading = scene.display.shading
        shading.light, shading.studio_light = "STUDIO", "Default"
        shading.color_type = _colour_type(item)
        shading.single_color = SKIN
        shading.show_cavity, shading.show_specular_highlight = False, False  # edges of triangles, and a shining throat
        shading.show_shadows, shading.shadow_intensity = True, _SHADOW
        scene.display.shadow_focus = 0.3
        x, y, z = face.rotation @ (_SUN / np.linalg.norm(_SUN))
        scene.display.light_direction = (x, z, -y)  # Workbench's own axes: its y is the world's z
        return []
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.max_bounces, scene.cycles.use_denoising = 8, 2, False
    scene.render.use_persistent_data = True
    places = ((-6, 5, 9, 1.0), (7, 1, 8, 0.35), (4, 8, -9, 0.6))
    return [_lamp(scene, face, np.array(place[:3]), place[3]) for place in places]


def _lamp(scene: bpy.types.Scene, face: Similarity, place: np.ndarray, strength: float) -> bpy.types.Object:
    """An area lamp at a place in the face's frame (eye distances), looking at the face, as bright at any scale."""
    light = bpy.data.lights.new("FreeTalk lamp", "AREA")
    light.energy, light.size = strength * 600 * face.scale**2, 4 * face.scale
    lamp = bpy.data.objects.new("FreeTalk lamp", light)
    back = face.rotation @ (place / np.linalg.norm(place))
    right = np.cross(face.rotation[:, 1], back)
    right /= np.linalg.norm(right)
    matrix = np.identity(4)
    matrix[:3, :3] = np.stack([right, np.cross(back, right), back], 1)
    matrix[:3, 3] = face.to_mesh(place)
    lamp.matrix_world = Matrix(matrix.tolist())
    scene.collection.objects.link(lamp)
    return lamp


def _has_opengl() -> bool:
    """Can Blender draw? On Linux without a window it opens a surfaceless EGL display, and aborts where that fails."""
    if not (bpy.app.background and sys.platform == "linux"):
        return True
    try:
        egl = ctypes.CDLL("libEGL.so.1")
    except OSError:
        return False
    egl.eglGetPlatformDisplay.restype = ctypes.c_void_p
    egl.eglGetPlatformDisplay.argtypes = [ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p]
    egl.eglInitialize.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    display = egl.eglGetPlatformDisplay(_EGL_SURFACELESS, None, None)
    return bool(display and egl.eglInitialize(display, None, None) and egl.eglBindAPI(_EGL_OPENGL_API))


def _colour_type(item: bpy.types.Object) -> str:
    """Texture where the face has one, then vertex colours, then its materials' colours (plain ones as clay)."""
    materials = [slot.material for slot in item.material_slots if slot.material]
    nodes = [node for material in materials if material.node_tree for node in material.node_tree.nodes]
    if any(node.type == "TEX_IMAGE" and node.image for node in nodes):
        return "TEXTURE"
    if len(item.data.color_attributes):
        return "VERTEX"
    return "MATERIAL" if materials else "SINGLE"


@contextmanager
def _clay(item: bpy.types.Object) -> Iterator[None]:
    """Slots without a material, or with a grey one, look like clay for as long as the picture is taken."""
    plain = [slot for slot in item.material_slots if _is_plain(slot.material)]
    before = [slot.material for slot in plain]
    clay = bpy.data.materials.new("FreeTalk clay")
    clay.diffuse_color = (*SKIN, 1.0)
    for slot in plain:
        slot.material = clay
    try:
        yield
    finally:
        for slot, material in zip(plain, before, strict=True):
            slot.material = material
        bpy.data.materials.remove(clay)


def _is_plain(material: bpy.types.Material | None) -> bool:
    """No material, or one without a texture whose colour is a light grey."""
    if material is None:
        return True
    nodes = material.node_tree.nodes if material.node_tree else []
    red, green, blue = material.diffuse_color[:3]
    grey = max(red, green, blue) - min(red, green, blue) < 0.05 and red > 0.2
    return grey and not any(node.type == "TEX_IMAGE" for node in nodes)
