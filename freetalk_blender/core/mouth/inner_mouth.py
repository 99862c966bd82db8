"""Teeth, gums and a tongue, made to measure for a mouth that opens: `furnished` adds them to an opened mesh.

All of it is parametric, in millimetres of a face whose outer eye corners are 90 mm apart. Upper teeth stay with the
skull. Lower teeth and tongue turn with the jaw, linearly in the skin's motion, so they are carried by shape keys. Sizes
of teeth: Ash & Nelson 2003, "Wheeler's Dental Anatomy", 8th ed., ch. 1; place and form of the arches: ICT-FaceKit's own
teeth.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from ..compress import ShapeKeys, with_named
from ..frame import EYE_DISTANCE_MM, Similarity, frame_in_mm
from ..landmarks import INNER_LIP_PAIRS, gaps, nearest_vertices
from ..ramp import smooth_step
from ..surface import raster, rows
from ..voice.tongue import CHANNELS
from . import jaw, mouth_curve
from .opened_mouth import BAG, GUM, SKIN, TONGUE, TOOTH, Furniture, OpenedMouth, with_loose

#: Width and height of the crowns from the middle backward (mm).
UPPER_WIDTH, UPPER_HEIGHT = (8.5, 6.5, 7.5, 7.0, 7.0, 10.0, 9.5), (10.5, 9.0, 10.0, 8.5, 8.0, 7.5, 7.0)
LOWER_WIDTH, LOWER_HEIGHT = (5.2, 5.6, 6.8, 7.0, 7.2, 11.0, 10.5), (9.0, 9.3, 10.5, 8.8, 8.2, 7.5, 7.0)
#: Depth of a crown from lip to tongue at its neck and at its edge, and how blunt its section is, from the middle back.
DEPTH_NECK, DEPTH_EDGE = (6.5, 6.0, 7.5, 8.5, 8.8, 10.5, 10.0), (1.8, 1.8, 3.0, 6.0, 6.5, 8.5, 8.5)
#: The gum's edge as a share of the crown from its edge: a quarter, half and three quarters along, and between two.
GUM_OVER, GUM_BETWEEN = (0.89, 0.92, 0.89), 0.74
#: Half-width and length of the arch on which the teeth stand (mm): an ellipse's quarter on either side.
ARCH = (29.5, 46.0)
#: Upper incisors' front behind the lip line and edge below it; lower incisors' front and edge (mm).
UPPER_EDGE, LOWER_EDGE = (5.0, -1.6), (7.2, -2.6)
#: Lips whose inner landmarks are further apart than this stand open (mm).
SHUT_GAP = 1.4
#: Least distance behind the skin, which is looked at so far around the mouth (mm).
CLEARANCE, _AROUND_MOUTH = 2.5, 60.0
#: How far the skin under the lower lip rises before the jaw's teeth and gums as lips shut; what lies further behind the
#: skin in front is the throat (mm).
RISE, THROAT = 7.0, 30.0
#: A bag is made so much wider and higher (shares) and longer (mm), each from a depth on and over a length (mm).
ROOM, ROOM_BEHIND = (0.5, 0.5, 0.0), 17.0
ROOM_FROM = ((14.0, 14.0), (6.0, 8.0), (12.0, 15.0))
#: A mouth this wide has the sizes above; they follow its width within these bounds.
MOUTH_WIDTH, SCALE = 51.0, (0.9, 1.05)
#: The tongue: half-width, length, thickness, its tip behind the lower incisors' front, its top below their edge, and
#: how much higher its back is (mm), which is highest after this share of its length: low, as in "ah", and so up to
#: 4.5 mm lower than ICT-FaceKit's, whose mouth is shut.
TONGUE_SIZE, TONGUE_PLACE, TONGUE_BACK, TONGUE_RISE = (18.0, 54.0, 12.0), (7.5, 2.5), 5.5, 0.7
#: The share of the tongue that bends, from its tip on; and that over which it rises to its back.
BEND, FRONT = 0.45, 0.3
#: The tip rises to this height over the upper incisors' edge, behind them, and this much forward for each mm; as the
#: jaw sinks it rises further, by so much at most. Between the teeth its middle lies this much under that edge, and
#: before their front. The body rises by so much (mm).
RIDGE, FORWARD, FARTHEST = 4.0, 0.15, 24.0
UNDER, BEFORE = 2.5, 1.5
HIGH = 9.0
#: Shares near and further (Furniture) of the tongues made so far, for one whose mesh comes without them.
USUAL = (0.5625, 0.0395)
#: The names of the tongue's shape keys, in CHANNELS' order.
KEYS = ("tongueTipUp", "tongueTipOut", "tongueBodyUp")


@dataclass(frozen=True)
class _Piece:
    """points (n,3) mm; triangles (f,3), outward; part: TOOTH, GUM or TONGUE; jaw: turns with it."""

    points: np.ndarray
    triangles: np.ndarray
    part: int
    jaw: bool


def furnished(opened: OpenedMouth, landmarks: np.ndarray) -> OpenedMouth:
    """The opened mesh with teeth, gums and tongue; landmarks (68,3) in its unit.

    LandmarkError where there is no mouth.
    """
    frame = frame_in_mm(landmarks)
    placed = frame.to_canonical(np.asarray(landmarks, float))
    apart = gaps(placed, INNER_LIP_PAIRS).mean()
    shutting, turn = jaw.shutting(placed, max(float(apart) - SHUT_GAP, 0.0))
    pieces, tongue = _pieces(mouth_curve.mouth_curve(placed + shutting), turn)
    points = np.concatenate([piece.points for piece in pieces])
    skin = frame.to_canonical(opened.skin_vertices.astype(float))
    lower = np.concatenate([np.full(len(piece.points), piece.jaw) for piece in pieces])
    surface = skin, opened.triangles[opened.part == SKIN]
    points[:, 2] -= _behind(points, lower, *surface)
    gum = np.concatenate([np.full(len(piece.points), piece.part == GUM and piece.jaw) for piece in pieces])
    points[gum, 2] -= _yielding(points[gum], *surface)
    start = np.cumsum([0, *[len(piece.points) for piece in pieces]])
    triangles = np.concatenate([piece.triangles + at for piece, at in zip(pieces, start, strict=False)])
    part = np.concatenate([np.full(len(piece.triangles), piece.part, np.int8) for piece in pieces])
    used = rows.present(opened.skin_triangles, opened.skin_count)
    at = used[nearest_vertices(np.asarray(landmarks, float), opened.vertices[used])]
    hinged = jaw.hinged(points, skin[at[list(jaw.CHIN)]].mean(0))
    turn, told = (frame.rotation @ matrix @ frame.rotation.T for matrix in (hinged, jaw.told()))
    moves = np.zeros((len(CHANNELS), len(points), 3))
    moves[:, -tongue.moves.shape[1] :] = frame.vectors_to_mesh(tongue.moves)
    furniture = Furniture(
        at[list(jaw.TELLING)],
        told.astype(np.float32),
        (turn * lower[:, None, None]).astype(np.float32),
        moves.astype(np.float32),
        tongue.reach / tongue.farthest,
        float(hinged[-1, 1, 1]) / tongue.farthest,
    )
    roomy = replace(opened, vertices=_roomy(opened, skin[used], frame, mouth_curve.mouth_curve(placed)))
    return replace(with_loose(roomy, frame.to_mesh(points), triangles, part), furniture=furniture)


def _roomy(opened: OpenedMouth, skin: np.ndarray, frame: Similarity, curve: mouth_curve.MouthCurve) -> np.ndarray:
    """The vertices with a dark bag that is long, deep and wide enough for a tongue, and stays behind the skin (S,3),
    mm."""
    bag_only = opened.part == BAG
    there, rest = (rows.present(opened.triangles[part], len(opened.vertices)) for part in (bag_only, ~bag_only))
    inside = np.setdiff1d(there, rest, assume_unique=True)
    bag = frame.to_canonical(opened.vertices[inside].astype(float))
    depth = -curve.in_front(bag)
    middle = np.array([(curve.x[0] + curve.x[-1]) / 2, curve.y[1:-1].mean(), 0])
    share = np.stack([smooth_step((depth - start) / length) for start, length in ROOM_FROM], 1)
    wanted = middle + (bag - middle) * (1 + share * ROOM) - share * [0, 0, ROOM_BEHIND]
    skin = skin[(np.abs(skin - middle)[:, :2] < _AROUND_MOUTH).all(1)]
    rising = wanted[:, None, :2] - np.linspace(0, RISE, 4)[:, None] * [0, 1]
    foremost = skin[cKDTree(skin[:, :2]).query(rising, 3)[1], 2].max(-1).min(1)  # a head has a back, too
    covered = (wanted[:, 2] < foremost - CLEARANCE)[:, None]
    answer = opened.vertices.copy()
    answer[inside] = frame.to_mesh(np.where(covered, wanted, bag))
    return answer


def tongue_weights(opened: OpenedMouth, tongue: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """(T,3) weights of the furniture's shapes for a tongue (T,3), tongue.CHANNELS, in landmark motion (T,68,3),
    canonical units: the tip comes to the ridge, or under the teeth, however far the jaw has sunk. (T,0) where there is
    no tongue.
    """
    if opened.furniture is None:
        return np.zeros((len(tongue), 0), np.float32)
    return risen(tongue, motion, opened.furniture.near, opened.furniture.further)


def risen(tongue: np.ndarray, motion: np.ndarray, near: float = USUAL[0], further: float = USUAL[1]) -> np.ndarray:
    """(T,3) float32 weights of a made tongue's shapes for a tongue (T,3) in landmark motion (T,68,3), canonical units;
    near, further: as Furniture has them, or as they usually are."""
    sunk = further * -EYE_DISTANCE_MM * jaw.motion(motion)[:, 1]
    open_by = near - USUAL[0]  # the jaw of a scan whose mouth stands open has sunk before it moves
    up, out, high = tongue.T
    rise = np.clip(up * (near + sunk) + out * (open_by + sunk), 0.0, 1.0)
    return np.stack([rise, out, high], 1).astype(np.float32)


def with_tongue(keys: ShapeKeys, opened: OpenedMouth, weights: np.ndarray) -> ShapeKeys:
    """The shape keys of an opened mesh with three more, KEYS, for its tongue, if it has one that moves."""
    if opened.furniture is None or not weights.any():
        return keys
    shapes = opened.furniture.tongue
    return with_named(keys, slice(-shapes.shape[1], None), shapes, weights, KEYS)


# Where it stands ------------------------------------------------------------------------------------------------------


def _behind(points: np.ndarray, lower: np.ndarray, skin: np.ndarray, triangles: np.ndarray) -> float:
    """mm by which everything has to go back to lie CLEARANCE behind the skin as seen from the front: points (n,3), of
    which those of the lower jaw (n,) behind the skin that rises before them, too, however little."""
    front, fold = _before(points, skin, triangles)
    front = np.where(lower, np.minimum(front, fold + CLEARANCE), front)
    return float(np.clip((points[:, 2] + CLEARANCE - front).max(initial=0), 0, 15))


def _yielding(points: np.ndarray, skin: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(n,) mm by which points (n,3) of the lower gum have to go back, each by itself, to lie up to CLEARANCE behind the
    skin that rises before them, too: a smile draws it back against them."""
    return np.clip(points[:, 2] + CLEARANCE - _before(points, skin, triangles)[1], 0, CLEARANCE)


