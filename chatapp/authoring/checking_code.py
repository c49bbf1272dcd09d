"""`plugin check`: what can be told from a plugin's source without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from chatapp.authoring.checking import Finding, Target
from chatapp.authoring.checking_import import place

Function = ast.FunctionDef | ast.AsyncFunctionDef
BLOCKING = {
    "time.sleep": "await asyncio.sleep()",
    "subprocess.run": "await asyncio.create_subprocess_exec()",
    "subprocess.call": "await asyncio.create_subprocess_exec()",
    "subprocess.check_call": "await asyncio.create_subprocess_exec()",
    "subprocess.check_output": "await asyncio.create_subprocess_exec()",
    "os.system": "await asyncio.create_subprocess_exec()",
    "urllib.request.urlopen": "await asyncio.to_thread(urlopen, …)",
    "socket.create_connection": "await asyncio.open_connection()",
    **{
        f"requests.{verb}": f"await asyncio.to_thread(requests.{verb}, …)" for verb in ("get", "post", "put", "request")
    },
    **{f"httpx.{verb}": "httpx.AsyncClient" for verb in ("get", "post", "put", "request")},
    "input": "await session.ui.prompt()",
}
"""Calls that hold the event loop, by what to do in place of them."""
CANCELLED = frozenset({"BaseException", "CancelledError", "asyncio.CancelledError", "GeneratorExit"})
MOMENTS = frozenset(
    """
    datetime.now datetime.datetime.now datetime.utcnow datetime.datetime.utcnow datetime.today date.today
    datetime.date.today time.time time.ctime time.strftime random.random random.choice random.randint uuid.uuid4
    secrets.token_hex
    """.split()  # noqa: SIM905 (a list of so many words is hard to read)
)
"""Calls whose result is another one each time."""


def code(target: Target, files: Iterable[Path]) -> Iterator[Finding]:
    """What is wrong in the plugin's files."""
    for path in files:
        tree = ast.parse(path.read_bytes())
        for level, rule, line, what, change in sorted(_found(tree), key=lambda each: each[2]):
            yield Finding(target.name, "error" if level else "warning", rule, place(path, line), what, change)


Rough = tuple[bool, str, int, str, str]
"""Whether it is an error, the rule, the line, what it is, what to change."""


def _found(tree: ast.Module) -> Iterator[Rough]:
    names = _imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef):
            yield from _blocking(node, names)
            yield from _keeps_going(node)
        if isinstance(node, Function) and node.name == "context":
            yield from _moments(node, names)
        if isinstance(node, ast.Call):
            yield from _no_text(node, names)


def _imported(tree: ast.Module) -> dict[str, str]:
    """What each imported name stands for: ``sleep`` for ``time.sleep``."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(
                {alias.asname or alias.name.partition(".")[0]: alias.asname and alias.name for alias in node.names}
            )
        elif isinstance(node, ast.ImportFrom):
            names.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    return {name: full or name for name, full in names.items()}


def _called(node: ast.AST, names: dict[str, str]) -> str:
    """The full name of what is called, such as ``time.sleep``."""
    if not isinstance(node, ast.Call):
        return ""
    first, dot, rest = ast.unparse(node.func).partition(".")
    return f"{names.get(first, first)}{dot}{rest}"


def _own(function: ast.AST) -> Iterator[ast.AST]:
    """What is in a function, without the functions in it."""
    for node in ast.iter_child_nodes(function):
        if not isinstance(node, Function | ast.Lambda):
            yield node
            yield from _own(node)


def _blocking(function: ast.AsyncFunctionDef, names: dict[str, str]) -> Iterator[Rough]:
    for node in _own(function):
        name = _called(node, names)
        if name in BLOCKING and isinstance(node, ast.Call):
            what = f"{name}() holds the chat until it returns."
            yield True, "blocking", node.lineno, what, f"Write {BLOCKING[name]}."


def _keeps_going(function: ast.AsyncFunctionDef) -> Iterator[Rough]:
    """A handler that may take the cancellation for itself: Escape would then stop nothing."""
    for node in _own(function):
        if not isinstance(node, ast.ExceptHandler) or any(isinstance(each, ast.Raise) for each in ast.walk(node)):
            continue
        kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        names = {"everything" if kind is None else ast.unparse(kind) for kind in kinds}
        if names & {*CANCELLED, "everything"} and not _others(function):
            what = f"{function.name}() catches {', '.join(sorted(names))} and goes on: it cannot be stopped there."
            yield True, "cancel", node.lineno, what, "Catch Exception, or end the handler with raise."


def _others(function: ast.AsyncFunctionDef) -> bool:
    """Whether it cancels a task of its own, whose end it then awaits."""
    return any(isinstance(node, ast.Attribute) and node.attr == "cancel" for node in ast.walk(function))


def _moments(function: Function, names: dict[str, str]) -> Iterator[Rough]:
    if "'turn'" in ast.unparse(function) or "'user'" in ast.unparse(function):
        return
    for node in _own(function):
        name = _called(node, names)
        if name in MOMENTS and isinstance(node, ast.Call):
            what = (
                f"{name}() in a block that does not change by turn: the model reads the whole prompt again each time."
            )
            yield False, "prompt", node.lineno, what, 'Give that block stability="turn".'


def _no_text(node: ast.Call, names: dict[str, str]) -> Iterator[Rough]:
    if _called(node, names) != "chatapp.Data" or len(node.args) > 2:
        return
    if any(keyword.arg in ("text", None) for keyword in node.keywords):
        return
    what = "This Data has no text: --plain, the shell and the archive's exports show its name only."
    yield True, "plain", node.lineno, what, "Give it its plain form as the third argument."


def line_of_import(name: str, files: Iterable[Path]) -> str:
    """Where one of the files imports a library at its top, "" where none does: then something it imports does."""
    for path in files:
        for node in _top(ast.parse(path.read_bytes())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            if any(module.partition(".")[0] == name for module in modules):
                return place(path, node.lineno)
    return ""


def _top(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports that run with the module; not those for type checkers."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif not isinstance(node, Function | ast.Lambda) and "TYPE_CHECKING" not in _test(node):
            yield from _top(node)


def _test(node: ast.AST) -> str:
    return ast.unparse(node.test) if isinstance(node, ast.If) else ""
