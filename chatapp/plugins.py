"""Finding and loading plugins: the entry points of the group `chatapp` and single files in the user's plugin folder.

Names are listed without importing anything; a plugin that cannot be used is kept in the list with the reason.
"""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeAlias

from chatapp import hookspecs
from chatapp.errors import PluginError
from chatapp.settings import PluginSettings

FAILURES = (Exception, SystemExit)
"""What a plugin may raise without stopping the others; to interrupt and to cancel is the user's affair."""
PLAIN = frozenset({"settings", "actions", "engines", "render_part"})
"""Hooks called where nothing can be awaited."""

State: TypeAlias = Literal["on", "off", "failed"]
Origin: TypeAlias = Literal["bundled", "package", "file"]


@dataclass(slots=True)
class Plugin:
    """A plugin that was found. `error` says why it failed, `mend` the command that would help, where one would."""

    name: str
    origin: Origin
    where: str
    version: str = ""
    state: State = "off"
    error: str = ""
    mend: str = ""
    module: Any = None
    hooks: tuple[str, ...] = ()
    reported: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Found:
    """A plugin's name and the way to import it."""

    plugin: Plugin
    entry: metadata.EntryPoint | None = None
    path: Path | None = None
    at_hand: Any = None

    def load(self) -> Any:
        """Import it; whatever its code raises comes through."""
        if self.at_hand is not None:
            return self.at_hand
        if self.entry is not None:
            return self.entry.load()
        return _load_file(self.plugin.name, self.path or Path())


def discover(folder: Path, choice: PluginSettings) -> list[Found]:
    """Every plugin there is, in calling order: as in settings, then bundled, then packages, then files."""
    found = [*_packages(), *_files(folder)]
    rank = {"bundled": 0, "package": 1, "file": 2}

    def place(each: Found) -> tuple[int, int, str]:
        name = each.plugin.name
        first = choice.order.index(name) if name in choice.order else len(choice.order)
        return first, rank[each.plugin.origin], "" if each.plugin.origin == "bundled" else name

    return sorted(found, key=place)


def _packages() -> Iterable[Found]:
    for entry in metadata.entry_points(group=hookspecs.NAMESPACE):
        dist = entry.dist
        bundled = dist is not None and dist.name == hookspecs.NAMESPACE
        version = dist.version if dist is not None else ""
        yield Found(Plugin(entry.name, "bundled" if bundled else "package", entry.value, version), entry=entry)


def _files(folder: Path) -> Iterable[Found]:
    for path in sorted(folder.glob("*.py")) if folder.is_dir() else ():
        if not path.name.startswith("_"):
            yield Found(Plugin(path.stem, "file", str(path)), path=path)


def _load_file(name: str, path: Path) -> ModuleType:
    qualified = f"chatapp_user_plugins.{name}"
    spec = importlib.util.spec_from_file_location(qualified, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[qualified] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[qualified]
        raise
    return module


def load(found: Found, register: Callable[[str, Any], None], choice: PluginSettings) -> Plugin:
    """Import, check and `register` one plugin; whatever goes wrong is kept in it, and nothing is raised."""
    plugin = found.plugin
    if plugin.name in choice.disabled:
        return plugin
    try:
        plugin.module = found.load()
        plugin.hooks = check(plugin.module)
        register(plugin.name, plugin.module)
        plugin.state = "on"
    except PluginError as error:
        _failed(plugin, str(error))
    except FAILURES as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing:
            _failed(plugin, f"it needs the Python package {missing!r}", _mend(plugin, missing))
        else:
            _failed(plugin, explain(error))
    return plugin


def _failed(plugin: Plugin, error: str, mend: str = "") -> None:
    plugin.state, plugin.error, plugin.mend = "failed", error, mend


def _mend(plugin: Plugin, missing: str) -> str:
    if plugin.origin == "bundled" and not missing.startswith("chatapp"):
        return f"pip install 'chatapp[{plugin.name}]'"
    return f"pip install {missing.partition('.')[0]}"


def explain(error: BaseException) -> str:
    """What was raised and where, in one line: the file and line nearest to the failure."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" ({Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno})" if trace is not None else ""
    if isinstance(error, SyntaxError):
        place = f" ({Path(error.filename or '').name}, line {error.lineno})"
    text = (error.msg if isinstance(error, SyntaxError) else str(error)).strip() or "no reason given"
    return f"{type(error).__name__}: {text.splitlines()[0]}{place}"


def check(module: Any) -> tuple[str, ...]:
    """The hooks it implements; PluginError for a hook that does not exist or an argument that is not handed out."""
    known = {name: _arguments(getattr(hookspecs, name)) for name in hook_names()}
    marked = _marked(module)
    for name, function in marked.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise PluginError(f"there is no hook {name!r}" + (f"; did you mean {near[0]!r}?" if near else "."))
        _check_hook(name, function, known[name])
    _check_modules(module, known, marked)
    if not marked:
        raise PluginError("it implements no hook: mark its functions with @chatapp.hookimpl.")
    return tuple(name for name in known if name in marked)


def _marked(module: Any) -> dict[str, Any]:
    """The functions marked as hooks, by the hook they are for."""
    marked = {}
    for name in dir(module):
        function = getattr(module, name)
        options = getattr(function, f"{hookspecs.NAMESPACE}_impl", None)
        if inspect.isroutine(function) and isinstance(options, dict):
            marked[options.get("specname") or name] = function
    return marked


def _check_hook(name: str, function: Any, handed: list[str]) -> None:
    options = function.chatapp_impl
    if options.get("wrapper") or options.get("hookwrapper"):
        raise PluginError(f"{name!r} is a hook wrapper; chatapp calls plain hooks only.")
    if name in PLAIN and (inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)):
        raise PluginError(f"{name}() is called where nothing can be awaited: write def, not async def.")
    strange = [arg for arg in _arguments(function) if arg not in handed]
    if strange:
        raise PluginError(f"{name}() takes {strange[0]!r}; the hook hands out {', '.join(handed) or 'nothing'}.")


def _check_modules(module: Any, known: Iterable[str], marked: Iterable[str]) -> None:
    """Refuse a package with a module named as a hook: to import it replaces the function, and the hook is gone."""
    own = getattr(module, "__name__", "")
    for name in known:
        found = getattr(module, name, None)
        hidden = isinstance(found, ModuleType) and found.__name__ == f"{own}.{name}"
        # Not imported yet, it would hide the hook from the next host of this process.
        if hidden or (name in marked and _has_module(module, name)):
            raise PluginError(f"its module {name}.py has the name of a hook and hides it: rename the file.")


def _has_module(package: Any, name: str) -> bool:
    folders = [Path(folder) for folder in getattr(package, "__path__", ())]
    return any((folder / f"{name}.py").exists() or (folder / name / "__init__.py").exists() for folder in folders)


def hook_names() -> tuple[str, ...]:
    """The hooks, in the order a turn meets them."""
    return tuple(
        name
        for name, value in vars(hookspecs).items()
        if getattr(value, f"{hookspecs.NAMESPACE}_spec", None) is not None
    )


def _arguments(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]
