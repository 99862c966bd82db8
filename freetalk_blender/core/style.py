"""How somebody talks, beside what is said and felt: factors, each 1 as performed; head and eyes rest unless asked.

Speech varies between the careful and the careless, and listeners and lip readers follow (Lindblom 1990, "Explaining
phonetic variation: a sketch of the H&H theory"); jaw and lips may share the work in many ways (Edwards et al. 2016,
"JALI"). Contact is not a matter of style: lips that must meet do so at every strength.
"""

from dataclasses import astuple, dataclass, fields

import numpy as np

from .errors import FreeTalkError

#: No factor is larger.
MAX_STYLE = 2.0


class StyleError(FreeTalkError):
    """The style asked for is none."""


@dataclass(frozen=True)
class Style:
    """articulation: how far jaw and lips travel in speech, below 1 mumbled, above 1 over-articulated; jaw, lips: the
    share of either; upper_face: brows, lids and cheeks, of emotion and of emphasis; blinks: how often; head: how far it
    nods, turns and tilts; gaze: how far the eyes look about, and stay on who is looked at while the head turns. Each 0
    to 2.

    Raises StyleError outside.
    """

    articulation: float = 1.0
    jaw: float = 1.0
    lips: float = 1.0
    upper_face: float = 1.0
    blinks: float = 1.0
    head: float = 0.0
    gaze: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0.0 <= value <= MAX_STYLE:
                name = field.name.replace("_", " ")
                raise StyleError(f"The style's {name} is {value:g}; it must lie between 0 and {MAX_STYLE:g}.")

    @property
    def turning(self) -> bool:
        """Do head or eyes turn?"""
        return self.head > 0 or self.gaze > 0

    def factors(self) -> np.ndarray:
        """(4,) float32: articulation, jaw, lips, upper face, as the network takes them."""
        return np.array(astuple(self)[:4], np.float32)


AS_PERFORMED = Style()
