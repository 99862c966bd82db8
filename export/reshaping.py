"""Features as other people and other artists have them: eyes, nose and mouth of a registered face, each in a shape of
its own.

A statistical model's faces all have its kind of features. Here each one is stretched, tilted, shifted, bent and leant
with the skin around it, both eyes nearly alike, and some landmarks are drawn a little aside. Lengths are centimetres.
"""

import numpy as np

from freetalk_blender.core.landmarks import COUNT, LEFT_EYE, LIPS, MIRRORED, NOSE, RIGHT_EYE

#: Landmarks of each feature, and how far around its middle it is reshaped.
FEATURES = ((RIGHT_EYE, 1.9), (LEFT_EYE, 1.9), (NOSE, 2.4), (LIPS, 2.8))
#: Standard deviations of a change, which goes no further than twice these: stretch along x, y, z; tilt (radians); shift
#: along x, y, z; bend (1 / cm); how depth leans with height and with width. SIDEWAYS ones differ between the sides.
SPREAD = np.array([0.1, 0.1, 0.1, np.radians(5), 0.12, 0.12, 0.12, 0.04, 0.08, 0.08])
SIDEWAYS = [3, 4, 9]
#: How unlike both eyes are, and how crooked nose and mouth are, of a change.
UNLIKE = 0.25
#: Landmarks drawn aside with their twins: how many, how far (standard deviation), with how much skin around them.
ASIDE, ASIDE_FAR, ASIDE_REACH = 12, 0.08, 0.6


def reshaped(vertices: np.ndarray, landmarks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(V, 3) float32: vertices of a face, upright and towards +z, with landmarks (68, 3), both in cm."""
    points = np.concatenate([landmarks, vertices]).astype(float)
    eyes = _change(rng)
    for feature, reach in FEATURES:
        change = _change(rng)
        if feature in (RIGHT_EYE, LEFT_EYE):
            change = eyes + UNLIKE * change
            change[SIDEWAYS] *= -1 if feature == RIGHT_EYE else 1
        else:
            change[SIDEWAYS] *= UNLIKE
        points = _reshape(points, points[:COUNT][feature].mean(0), change, reach)
    return _drawn_aside(points, rng)[COUNT:].astype(np.float32)


def _change(rng: np.random.Generator) -> np.ndarray:
    """(10,) as SPREAD."""
    return SPREAD * rng.normal(size=len(SPREAD)).clip(-2, 2)


def _reshape(points: np.ndarray, middle: np.ndarray, change: np.ndarray, reach: float) -> np.ndarray:
    """Points (N, 3), those around a middle changed."""
    stretch, (tilt,), shift, (bend,), lean = np.split(change, [3, 4, 7, 8])
    away = points - middle
    share = np.exp(-((np.linalg.norm(away * [1, 1.2, 0.8], axis=1) / reach) ** 4))
    turn = np.array([[np.cos(tilt), -np.sin(tilt), 0], [np.sin(tilt), np.cos(tilt), 0], [lean[1], lean[0], 1]])
    changed = (away * (1 + stretch)) @ turn.T + shift
    changed[:, 1] += bend * away[:, 0] ** 2
    return points + share[:, None] * (changed - away)


def _drawn_aside(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Points (68 + V, 3) with some of the landmarks and their twins moved, nearly alike."""
    alike, own = rng.normal(0, ASIDE_FAR, (2, COUNT, 3))
    alike = (alike + alike[MIRRORED] * [-1, 1, 1]) / np.sqrt(2)
    moves = np.sqrt(1 - UNLIKE) * alike + np.sqrt(UNLIKE) * own
    chosen = rng.choice(COUNT, ASIDE, replace=False)
    moved = points.copy()
    for row in np.union1d(chosen, MIRRORED[chosen]):
        away = np.linalg.norm(points - points[row], axis=1)
        moved += np.exp(-0.5 * (away / ASIDE_REACH) ** 2)[:, None] * moves[row]
    return moved
