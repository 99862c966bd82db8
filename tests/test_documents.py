"""What README, guide and cards show: their links lead somewhere, their commands and their Python are taken."""

import re
import shlex
import textwrap
from pathlib import Path

import pytest

from freetalk_blender import cli

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("onnx_models/*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings_that_are_there(document: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8"))
    dead = [target for target in targets if "://" not in target and not alive(document, *target.partition("#")[::2])]
    assert dead == []


def alive(document: Path, name: str, heading: str) -> bool:
    file = (document.parent / name).resolve() if name else document
    return file.exists() and (not heading or heading in headings(file))


def headings(file: Path) -> set[str]:
    """A document's headings as links name them."""
    titles = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_command_shown_is_taken() -> None:
    texts = [document.read_text(encoding="utf-8") for document in DOCUMENTS]
    commands = [line for text in texts for line in re.findall(r"^    (freetalk .+)$", text, re.MULTILINE)]
    assert len(commands) > 10
    for command in commands:
        cli.parser().parse_args(shlex.split(command, comments=True)[1:])


def test_the_readmes_python_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    _, _, after = (ROOT / "README.md").read_text(encoding="utf-8").partition("**From Python**")
    block = re.search(r"\n\n((?:    .*\n|\n)+)", after)
    names: dict = {}
    exec(textwrap.dedent(block[1]), names)
    assert names["dense"].shape == (len(names["take"].displacement), len(names["vertices"]), 3)
    assert 0 < names["keys"].max_error <= 0.1 * names["face"].frame.units_per_mm
