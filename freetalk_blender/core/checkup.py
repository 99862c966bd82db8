"""What a scan is, before anything is done to it: findings with a traffic light and the fix that each would get.

report = check_up(vertices, triangles)
for finding in report.findings:
    print(finding.level, finding.sentence, finding.fix)
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from . import frame
from .bound_skin import COARSE, spacing
from .detection import detector
from .errors import FreeTalkError, LandmarkError, MeshError
from .eyes import eye_state, eyeballs
from .face import Step, no_step
from .frame import EYE_DISTANCE_MM
from .landmarks import INNER_LIP_PAIRS, Landmarks, by_network, decimals, doubt, gaps, nearest_vertices
from .mouth import fused_mouth, hole_bag, mouth_hollow, opening
from .surface import mesh, repairs
from .surface.edges import directed_edges, edges_of
from .surface.mesh import CleanMesh
from .wording import counted, without_pictures

#: Traffic lights, from green to red.
GOOD, NOTICE, PROBLEM = LEVELS = ("good", "notice", "problem")
#: Units a scan may be in: mesh units in a millimetre, name.
_UNITS = ((1.0, "millimetres"), (0.1, "centimetres"), (0.01, "decimetres"), (0.001, "metres"), (1 / 25.4, "inches"))
#: Outer eye-corner distances of adults (mm): 90 give or take a fifth.
_ADULT = (72.0, 110.0)
#: Parts of the eye distance: lips further apart than the first are open, and a mouth this much wider with corners this
#: much higher than the average neutral face's smiles; brows this much higher are raised. Neutral faces vary by a
#: standard deviation of 1.1 (gap), 4.0 (width), 1.8 (corners) and 1.7 mm (brows): 1,000 identities of ICT-FaceKit with
#: landmarks 1.5 mm off.
_GAP, _WIDTH, _CORNERS, _BROWS = 5.0, 6.0, 4.5, 5.5
#: Triangles that are many for a shape-key animation.
_HEAVY = 500_000


@dataclass(frozen=True)
class Finding:
    """topic: what was looked at ("surface", "lips", ...); level: one of LEVELS; sentence: what was found; fix: what
    FreeTalk does about it, or the person can, empty where nothing is to be done."""

    topic: str
    level: str
    sentence: str
    fix: str = ""


@dataclass(frozen=True)
class CheckUp:
    """findings: in the order of looking; facts: the same as numbers and names, fit for JSON."""

    findings: tuple[Finding, ...]
    facts: dict[str, object] = field(default_factory=dict)

    @property
    def level(self) -> str:
        """The worst of the findings' levels."""
        return max((finding.level for finding in self.findings), key=LEVELS.index)


def check_up(
    vertices: np.ndarray,
    triangles: np.ndarray,
    landmarks: Landmarks | np.ndarray | None = None,
    *,
    uvs: np.ndarray | None = None,
    offset: np.ndarray | None = None,
    device: str = "auto",
    step: Step = no_step,
) -> CheckUp:
    """Look at one scan; nothing is changed.

    vertices, triangles, landmarks, device, step: as for `prepare`; uvs (F,3,2): texture coordinates of the triangles'
    corners; offset (3,): what the file's coordinates have more than these vertices (scan_file.read_near). What is wrong
    with the mesh is a finding; only what is no mesh at all (shapes, types) raises MeshError.
    """
    mesh.check_arrays(vertices, triangles)
    if uvs is not None and np.shape(uvs) != (len(triangles), 3, 2):
        raise MeshError(f"uvs must have shape ({len(triangles)}, 3, 2); got {np.shape(uvs)}.")
    facts: dict[str, object] = {"vertices": len(vertices), "triangles": len(triangles)}
    try:
        with step("look at the surface"):
            sound = mesh.sound_triangles(vertices, triangles)
            cleaned = mesh.clean(vertices, triangles)
            found = _surface(vertices, triangles, cleaned, facts) + _texture(cleaned, triangles, uvs, facts)
            found += _place(np.asarray(vertices), offset)
    except MeshError as error:
        return CheckUp((Finding("surface", PROBLEM, str(error)),), facts)
    faces = np.asarray(triangles)[sound].astype(np.int32, copy=False)
    try:
        landmarks, points = detector.located(landmarks, vertices, faces, device, step)
        similarity = frame.canonical_frame(points)
    except LandmarkError as error:
        return CheckUp((*found, Finding("face", PROBLEM, str(error), "Place the 68 landmarks by hand.")), facts)
    with step("look at the face"):
        found += _face(landmarks, points, similarity, facts)
        found += _density(cleaned, points, similarity, facts)
        found += _lips(np.asarray(vertices), faces, points, facts)
        found += _eyes(cleaned, points, by_network(landmarks), facts)
        found += _expression(similarity.to_canonical(points) * EYE_DISTANCE_MM, facts)
    return CheckUp(tuple(found), facts)


