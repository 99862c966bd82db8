"""Imports point one way, as docs/architecture.md says."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "freetalk_blender"
#: folder or module -> what of the project it may import, besides itself.
ALLOWED = {
    "freetalk_blender/core": set(),
    "freetalk_blender/blender": {"freetalk_blender/core"},
    "freetalk_blender/__init__.py": {"freetalk_blender/blender"},
    "freetalk_blender/__main__.py": {"freetalk_blender/cli.py"},
    "freetalk_blender/cli.py": {
        "freetalk_blender/core",
        "freetalk_blender/batch.py",
        "freetalk_blender/cluster.py",
        "freetalk_blender/commands.py",
        "freetalk_blender/options.py",
        "freetalk_blender/processes.py",
        "freetalk_blender/progress.py",
    },
    "freetalk_blender/options.py": {"freetalk_blender/core"},
    "freetalk_blender/commands.py": {
        "freetalk_blender/core",
        "freetalk_blender/blender",
        "freetalk_blender/progress.py",
        "freetalk_blender/scans.py",
        "freetalk_blender/stage.py",
    },
    "freetalk_blender/stage.py": {
        "freetalk_blender/core",
        "freetalk_blender/blender",
        "freetalk_blender/progress.py",
        "freetalk_blender/scans.py",
    },
    "freetalk_blender/scans.py": {
        "freetalk_blender/core",
        "freetalk_blender/blender",
        "freetalk_blender/progress.py",
    },
    "freetalk_blender/batch.py": {"freetalk_blender/core"},
    "freetalk_blender/processes.py": {"freetalk_blender/batch.py"},
    "freetalk_blender/cluster.py": {"freetalk_blender/batch.py", "freetalk_blender/processes.py"},
    "freetalk_blender/progress.py": set(),
    "export": {"freetalk_blender/core"},
    "evaluation": {"freetalk_blender/core", "freetalk_blender/blender", "export", "tools"},
    "build.py": {"tools"},
    "tools": set(),
}
#: Packages of the engine, from the ground up: each may import those before it and FOUNDATION, nothing else of it.
LAYERS = ("surface", "detection", "binding", "lip_contact", "voice", "mouth", "eyes")
#: Modules beside them that know no mouth and no voice. The others beside them put a face together, and may import all.
FOUNDATION = {
    "atomic", "cancel", "compress", "errors", "frame", "landmark_files", "landmarks", "models", "ramp", "readable",
    "series", "wording",
}  # fmt: skip
#: The one call back: the add-on registers the command line as `blender --command freetalk`.
EXCEPTIONS = {("freetalk_blender/blender/ui/registration.py", "freetalk_blender/cli.py")}


def part_of(module: str) -> str | None:
    """The row of ALLOWED that a dotted module belongs to; None for what is not of the project."""
    path = module.replace(".", "/")
    for part in ALLOWED:
        stem = part.removesuffix(".py")
        if path == stem or path.startswith(stem + "/"):
            return part
    return None


def imported_modules(file: Path) -> Iterator[str]:
    """Dotted names of everything that a file imports, relative imports resolved."""
    package = list(file.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = [*base, *(node.module.split(".") if node.module else [])]
            yield from (".".join([*base, name.name]) for name in node.names)


def files_of(part: str) -> list[Path]:
    return [ROOT / part] if part.endswith(".py") else sorted((ROOT / part).rglob("*.py"))


def imports_of(part: str) -> Iterator[tuple[str, str]]:
    """Each file of a part, as a path from the checkout, and each module that it imports."""
    for file in files_of(part):
        for module in imported_modules(file):
            yield file.relative_to(ROOT).as_posix(), module


@pytest.mark.parametrize("part", ALLOWED)
def test_each_part_imports_only_what_the_architecture_allows(part: str) -> None:
    assert files_of(part)
    allowed = ALLOWED[part] | {part, None}
    wrong = [
        (file, module)
        for file, module in imports_of(part)
        if part_of(module) not in allowed and (file, part_of(module)) not in EXCEPTIONS
    ]
    assert wrong == []


@pytest.mark.parametrize("folder", ["blender", "blender/formats", "blender/ui"])
def test_every_module_of_the_blender_layer_has_its_place_in_the_architecture(folder: str) -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    _, _, table = text.partition(f"| `{folder}/` | what |\n|---|---|\n")
    told = re.findall(r"`(\w+)`", table.partition("\n\n")[0])
    there = {path.stem for path in (ROOT / PACKAGE / folder).glob("*.py")} - {"__init__"}
    assert sorted(told) == sorted(there)


@pytest.mark.parametrize("place", range(len(LAYERS)), ids=LAYERS)
def test_each_package_of_the_engine_imports_only_what_lies_below_it(place: int) -> None:
    core, below = f"{PACKAGE}.core.", {*LAYERS[: place + 1], *FOUNDATION}
    found = imports_of(f"{PACKAGE}/core/{LAYERS[place]}")
    wrong = [pair for pair in found if pair[1].startswith(core) and pair[1].split(".")[2] not in below]
    assert wrong == []


def test_every_package_of_the_engine_is_a_layer() -> None:
    core = ROOT / PACKAGE / "core"
    assert {path.parent.name for path in core.glob("*/__init__.py")} == set(LAYERS)
    assert {path.stem for path in core.glob("*.py")} >= FOUNDATION


def test_only_the_registration_of_the_add_on_reaches_into_what_a_window_shows() -> None:
    inside = (f"{PACKAGE}/blender/ui/", f"{PACKAGE}/__init__.py")
    wrong = [
        pair for pair in imports_of(PACKAGE) if f"{PACKAGE}.blender.ui." in pair[1] and not pair[0].startswith(inside)
    ]
    assert wrong == []


def test_every_part_has_its_row() -> None:
    package = {path.relative_to(ROOT).as_posix() for path in (ROOT / PACKAGE).iterdir() if path.suffix == ".py"}
    beside = {path.name for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert package | beside - {PACKAGE} <= set(ALLOWED)


@pytest.mark.parametrize(
    ("part", "never"),
    [(f"{PACKAGE}/core", {"bpy", "mathutils", "bmesh"}), (PACKAGE, {"torch", "onnx", "export", "evaluation"})],
    ids=["engine", "product"],
)
def test_the_engine_never_imports_bpy_and_the_product_no_training(part: str, never: set[str]) -> None:
    assert [pair for pair in imports_of(part) if pair[1].split(".")[0] in never] == []


def test_inside_the_package_imports_are_relative_so_that_it_works_as_an_extension() -> None:
    found = [
        str(file)
        for file in files_of("freetalk_blender")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if (isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").startswith(PACKAGE))
        or (isinstance(node, ast.Import) and any(name.name.startswith(PACKAGE) for name in node.names))
    ]
    assert found == []
