"""The measures the project keeps: small files, small functions, a docstring on every public name."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support_plugins import ROOT, bundled

LONGEST_FILE, MEDIAN_FILE = 300, 150
LONGEST_FUNCTION, MEDIAN_FUNCTION = 40, 15
Function = ast.FunctionDef | ast.AsyncFunctionDef


def files(*folders: str) -> list[Path]:
    """The Python files of ours in these folders."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


CODE = files("chatapp", "plugins")
ALL = [*CODE, *files("tests", ".ci")]


@cache
def tree(path: Path) -> ast.Module:
    """The file, parsed."""
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """(name, lines) of every function, its docstring counted and its decorators not."""
    for node in ast.walk(tree(path)):
        if isinstance(node, Function):
            yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", (node.end_lineno or 0) - node.lineno + 1


def undocumented(path: Path) -> Iterator[str]:
    """The public names of a file that lack a docstring."""
    where = path.relative_to(ROOT)
    if not ast.get_docstring(tree(path)):
        yield f"{where} itself"
    for node in _public(tree(path)):
        if not ast.get_docstring(node) and not _overload(node):
            yield f"{where}:{node.lineno} {node.name}"


def _public(parent: ast.Module | ast.ClassDef) -> Iterator[Function | ast.ClassDef]:
    for node in parent.body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node)


def _overload(node: Function | ast.ClassDef) -> bool:
    return any(isinstance(each, ast.Name) and each.id == "overload" for each in node.decorator_list)


def test_there_is_something_to_look_at() -> None:
    assert len(CODE) > 80
    assert len(ALL) > len(CODE) + 20


def test_no_file_is_long() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in ALL}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE} == {}
    assert statistics.median(lengths.values()) <= MEDIAN_FILE


def test_no_function_is_long() -> None:
    lengths = dict(pair for path in ALL for pair in functions(path))
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}
    assert statistics.median(lengths.values()) <= MEDIAN_FUNCTION


def test_every_public_name_has_a_docstring() -> None:
    assert [name for path in CODE for name in undocumented(path)] == []


def test_the_check_for_docstrings_sees_what_lacks_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.test_hygiene.ROOT", tmp_path)
    path = tmp_path / "sample.py"
    path.write_text('def one(): ...\ndef _two(): ...\nclass Three:\n    """It."""\n    def four(self): ...\n')
    assert list(undocumented(path)) == ["sample.py itself", "sample.py:1 one", "sample.py:5 four"]


def test_nothing_prints() -> None:
    called = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in CODE
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("print", "breakpoint")
    ]
    assert called == []


def test_no_file_knows_a_machine() -> None:
    homes = re.compile(r"/(home|Users|root)/\w|C:\\\\Users")
    named = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in [*ALL, *ROOT.glob("*.md"), *ROOT.glob("*.toml"), ROOT / "Makefile"]
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if homes.search(line) and "homes = " not in line
    ]
    assert named == []


def test_every_module_has_the_future_annotations() -> None:
    without = [
        str(path.relative_to(ROOT))
        for path in files("chatapp", "plugins", "tests")
        if any(isinstance(node, Function | ast.ClassDef) for node in tree(path).body)
        and "from __future__ import annotations" not in path.read_text(encoding="utf-8")
    ]
    assert without == []


def test_the_core_names_no_plugin() -> None:
    names = re.compile("|".join(rf"\b{package}\b" for package in bundled().values()))
    found = [str(path.relative_to(ROOT)) for path in files("chatapp") if names.search(path.read_text(encoding="utf-8"))]
    assert found == []


@pytest.mark.parametrize("name", bundled())
def test_a_bundled_plugin_is_whole(name: str) -> None:
    folder = ROOT / "plugins" / bundled()[name]
    assert len((folder / "README.md").read_text(encoding="utf-8")) > 200
    assert (folder / "py.typed").is_file()
    assert bundled()[name] == f"chatapp_{name}"


@pytest.mark.parametrize("name", bundled())
def test_its_settings_explain_themselves(name: str) -> None:
    from importlib import import_module

    module = import_module(bundled()[name])
    model = module.settings() if hasattr(module, "settings") else None
    assert [key for key, field in (model.model_fields if model else {}).items() if not field.description] == []