def without(missing: Sequence[Path]) -> tuple[Finding, ...]:
    """The finding that these pictures of a scan are not there."""
    if not missing:
        return ()
    found, fix = without_pictures("Pictures", ", ".join(map(str, missing)))
    return (Finding("pictures", NOTICE, f"{found}.", f"{fix.capitalize()}."),)


# The surface ----------------------------------------------------------------------------------------------------------


def _surface(vertices: np.ndarray, triangles: np.ndarray, cleaned: CleanMesh, facts: dict) -> list[Finding]:
    dirt = repairs.find(vertices, triangles, cleaned)
    parts = np.sort(np.bincount(cleaned.components))[::-1]
    facts |= {"parts": len(parts), "largest_part": round(float(parts[0] / parts.sum()), 4), **asdict(dirt)}
    size = f"{len(vertices):,} vertices and {len(triangles):,} triangles"
    heavy = len(triangles) > _HEAVY
    found = [
        Finding(
            "size",
            NOTICE if heavy else GOOD,
            f"The mesh has {size}.",
            "It works, through a lighter stand-in; a decimated copy makes smaller files." if heavy else "",
        )
    ]
    if dirt.welded or dirt.degenerate or dirt.duplicate or dirt.not_finite:
        fix = "A cleaned copy is bound; your own vertices stay as they are."
        found.append(Finding("surface", NOTICE, _dirt(dirt), fix))
    if dirt.non_manifold:
        edges = counted(dirt.non_manifold, "edge", "edges")
        fix = "It is bound as it is; in Blender, Select > All by Trait > Non Manifold shows where."
        found.append(Finding("surface", NOTICE, f"{edges} have three or more faces.", fix))
    if dirt.flipped:
        edges = counted(dirt.flipped, "edge", "edges")
        fix = "In Blender, edit mode, Shift N turns them all outside."
        found.append(Finding("surface", NOTICE, f"Faces turn their backs on their neighbours at {edges}.", fix))
    if len(parts) > 1:
        sizes = ", ".join(f"{size:,}" for size in parts[:4]) + (", ..." if len(parts) > 4 else "")
        fix = "Lower teeth and a tongue turn with the jaw, what sits on the skin goes with it, and the rest stays."
        found.append(Finding("parts", NOTICE, f"The mesh is in {len(parts)} loose parts ({sizes} vertices).", fix))
    if dirt.holes:
        holes = counted(dirt.holes, "hole", "holes")
        fix = "They stay; motion goes around them. In Blender, edit mode, Mesh > Clean Up > Fill Holes closes them."
        whose = "the longest border of each part" if len(parts) > 1 else "its longest border"
        found.append(Finding("holes", NOTICE, f"The surface has {holes} besides {whose}.", fix))
    if len(found) == 1:
        found.append(Finding("surface", GOOD, "The surface is one clean piece."))
    return found


def _place(vertices: np.ndarray, offset: np.ndarray | None) -> list[Finding]:
    """What Blender, whose coordinates have 32 bits, loses of it."""
    told = mesh.far_from_origin(vertices if offset is None else vertices + offset)
    exact = offset is not None and offset.any()
    fix = "The file itself is exact: .npz outputs are not blurred." if exact else ""
    return [Finding("place", NOTICE, sentence, fix) for sentence in told]


def _dirt(dirt: repairs.Repairs) -> str:
    named = (
        (counted(dirt.welded, "vertex", "vertices") + " doubled along open seams", dirt.welded),
        (counted(dirt.degenerate, "face", "faces") + " without an area", dirt.degenerate),
        (counted(dirt.duplicate, "face", "faces") + " there twice", dirt.duplicate),
        (counted(dirt.not_finite, "vertex", "vertices") + " not finite", dirt.not_finite),
    )
    return "The surface needs cleaning: " + ", ".join(text for text, count in named if count) + "."


def _texture(cleaned: CleanMesh, triangles: np.ndarray, uvs: np.ndarray | None, facts: dict) -> list[Finding]:
    if uvs is None:
        return []
    seams = _uv_seams(cleaned.source[np.asarray(triangles)], np.asarray(uvs, float))
    facts["texture_seams"] = seams
    count = counted(seams, "edge", "edges")
    fix = "UVs follow every cut." if seams else ""
    return [Finding("texture", GOOD, f"Its texture has seams along {count}.", fix)]


