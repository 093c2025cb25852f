"""The documents say what the code does."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tools.readme_tables import README, with_tables

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    Path(ROOT, name)
    for name in subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
)


def names_in(requirements: str) -> set[str]:
    lines = (ROOT / requirements).read_text().splitlines()
    return {line.partition("==")[0] for line in lines if line and line[0] not in "#-"}


def test_the_readme_lists_every_setting_route_and_command_as_the_code_has_them() -> None:
    text = README.read_text(encoding="utf-8")
    assert with_tables(text) == text, "run: python -m tools.readme_tables"


def test_every_dependency_is_pinned_exactly_and_has_its_reason() -> None:
    explained = (ROOT / "docs/dependencies.md").read_text()
    for requirements in sorted(ROOT.glob("requirements*.txt")):
        for line in requirements.read_text().splitlines():
            if line and line[0] not in "#-":
                assert re.fullmatch(r"[A-Za-z0-9_.\-\[\]]+==[0-9][^ ]*", line), line
        for name in names_in(requirements.name):
            assert f"| {name} |" in explained, f"{name} has no line in docs/dependencies.md"


def test_no_document_explains_a_dependency_that_is_gone() -> None:
    explained = (ROOT / "docs/dependencies.md").read_text()
    listed = set(re.findall(r"^\| ([A-Za-z0-9_.\-\[\]]+) \|", explained, re.MULTILINE)) - {
        "package"
    }
    wanted = {name for path in ROOT.glob("requirements*.txt") for name in names_in(path.name)}
    assert listed <= wanted


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_between_documents_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!http|#)([^)#]+)", document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), f"{document.name}: {target}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_make_target_and_module_a_document_names_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for named in re.findall(r"(?:^|`|\s)make ([a-z][a-z-]+)(?=`|\s|$)", text):
        assert named in targets, f"{document.name}: make {named}"
    for module in re.findall(
        r"python -m ((?:tools|benchmarks|ingest|service|training)[\w.]*)", text
    ):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module
