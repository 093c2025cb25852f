"""The programs in the README work as pasted."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.service.conftest import Draw, Server

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")

PAGE = """
const elements = { photo: {}, found: {} };
elements.photo.addEventListener = (name, listener) => { elements.photo.listener = listener; };
elements.found.replaceChildren = (...children) => { elements.found.children = children; };
globalThis.document = { getElementById: (id) => elements[id], createElement: () => ({}) };
"""
"""As much of a page as the script touches; what talks to the service is Node's own."""


def snippet(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return found


def test_the_python_program_runs(server: Server, draw: Draw, tmp_path: Path) -> None:
    photo = tmp_path / "data" / "queries" / "red-sneaker-street.jpg"
    photo.parent.mkdir(parents=True)
    photo.write_bytes(draw(0))
    program = snippet("python").replace("http://127.0.0.1:8000", server.url)
    program = program.replace('{"category": "shoes"}', '{"colour": "red"}')
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path, env={"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    score, path = done.stdout.split()
    assert (float(score) > 0.999, path) == (True, "shoes/s0.jpg")


def test_the_script_of_the_page_runs(server: Server, draw: Draw, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    (script,) = re.findall(r"<script>(.*?)</script>", snippet("html"), re.DOTALL)
    (tmp_path / "q.jpg").write_bytes(draw(6))
    program = (
        PAGE
        + script.replace("http://127.0.0.1:8000", server.url)
        + 'const { openAsBlob } = require("node:fs");\n'
        + "(async () => { await elements.photo.listener("
        + '{ target: { files: [await openAsBlob("q.jpg")] } });\n'
        + "console.log(JSON.stringify(elements.found.children)); })();"
    )
    done = subprocess.run(
        [node, "-e", program], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=30
    )
    best = json.loads(done.stdout)[0]
    assert best["src"] == f"{server.url}/api/v1/images/shoes/s6.jpg"
    assert best["title"].startswith("s6.jpg: ")