def _before(points: np.ndarray, skin: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) depth of the skin before points (n,3) as seen from the front, and of the hindmost that rises before them as
    the lips shut, as that of the fold under a pursed lip does; inf where none is."""
    middle, half = points.mean(0), _AROUND_MOUTH
    near = (np.abs(skin - middle) < (half, half, 90)).all(1)
    faces = triangles[near[triangles].all(1)]
    image = raster.render(((skin - middle) / half).astype(np.float32), faces, 160)
    at = ((points[:, :2] - middle[:2]) / half + 1) * 80
    column, row = at[:, 0].astype(int).clip(0, 159), (159 - at[:, 1]).astype(int).clip(0, 159)
    depth = np.where(image.seen, image.depth * half + middle[2], np.inf)
    front = depth[row, column]
    # A slit between the lips lets the view through to the back: what lies far behind is not the skin in front.
    front = np.where(front < points[:, 2] - 12, np.inf, front)
    below = depth[(row + np.arange(round(RISE * 80 / half) + 1)[:, None]).clip(0, 159), column]
    return front, np.where(below < front - THROAT, np.inf, below).min(0)


# What it looks like ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Tongue:
    """moves (3,n,3): displacement of its points where each of CHANNELS is full, the tip's `farthest` mm up and out
    between the teeth from where it lies with the jaw shut; reach: how many mm of these bring the tip to the ridge as it
    stands."""

    moves: np.ndarray
    reach: float
    farthest: float


def _pieces(curve: mouth_curve.MouthCurve, turn: float) -> tuple[list[_Piece], _Tongue]:
    """Both arches and, last, the tongue for one mouth with this curve when shut, canonical mm, as they stand where the
    jaw is open by this turn (radians); and how the tongue moves from there."""
    width = curve.x[-1] - curve.x[0]
    scale = float(np.clip(width / MOUTH_WIDTH, *SCALE))
    lips = np.array([(curve.x[0] + curve.x[-1]) / 2, curve.y[1:-1].mean(), curve.z[2]])
    upper = lips + np.array([0, UPPER_EDGE[1], -UPPER_EDGE[0]]) * scale
    lower = lips + np.array([0, LOWER_EDGE[1], -LOWER_EDGE[0]]) * scale
    pieces = _arch(UPPER_WIDTH, UPPER_HEIGHT, upper, scale, up=True)
    pieces += [_sunk(piece, curve) for piece in _arch(LOWER_WIDTH, LOWER_HEIGHT, lower, scale, up=False)]
    pieces.append(_tongue(lower, scale))
    sunk = [replace(p, points=p.points + jaw.opening(p.points, turn)) if p.jaw else p for p in pieces]
    return sunk, _tongue_moves(pieces[-1].points, sunk[-1].points[-1], upper, lower, scale)


def _tongue_moves(points: np.ndarray, tip: np.ndarray, upper: np.ndarray, lower: np.ndarray, scale: float) -> _Tongue:
    """points (n,3), upper, lower (3,): the tongue and both incisors' fronts at their edges with the jaw shut; tip (3,):
    the tongue's as it stands."""
    _, long, thick = (size * scale for size in TONGUE_SIZE)
    behind = (points[:, 2].max() - points[:, 2]) / long
    bend = smooth_step(1 - behind / BEND)[:, None]
    middle = lower[1] - (TONGUE_PLACE[1] + TONGUE_SIZE[2] / 2) * scale
    top = np.clip(0.5 + (points[:, 1] - middle) / thick, 0, 1)
    dome = (smooth_step(behind / FRONT) * smooth_step((0.9 - behind) / 0.5) * top)[:, None]
    farthest = FARTHEST * scale
    up = farthest * np.array([0, 1, FORWARD])
    out = np.array([0, upper[1] - UNDER * scale - points[-1, 1], upper[2] + BEFORE * scale - points[-1, 2]])
    moves = np.stack([bend * up, bend * out, dome * [0, HIGH * scale, 0]])
    return _Tongue(moves, upper[1] + RIDGE * scale - tip[1], farthest)


