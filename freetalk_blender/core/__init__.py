"""FreeTalk's engine: a scan and speech in, the motion of every vertex out. It never imports bpy.

face = prepare(vertices, triangles, landmarks)
take = perform(audio, sample_rate, {"happy": 0.6}, fps=30)
dense = deform(face, take.displacement)
keys = compress(dense, tolerance=0.1 * face.frame.units_per_mm)
"""

from .compress import ShapeKeys, compress
from .errors import FreeTalkError
from .face import Face, prepare
from .movement import deform
from .voice.performance import Performance, perform
from .voice.style import Style

__all__ = ["Face", "FreeTalkError", "Performance", "ShapeKeys", "Style", "compress", "deform", "perform", "prepare"]