def _uv_seams(triangles: np.ndarray, uvs: np.ndarray) -> int:
    """Edges at whose two triangles the texture coordinates differ; triangles (F,3) of welded vertices."""
    good = (triangles >= 0).all(1)
    faces, corner = triangles[good], uvs[good]
    sides = edges_of(faces)[1].ravel()
    ends = np.stack([corner, np.roll(corner, -1, 1)], 2).reshape(-1, 2, 2)
    start, end = directed_edges(faces).T
    ends = np.where((start > end)[:, None, None], ends[:, ::-1], ends)
    order = np.argsort(sides, kind="stable")
    same = np.diff(sides[order]) == 0
    differ = np.abs(np.diff(ends[order], axis=0)).max((1, 2)) > 1e-5
    return len(np.unique(sides[order][1:][same & differ]))


# The face -------------------------------------------------------------------------------------------------------------


def _face(landmarks: Landmarks | np.ndarray, points: np.ndarray, similarity: frame.Similarity, facts: dict) -> list:
    precision = decimals(points, 6)
    facts["landmarks"] = np.round(points, precision).tolist()
    facts["eye_distance"] = round(similarity.scale, precision)
    facts["up"], facts["forward"] = (_axis(similarity.rotation[:, k]) for k in (1, 2))
    found = [Finding("face", GOOD, "The face is where the landmarks say.")]
    if isinstance(landmarks, Landmarks) and landmarks.confidence is not None:
        facts["confidence"] = round(float(np.mean(landmarks.confidence)), 3)
        level = GOOD if facts["confidence"] > 0.6 else NOTICE
        move = "Move those that are off before you trust the result."
        fix = "" if level == GOOD else " ".join((*doubt(landmarks), move))
        found = [Finding("face", level, f"A face was found (confidence {facts['confidence']:.0%}).", fix)]
    near = [name for units, name in _UNITS if _ADULT[0] < similarity.scale / units < _ADULT[1]]
    facts["unit"] = near[0] if near else None
    said = f"a scan in {near[0]}" if near else "no unit that an adult's face fits"
    found.append(
        Finding(
            "scale",
            GOOD if near else NOTICE,
            f"The outer eye corners are {similarity.scale:.4g} units apart: {said}.",
            "" if near else "Any scale works; millimetres are counted as if the eye corners were 90 mm apart.",
        )
    )
    tilt = np.degrees(np.arccos(min(1.0, np.abs(similarity.rotation[:, 1]).max())))
    found.append(
        Finding(
            "up",
            GOOD if tilt < 25 else NOTICE,
            f"Up is {facts['up']}, and it looks along {facts['forward']}.",
            "" if tilt < 25 else f"The head is {tilt:.0f} degrees off the axis; any pose works.",
        )
    )
    return found


def _axis(direction: np.ndarray) -> str:
    """The signed axis, such as +Y, that a direction (3,) is nearest to."""
    axis = int(np.abs(direction).argmax())
    return f"{'+' if direction[axis] > 0 else '-'}{'XYZ'[axis]}"


def _density(cleaned: CleanMesh, points: np.ndarray, similarity: frame.Similarity, facts: dict) -> list[Finding]:
    gap = spacing(cleaned.vertices, points) / similarity.scale
    facts["landmark_spacing_mm"] = round(gap * EYE_DISTANCE_MM, 2)
    if gap < COARSE:
        return []
    sentence = f"The face is coarse: half of the landmarks are {gap * EYE_DISTANCE_MM:.1f} mm or more from a vertex."
    return [Finding("density", NOTICE, sentence, "It is bound on a finer copy, and the lips are cut on a finer edge.")]


def _lips(vertices: np.ndarray, faces: np.ndarray, points: np.ndarray, facts: dict) -> list[Finding]:
    webbed = False
    try:
        state = fused_mouth.state(vertices, faces, points)
        facts |= {"lips": "fused" if state.fused else "open", "lip_gap_mm": round(state.gap, 2)}
        webbed = opening.unwebbed(vertices, faces, points, state.fused) is not None
        if state.fused and not webbed:
            fused_mouth.open_lips(vertices, faces, points, state)
    except FreeTalkError as error:
        if facts.get("lips") != "open":  # of lips on different pieces `_cavity` tells
            fix = "The skin between the lips would stretch; correct the lip landmarks or open the mouth by hand."
            return [Finding("lips", PROBLEM, f"The lips could not be found or separated: {error}", fix)]
    if webbed:
        fix = "Animate takes that out on its copy and makes a mouth behind the lips."
        return [Finding("lips", NOTICE, "The mouth stood open in the scan, with skin or teeth between the lips.", fix)]
    if state.fused:
        fix = "Animate cuts them apart on its copy and makes a mouth behind; without the cut the skin stretches."
        return [Finding("lips", NOTICE, "The lips are one surface, as scanners leave them.", fix)]
    return [Finding("lips", GOOD, "The lips are apart."), _cavity(vertices, faces, points, facts)]