def _sunk(piece: _Piece, curve: mouth_curve.MouthCurve) -> _Piece:
    """The piece as much lower as the lip line sinks from its middle to the corners, so that the lower lip hides lower
    teeth there too; behind the corners as at them."""
    below = np.minimum(curve.y - curve.y[1:-1].mean(), 0)
    return replace(piece, points=piece.points + np.interp(piece.points[:, 0], curve.x, below)[:, None] * [0, 1, 0])


def _arch(widths: tuple, heights: tuple, edge: np.ndarray, scale: float, up: bool) -> list[_Piece]:
    """Crowns and gum of one jaw; edge (3,): middle of the incisors' front at their edge."""
    inset = 0.0 if up else 2.8
    a, b = (ARCH[0] - inset) * scale, (ARCH[1] - inset) * scale
    angle = np.linspace(0, np.pi / 2, 400)
    bend = np.stack([a * np.sin(angle), -b * (1 - np.cos(angle))], 1)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(bend, axis=0), axis=1))])
    sign = 1.0 if up else -1.0
    pieces = []
    end = 0.0
    for number, (width, height) in enumerate(zip(widths, heights, strict=True)):
        middle, end = end + width * scale / 2, end + width * scale
        place = np.array([np.interp(middle, length, bend[:, k]) for k in range(2)])
        ahead = np.array([np.interp(middle + 0.5, length, bend[:, k]) for k in range(2)]) - place
        along = np.array([ahead[0], 0, ahead[1]]) / np.linalg.norm(ahead)
        crown = _crown(number, width * scale, height * scale, scale, sign)
        for side in (1.0, -1.0):
            out = np.array([-along[2], 0, along[0]])
            points = crown[:, :1] * along + crown[:, 1:2] * [0, 1, 0] + crown[:, 2:] * out
            points = (points + [place[0], 0, place[1]]) * [side, 1, 1] + edge
            pieces.append((points, side))
    triangles = _tube(8, 5, capped=True)
    turned = triangles[:, ::-1]
    teeth = [_Piece(points, turned if (side > 0) == up else triangles, TOOTH, not up) for points, side in pieces]
    reach = np.concatenate([[0], np.cumsum(widths)]) * scale
    at, margin = _margin(reach, np.array(heights) * scale)
    return [*teeth, _gum(a, b, np.interp(at, length, angle), margin, edge, scale, sign)]


