"""How somebody talks, beside what is said and felt: factors, each 1 as performed; head and eyes rest unless asked; and
contact, by which a hand corrects what was heard. Each holds throughout or changes over time.

Speech varies between the careful and the careless, and listeners and lip readers follow (Lindblom 1990, "Explaining
phonetic variation: a sketch of the H&H theory"); jaw and lips may share the work in many ways (Edwards et al. 2016,
"JALI"). Contact is not a matter of style: lips that must meet do so at every strength of the factors.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np

from ..errors import FreeTalkError

#: What each field of Style says.
MEANING = {
    "articulation": "how far jaw and lips travel in speech: below 1 mumbled, above 1 over-articulated",
    "jaw": "how far the jaw opens",
    "lips": "how far the lips move",
    "upper_face": "how far brows, lids and cheeks move, with emotion and with emphasis",
    "blinks": "how often the eyes blink",
    "head": "how far the head nods with the voice, turns and tilts; at 0 it rests",
    "gaze": "how far the eyes look about, and stay on who is looked at while the head turns; at 0 they look ahead",
    "contact": "1 brings the lips together, -1 keeps them apart, whatever is heard",
}
#: No factor is larger.
MAX_STYLE = 2.0
#: Between what each lies that is no factor from 0 to MAX_STYLE.
_LIMITS = {"contact": (-1.0, 1.0)}


class StyleError(FreeTalkError):
    """The style asked for is none."""


def limits(name: str) -> tuple[float, float]:
    """The least and the largest value of a field of Style."""
    return _LIMITS.get(name, (0.0, MAX_STYLE))


@dataclass(frozen=True, eq=False)
class Style:
    """What each field says tells MEANING, and between what it lies `limits`: StyleError outside.

    Each is a number or (T,), one for each frame of a performance.
    """

    articulation: float | np.ndarray = 1.0
    jaw: float | np.ndarray = 1.0
    lips: float | np.ndarray = 1.0
    upper_face: float | np.ndarray = 1.0
    blinks: float | np.ndarray = 1.0
    head: float | np.ndarray = 0.0
    gaze: float | np.ndarray = 0.0
    contact: float | np.ndarray = 0.0

    def __post_init__(self) -> None:
        for name, value in tuple(vars(self).items()):
            if np.ndim(value):
                object.__setattr__(self, name, np.asarray(value))  # a list may say what changes, too
            values, (low, high) = np.atleast_1d(value), limits(name)
            if values.dtype.kind not in "fiu":
                raise StyleError(
                    f"The style's {name.replace('_', ' ')} is {value!r}; it must be a number, or (T,) of them."
                )
            wrong = values[~((low <= values) & (values <= high))]
            if len(wrong):
                told = f"The style's {name.replace('_', ' ')} is {wrong[0]:g}"
                raise StyleError(f"{told}; it must lie between {low:g} and {high:g}.")

    @property
    def turning(self) -> bool:
        """Do head or eyes turn?"""
        return bool(np.any(self.head) or np.any(self.gaze))

    def check(self, frames: int) -> None:
        """StyleError where something changes over another number of frames."""
        for name, value in vars(self).items():
            if np.shape(value) not in ((), (frames,)):
                raise StyleError(f"The style's {name} is a number or of shape ({frames},), not {np.shape(value)}.")

    def each(self, change: Callable[[np.ndarray], np.ndarray]) -> "Style":
        """The same with what changes over time changed: (T,) -> another one."""
        return replace(self, **{name: change(value) for name, value in vars(self).items() if np.ndim(value)})

    def factors(self, frames: int) -> np.ndarray:
        """(frames,4) float32: articulation, jaw, lips, upper face, as the network takes them."""
        factors = (self.articulation, self.jaw, self.lips, self.upper_face)
        return np.stack([np.broadcast_to(np.float32(factor), frames) for factor in factors], 1)


AS_PERFORMED = Style()
#: What can be asked for, in order.
STYLES = tuple(field.name for field in fields(Style))