def _cavity(vertices: np.ndarray, faces: np.ndarray, points: np.ndarray, facts: dict) -> Finding:
    """What lies behind lips that are apart."""
    try:
        found = mouth_hollow.find(vertices, faces, points)
        hole = hole_bag.find(vertices, faces, points)
    except FreeTalkError as error:
        return Finding(
            "mouth", NOTICE, f"What lies behind the lips cannot be determined: {error}", "It stays as it is."
        )
    own = ("torn" if found.open_behind else "closed") if found.own else "open"
    facts["cavity"] = "furnished" if found.parts else "hole" if hole else own
    if found.parts:
        parts = counted(found.parts, "loose part lies", "loose parts lie")
        return Finding(
            "mouth",
            GOOD,
            f"Behind them {parts}, as teeth would; the jaw takes its own along, and nothing is added.",
        )
    if hole is not None:
        fix = "Animate closes it with a dark bag that follows lips and jaw, and puts teeth and a tongue there."
        return Finding("mouth", NOTICE, "Behind the lips the surface ends in a hole.", fix)
    if found.own:
        fix = "Animate paints it dark inside, unless it has a material of its own, and puts teeth and a tongue there."
        return Finding("mouth", GOOD, f"Behind them is a mouth of its own, {found.deepest:.0f} mm deep.", fix)
    fix = "It stays open; model a mouth there, or close it and let the lips be cut."
    return Finding("mouth", NOTICE, "There is no closed mouth behind the lips.", fix)


def _eyes(cleaned: CleanMesh, points: np.ndarray, found: bool, facts: dict) -> list[Finding]:
    if found:
        points = eye_state.shut_landmarks(points, eye_state.shut_lines(cleaned.vertices, cleaned.triangles, points))
    skin = cleaned.component_of(nearest_vertices(points, cleaned.vertices))
    both = eyeballs.sockets(cleaned.vertices, cleaned.triangles, skin, points)
    shut, balls = [place.eye.shut for place in both], [bool(len(place.eye.eyeball)) for place in both]
    facts["eyes"] = ["shut" if closed else "open" for closed in shut]
    facts["eyeballs"], facts["eye_sockets"] = balls, [place.hollow for place in both]
    if all(shut):
        sentence, fix = "The eyes are shut.", "They stay shut: there is nothing behind the lids to show."
    elif any(shut):
        sentence = f"The {('right', 'left')[shut.index(True)]} eye is shut, the other open."
        fix = "The shut one stays shut."
    elif all(balls):
        return [Finding("eyes", GOOD, "The eyes are open, with eyeballs that are parts of their own.")]
    elif any(place.hollow for place in both):
        sentence, fix = "The eyes are open sockets without eyeballs.", "Eyeballs can be added on request."
    else:
        return [Finding("eyes", GOOD, "The eyes are open, one surface with the lids.")]
    return [Finding("eyes", NOTICE, sentence, fix)]


def _expression(placed: np.ndarray, facts: dict) -> list[Finding]:
    """placed (68,3): landmarks in canonical mm."""
    average = frame.mean_landmarks() * EYE_DISTANCE_MM

    def corners(points: np.ndarray) -> float:
        return float(points[[48, 54], 1].mean() - points[[51, 57, 62, 66], 1].mean())

    def brows(points: np.ndarray) -> float:
        return float(points[17:27, 1].mean() - points[[36, 39, 42, 45], 1].mean())

    gap = float(gaps(placed, INNER_LIP_PAIRS).mean())
    wider = float(np.linalg.norm(placed[54] - placed[48]) - np.linalg.norm(average[54] - average[48]))
    seen = []
    if gap > _GAP:
        seen.append("the mouth is open")
    if wider > _WIDTH and corners(placed) - corners(average) > _CORNERS:
        seen.append("the mouth smiles")
    if brows(placed) - brows(average) > _BROWS:
        seen.append("the brows are raised")
    facts["neutral"] = not seen
    if not seen:
        return [Finding("expression", GOOD, "The expression is neutral, as far as the landmarks show.")]
    sentence = f"The face is not neutral: {' and '.join(seen)}."
    fix = "Speech is added to this expression; a neutral scan of the same person talks better."
    return [Finding("expression", NOTICE, sentence, fix)]