def _crown(number: int, width: float, height: float, scale: float, sign: float) -> np.ndarray:
    """(33,3) points of a tooth: along the arch, up from its edge (down for the lower jaw), outward; its front at 0."""
    turn = np.linspace(0, 2 * np.pi, 8, endpoint=False) + np.pi / 8
    round_x, round_z = (np.sign(f(turn)) * np.abs(f(turn)) ** 0.6 for f in (np.cos, np.sin))
    rows = []
    for share, wide in ((1.0, 0.84), (0.6, 0.97), (0.3, 0.99), (0.08, 0.96), (0.0, 0.84)):
        thick = (DEPTH_NECK[number] * share + DEPTH_EDGE[number] * (1 - share)) * scale * (0.8 if share == 0 else 1)
        back = 0.5 * (thick + (0.5 * scale if share < 0.05 else 0) + 0.6 * scale * share)
        x, z = round_x * width * wide / 2, round_z * thick / 2 - back
        rows.append(np.stack([x, np.full(8, sign * height * share), z], 1))
    top = rows[-1].mean(0) - [0, sign * 0.25 * scale, 0]
    return np.concatenate([*rows, top[None]])


def _tube(around: int, rows: int, *, capped: bool) -> np.ndarray:
    """Triangles of rows of `around` points each, closed around; capped: by one more point after the last row."""
    index = np.arange(around)
    following = (index + 1) % around
    faces = []
    for row in range(rows - 1):
        a, b = row * around + index, row * around + following
        c, d = a + around, b + around
        faces += [np.stack([a, c, b], 1), np.stack([b, c, d], 1)]
    if capped:
        last = (rows - 1) * around
        faces.append(np.stack([last + index, np.full(around, rows * around), last + following], 1))
    return np.concatenate(faces)


