"""Runs the code blocks of a page of the guide in order, as a reader would, in a folder of its own.

- A `python`, `toml` or `markdown` block whose first line names a file in a comment (``# todo.py``) writes it. With
  ", more" after the name it goes into the file there is: imports are united at the top, functions and classes of the
  same name replaced, the rest is added at the end.
- A `console` block has commands behind ``$ `` and what they print. ``...`` in a line stands for anything in it, a
  line of ``...`` for any lines. A command that fails must show so: the word "error" or "failed" in what it prints.
- A `python` block with a test and no file is a test file. Any other `python` block must at least be Python.
- Blocks of other languages (`sh`, `text`) are for reading only.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 180
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NAMED = re.compile(r"(?:#|<!--) ([\w./-]+\.\w+)(, more)?(?: -->)?\n\n?")
FAILED = re.compile(r"error|failed", re.IGNORECASE)
FREE = "..."


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, its text and the line it begins at."""

    language: str
    text: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        yield Block(found[1], found[2], text.count("\n", 0, found.start()) + 1)


def commands(text: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with what it should print."""
    parts = re.split(r"^\$ ", text, flags=re.MULTILINE)
    assert not parts[0], f"a console block begins with a command: {parts[0]!r}"
    split = [re.match(r"((?:[^\n]*\\\n)*[^\n]*\n)(.*)", part, re.DOTALL) for part in parts[1:]]
    return [(found[1].strip(), found[2]) for found in split if found]


def fits(expected: str, printed: str) -> bool:
    """Whether what was printed is what a page shows; spaces at the ends of lines do not count."""
    pattern = ""
    for line in expected.strip("\n").splitlines():
        if line.strip() == FREE:
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*?".join(re.escape(part) for part in line.rstrip().split(FREE)) + r"[ ]*\n"
    return re.fullmatch(pattern, printed.strip("\n") + "\n" if printed.strip() else "") is not None


def merged(old: str, more: str) -> str:
    """The file `old` with `more` in it, as a reader would put it there."""
    imports: dict[str, set[str]] = {}
    bodies: dict[str, str] = {}
    head = ast.get_docstring(ast.parse(old), clean=False)
    for source in (old, more):
        lines = source.splitlines()
        above = 0
        for node in ast.parse(source).body:
            text = "\n".join(lines[above : node.end_lineno]).strip("\n")
            above = node.end_lineno or 0
            if isinstance(node, ast.ImportFrom):
                imports.setdefault(node.module or "", set()).update(ast.unparse(each) for each in node.names)
            elif isinstance(node, ast.Import):
                imports.setdefault("", set()).update(ast.unparse(each) for each in node.names)
            elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
                bodies[getattr(node, "name", text)] = text
    ahead = [f'"""{head}"""'] if head else []
    if "__future__" in imports:
        ahead.append(f"from __future__ import {', '.join(imports.pop('__future__'))}")
    whole = [f"import {name}" for name in sorted(imports.pop("", ()))]
    from_there = [f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(imports.items())]
    return (
        "\n\n".join(filter(None, [*ahead, "\n".join([*whole, *from_there])]))
        + "".join(f"\n\n\n{body}" for body in bodies.values())
        + "\n"
    )


@dataclass(slots=True)
class Reader:
    """Somebody who does what a page says: in `folder`, with `environ`; each command goes on where the last one was."""

    folder: Path
    environ: dict[str, str]
    state: Path

    def follow(self, page: Path) -> int:
        """Do all that the page says; how many blocks there were to run. AssertionError names the line that is wrong."""
        done = 0
        for block in blocks(page):
            where = f"{page.name}, line {block.line}"
            if block.language == "console":
                for command, expected in commands(block.text):
                    self._run(command, expected, where)
            elif not self._write(block, where):
                continue
            done += 1
        return done

    def _write(self, block: Block, where: str) -> bool:
        named = NAMED.match(block.text) if block.language in ("python", "toml", "markdown") else None
        if named is not None:
            path = self.place / named[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            text = block.text[named.end() :]
            path.write_text(merged(path.read_text(encoding="utf-8"), text) if named[2] else text, encoding="utf-8")
        elif block.language != "python":
            return False
        elif re.search(r"^(async )?def test_", block.text, re.MULTILINE):
            name = f"test_line_{block.line}.py"
            (self.place / name).write_text(block.text, encoding="utf-8")
            self._run(f"python -m pytest -q -o asyncio_mode=auto {name}", f"{FREE}\n... passed ...", where)
        else:
            compile(block.text, where, "exec")
        return True

    @property
    def place(self) -> Path:
        """The folder the reader is in now."""
        return Path(self._shell("pwd")[1].strip())

    def _run(self, command: str, expected: str, where: str) -> None:
        code, printed = self._shell(command)
        assert fits(expected, printed), f"{where}: `{command}` printed\n{printed}\nand not\n{expected}"
        assert code == 0 or FAILED.search(expected), f"{where}: `{command}` ended with {code}:\n{printed}"

    def _shell(self, command: str) -> tuple[int, str]:
        state = f"'{self.state}'"
        script = (
            f"[ -e {state} ] && . {state}\n{command}\ncode=$?\n"
            f'{{ export -p; printf "cd %q\\n" "$PWD"; }} > {state}\nexit $code'
        )
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
        )
        return done.returncode, done.stdout.decode("utf-8", "replace")


def reader(folder: Path, python: Path, home: str = "") -> Reader:
    """A reader who begins in `folder` with the commands beside `python` and nothing of this user's.

    `home` is a folder in it for all of the application's; "" leaves the places it has by itself.
    """
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("CHATAPP", "PIP_", "XDG_", "PYTEST"))
    }
    folder.mkdir(parents=True, exist_ok=True)
    environ = {
        **kept,
        "HOME": str(folder),
        "PATH": f"{python.parent}{os.pathsep}{kept.get('PATH', '')}",
        "TERM": "xterm",
        "COLUMNS": "100",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_CONFIG_FILE": os.devnull,
        **({"CHATAPP_HOME": str(folder / home)} if home else {}),
    }
    return Reader(folder, environ, folder / ".state")
