"""What the documents say about the tree is true of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path.relative_to(ROOT) for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
)


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_to_files_lead_somewhere(document: Path) -> None:
    text = (ROOT / document).read_text()
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    files = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    lost = [link for link in files if not (ROOT / document.parent / link).exists()]
    assert not lost


def test_files_that_the_architecture_names_are_there() -> None:
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"`([a-z_]+(?:/[a-z_0-9]+)*\.py)`", page))
    assert named
    roots = (ROOT, ROOT / "streams")
    assert not {file for file in named if not any((root / file).is_file() for root in roots)}


def test_every_room_has_its_place_in_the_layers() -> None:
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
    picture = page.split("## Layers")[1].split("```")[1]
    placed = set(re.findall(r"[a-z]+", "\n".join(line[:49] for line in picture.splitlines())))
    rooms = {path.parent.name for path in (ROOT / "streams").glob("*/__init__.py")}
    assert not rooms - placed


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs" / "adr"
    index = (folder / "README.md").read_text()
    missing = [path.name for path in folder.glob("0*.md") if f"({path.name})" not in index]
    assert not missing
