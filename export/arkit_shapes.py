"""Write ARKit's blend shapes as motion of 68 landmarks: `python -m export.arkit_shapes --data ../shared/data`."""

import numpy as np

from export import articulation, command, ict
from freetalk_blender.core import arkit, atomic


def members(name: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The ICT shapes that make up one of ARKit's: its own side's, or both sides where ARKit has one for both."""
    stem, side = name.removesuffix("Left").removesuffix("Right"), {"Left": "_L", "Right": "_R"}
    for word, letter in side.items():
        if name.endswith(word) and stem + letter in known:
            return (stem + letter,)
    return ict.sides(name, known)


def main() -> None:
    parser = command.parser(__doc__, "ict_facekit/")
    model = ict.load(parser.parse_args().data)
    parts = {name: members(name, model.expression_names) for name in arkit.NAMES}
    shapes = articulation.basis(model, parts).astype(np.float32)
    with atomic.output(arkit.FILE) as partial:
        np.savez_compressed(partial, shapes=shapes)
    still = [name for name, shape in zip(arkit.NAMES, shapes, strict=True) if np.abs(shape).max() < 1e-3]
    print(f"wrote {arkit.FILE}: {len(shapes)} shapes; without motion of a landmark: {', '.join(still) or 'none'}")


if __name__ == "__main__":
    command.run(main)
