"""Every code block of the guide runs, and prints what its page shows."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.docs_blocks import Reader, blocks, commands, fits, merged, reader
from tests.support_pip import make_environment
from tests.support_plugins import ROOT

DOCS = ROOT / "docs"
TUTORIAL = DOCS / "tutorial.md"
MADE = {DOCS / "reference.md", TUTORIAL}
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if page not in MADE and "examples" not in page.parts]


def hook_reader(folder: Path) -> Reader:
    """Somebody who writes into the plugin folder."""
    place = folder / "config" / "plugins"
    made = reader(place, Path(sys.executable))
    made.environ["CHATAPP_HOME"] = str(folder)
    made.state = folder / "state"
    return made


def tutorial_reader(folder: Path) -> Reader:
    """Somebody with an environment of their own, into which they install."""
    made = make_environment(folder / "venv")
    for name, module in {"chatapp": "chatapp", "pip": "pip"}.items():
        script = folder / "venv" / "bin" / name
        script.write_text(f'#!/bin/sh\nexec "{made.python}" -m {module} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    place = reader(folder / "work", made.python)
    place.state = folder / "state"
    return place


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path) -> None:
    run = hook_reader(tmp_path).follow(page)
    assert run > 0 or not any(block.language in ("python", "console") for block in blocks(page))


def test_the_tutorial_can_be_followed(tmp_path: Path) -> None:
    assert tutorial_reader(tmp_path).follow(TUTORIAL) > 15


def test_a_page_that_is_wrong_is_named_with_its_line(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n```console\n$ echo one\ntwo\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match=r"page\.md, line 3: `echo one` printed\none\n"):
        hook_reader(tmp_path / "home").follow(page)
    page.write_text("```console\n$ false\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="`false` ended with 1"):
        hook_reader(tmp_path / "home").follow(page)


def test_a_reader_goes_on_where_the_last_command_was(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    lines = ["$ mkdir here", "$ cd here", "$ export NAME=Ada", "```", "", "```python", "# a.py", "print('Hi')", "```"]
    lines += ["", "```console", "$ echo $NAME; pwd; python a.py", "Ada", ".../here", "Hi"]
    page.write_text("\n".join(["```console", *lines, "```"]), encoding="utf-8")
    assert hook_reader(tmp_path / "home").follow(page) == 3


@pytest.mark.parametrize(
    ("expected", "printed", "right"),
    [
        ("one\n", "one\n", True),
        ("one\n", "one  \n\n", True),
        ("one\n", "one\ntwo\n", False),
        ("one\n...\n", "one\ntwo\nthree\n", True),
        ("...\nthree\n", "one\ntwo\nthree\n", True),
        ("1 passed in ...s\n", "1 passed in 0.02s\n", True),
        ("", "something\n", False),
        ("", "", True),
        ("one (two)\n", "one (two)\n", True),
    ],
)
def test_what_fits(expected: str, printed: str, right: bool) -> None:
    assert fits(expected, printed) is right


def test_commands_may_be_long() -> None:
    text = "$ one \\\n  --two\nout\n$ three\n"
    assert commands(text) == [("one \\\n  --two", "out\n"), ("three", "")]


def test_more_of_a_file_goes_where_a_reader_would_put_it() -> None:
    old = '"""Doc."""\n\nfrom a import b\n\n\nONE = 1\n\n\ndef f():\n    return 1\n\n\ndef g():\n    return 2\n'
    more = "import os\nfrom a import c\n\n\n@c\ndef f():\n    return 3\n\n\nTWO = 2\n"
    assert merged(old, more) == (
        '"""Doc."""\n\nimport os\nfrom a import b, c\n\n\nONE = 1\n\n\n@c\ndef f():\n    return 3\n\n\ndef g():\n'
        "    return 2\n\n\nTWO = 2\n"
    )
