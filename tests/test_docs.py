"""The guide builds without a warning, needs nothing from elsewhere, and has a page for each hook that is up to date."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from chatapp.plugins import hook_names
from tests.docs_blocks import NAMED, blocks
from tests.support_plugins import ROOT

DOCS = ROOT / "docs"
KINDS = ("tool", "context-source", "engine", "renderer", "side-panel", "adapter-source")
PAGES = [*(DOCS / "hooks" / f"{name}.md" for name in hook_names()), *(DOCS / "kinds" / f"{name}.md" for name in KINDS)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guide as web pages; a warning fails."""
    folder = tmp_path_factory.mktemp("guide")
    words = ["-b", "html", "--fail-on-warning", "--keep-going", "--quiet", "-d", folder / "read", DOCS, folder / "html"]
    done = subprocess.run([sys.executable, "-m", "sphinx", *map(str, words)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "html"


def test_every_page_is_in_the_site(site: Path) -> None:
    pages = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    assert len(pages) > 25
    assert [str(page) for page in pages if not (site / page).is_file()] == []


def test_the_site_fetches_nothing(site: Path) -> None:
    fetched = re.compile(
        r"""<(?:script|link|img|iframe)[^>]+(?:src|href)=["'](?:https?:)?//|@import|url\(["']?(?:https?:)?//"""
    )
    found = [
        f"{path.relative_to(site)}: {match[0]}"
        for path in [*site.rglob("*.html"), *site.rglob("*.css"), *site.rglob("*.svg")]
        for match in fetched.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_links_to_code_are_in_the_site(site: Path) -> None:
    linked = re.findall(
        r'href="\.\./_downloads/([^"]+)"', (site / "hooks" / "context.html").read_text(encoding="utf-8")
    )
    assert len(linked) > 5
    assert all((site / "_downloads" / name).is_file() for name in linked)


def test_the_made_parts_are_up_to_date() -> None:
    words = ["-m", "cogapp", "--check", "-r", *(str(page) for page in [*PAGES, DOCS / "hooks" / "index.md"])]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"run make docs: {done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_an_example_that_runs(page: Path) -> None:
    found = list(blocks(page))
    named = [NAMED.match(block.text) for block in found if block.language == "python"]
    assert any(named)
    assert any(block.language == "console" for block in found)


@pytest.mark.parametrize("name", hook_names())
def test_the_page_of_a_hook_uses_it_and_links_to_who_does(name: str) -> None:
    text = (DOCS / "hooks" / f"{name}.md").read_text(encoding="utf-8")
    assert re.search(rf"@hookimpl\n(async )?def {name}\(", text.partition("## Example")[2])
    assert re.search(r"Bundled plugins that use it: \[\w+\]\(\.\./\.\./plugins/chatapp_\w+/__init__\.py\)", text)


def test_the_examples_keep_the_contract(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "plugins"
    folder.mkdir(parents=True)
    for page in PAGES:
        for block in blocks(page):
            named = NAMED.match(block.text)
            if block.language == "python" and named and not named[1].startswith("test_"):
                (folder / named[1]).write_text(block.text, encoding="utf-8")
    names = {path.stem for path in folder.glob("*.py")}
    environ = {**os.environ, "CHATAPP_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "chatapp", "plugin", "check", "--json"]
    done = subprocess.run(command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    said = json.loads(done.stdout)
    assert len(names) == len(PAGES)
    assert names <= set(said["checked"])
    assert [each for each in said["findings"] if each["plugin"] in names] == []