def _margin(reach: np.ndarray, heights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where along half an arch the gum's edge is told, and how far it lies from the crowns' edges: high over the middle
    of each crown, low between two. reach (8,): where crowns begin and end; heights (7,)."""
    share = np.arange(0, 1, 0.25)
    at = (reach[:-1, None] + np.diff(reach)[:, None] * share).ravel()
    between = np.minimum(heights, np.concatenate([heights[:1], heights[:-1]]))
    margin = np.stack([GUM_BETWEEN * between, *np.outer(GUM_OVER, heights)], 1).ravel()
    return np.append(at, reach[-1]), np.append(margin, GUM_BETWEEN * heights[-1])


def _gum(
    a: float, b: float, angle: np.ndarray, margin: np.ndarray, edge: np.ndarray, scale: float, sign: float
) -> _Piece:
    """The ridge out of which the crowns stand; angle, margin (n,): its edge in half of the arch."""
    angle, margin = (np.concatenate([turn * half[:0:-1], half]) for turn, half in ((-1, angle), (1, margin)))
    forward, up, follows = np.array(
        [(0.1, 0, 1), (-2.6, -0.5, 1), (-5.5, 6.2, 0), (-8.6, 7.8, 0), (-9.0, 13.8, 0), (0.0, 13.8, 0), (0.4, 2.0, 1)]
    ).T
    height = up * scale + follows * margin[:, None]
    middle = np.stack([a * np.sin(angle), 0 * angle, -b * (1 - np.cos(angle))], 1)
    outward = np.stack([b * np.sin(angle), 0 * angle, a * np.cos(angle)], 1)
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    rows = middle[:, None] + (forward * scale)[:, None] * outward[:, None] + sign * height[..., None] * [0, 1, 0]
    triangles = _tube(len(up), len(angle), capped=False)
    points = rows.reshape(-1, 3) + edge
    return _Piece(points, triangles[:, ::-1] if sign > 0 else triangles, GUM, sign < 0)


def _tongue(edge: np.ndarray, scale: float) -> _Piece:
    """A flat, round-tipped body behind the lower teeth with a shallow groove; its tip comes last."""
    wide, long, thick = (size * scale for size in TONGUE_SIZE)
    share = np.linspace(0, 1, 14)
    turn = np.linspace(0, 2 * np.pi, 14, endpoint=False) + np.pi / 14
    outline = np.sqrt(np.clip(1 - (1 - np.clip(share / 0.4, 0, 1)) ** 2, 0.02, 1))
    hump = (1 - (1 - np.clip(share / TONGUE_RISE, 0, 1)) ** 2) * TONGUE_BACK * scale
    x = np.cos(turn)[None] * (wide * outline)[:, None]
    y = np.sin(turn)[None] * (thick / 2 * (0.35 + 0.65 * outline))[:, None]
    y += np.clip(np.sin(turn), 0, 1)[None] * hump[:, None]
    y -= (np.sin(turn) > 0) * np.exp(-((np.cos(turn) / 0.35) ** 2)) * 1.2 * scale * outline[:, None]
    z = np.repeat(-share[:, None] * long, len(turn), 1)
    centre = edge + np.array([0, -TONGUE_PLACE[1] - thick / 2 / scale, -TONGUE_PLACE[0]]) * scale
    tip_point = np.array([[0.0, 0.0, 1.2 * scale]])
    rows = np.stack([x, y, z], 2)[::-1].reshape(-1, 3)
    points = np.concatenate([rows, tip_point]) + centre
    return _Piece(points, _tube(len(turn), len(share), capped=True)[:, ::-1], TONGUE, True)
