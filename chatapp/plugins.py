"""Finding and loading plugins: the entry points of the group `chatapp` and single files in the user's plugin folder.

Names are listed without importing anything; a plugin that cannot be used is kept in the list with the reason.
"""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Any, Literal, TypeAlias, get_args

from chatapp import deprecation, hookspecs
from chatapp.errors import PluginError
from chatapp.settings import PluginSettings

FAILURES = (Exception, SystemExit)
"""What a plugin may raise without stopping the others; to interrupt and to cancel is the user's affair."""
USER_PLUGINS = "chatapp_user_plugins"
"""The package that the single files of the user stand in, as Python sees them."""
NO_PLUGINS = ("_", "test_", "conftest.")
"""How files in the plugin folder begin that are no plugins: what others share, and a plugin's tests beside it."""
PLAIN = frozenset({"settings", "actions", "engines", "render_part"})
"""Hooks called where nothing can be awaited."""

State: TypeAlias = Literal["on", "off", "failed"]
Origin: TypeAlias = Literal["bundled", "package", "file"]


@dataclass(slots=True)
class Plugin:
    """A plugin that was found. `error` says why it failed, `mend` the command that would help, where one would.

    `seconds` is what it took to import it and have it declare what it has.
    """

    name: str
    origin: Origin
    where: str
    version: str = ""
    state: State = "off"
    error: str = ""
    mend: str = ""
    module: Any = None
    hooks: tuple[str, ...] = ()
    seconds: float = 0.0
    reported: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Found:
    """A plugin's name and the way to import it."""

    plugin: Plugin
    entry: metadata.EntryPoint | None = None
    path: Path | None = None
    at_hand: Any = None

    @property
    def name(self) -> str:
        """The plugin's name."""
        return self.plugin.name

    @property
    def package(self) -> str:
        """The package that is imported for it, or its only module; empty for one that is at hand."""
        if self.path is not None:
            return f"{USER_PLUGINS}.{self.plugin.name}"
        return self.entry.module.partition(".")[0] if self.entry is not None else ""

    def again(self) -> Found:
        """The same to be loaded once more."""
        plugin = self.plugin
        return replace(self, plugin=Plugin(plugin.name, plugin.origin, plugin.where, plugin.version))

    def load(self) -> Any:
        """Import it; whatever its code raises comes through."""
        if self.at_hand is not None:
            return self.at_hand
        if self.entry is not None:
            return self.entry.load()
        return _load_file(self.plugin.name, self.path or Path())


def discover(folder: Path, choice: PluginSettings) -> list[Found]:
    """Every plugin there is, in calling order: as in settings, then bundled, then packages, then files."""
    return sorted([*_packages(), *files_in(folder)], key=lambda found: place(found, choice))


def place(found: Found, choice: PluginSettings) -> tuple[bool, int, int, str]:
    """What a plugin is sorted by; one that is at hand comes before all others, bundled ones stay as they are found."""
    name, origin = found.plugin.name, found.plugin.origin
    first = choice.order.index(name) if name in choice.order else len(choice.order)
    return found.at_hand is None, first, get_args(Origin).index(origin), "" if origin == "bundled" else name


def _packages() -> Iterable[Found]:
    for entry in metadata.entry_points(group=hookspecs.NAMESPACE):
        dist = entry.dist
        bundled = dist is not None and dist.name == hookspecs.NAMESPACE
        version = dist.version if dist is not None else ""
        yield Found(Plugin(entry.name, "bundled" if bundled else "package", entry.value, version), entry=entry)


def files_in(folder: Path) -> Iterable[Found]:
    """The plugins that are single files in the user's plugin folder."""
    for path in sorted(folder.glob("*.py")) if folder.is_dir() else ():
        if not path.name.startswith(NO_PLUGINS):
            yield Found(Plugin(path.stem, "file", str(path)), path=path)


def _load_file(name: str, path: Path) -> ModuleType:
    qualified = f"{USER_PLUGINS}.{name}"
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


def load(found: Found, choice: PluginSettings) -> Plugin:
    """Import and check one plugin; whatever goes wrong is kept in it, and nothing is raised."""
    plugin = found.plugin
    if plugin.name in choice.disabled:
        return plugin
    began = perf_counter()
    try:
        plugin.module = found.load()
        plugin.hooks = check(plugin.module)
        plugin.state = "on"
    except FAILURES as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        plugin.state, plugin.error = "failed", reason(error, found.package)
        if missing:
            place = "" if plugin.origin == "bundled" else _place(error, found.package)
            plugin.error, plugin.mend = f"it needs the Python package {missing!r}{place}", _mend(plugin, missing)
    plugin.seconds = perf_counter() - began
    return plugin


def _mend(plugin: Plugin, missing: str) -> str:
    if plugin.origin == "bundled" and not missing.startswith("chatapp"):
        return f"pip install 'chatapp[{plugin.name}]'"
    return f"pip install {missing.partition('.')[0]}"


def reason(error: BaseException, package: str) -> str:
    """Why a plugin, whose modules are in `package`, cannot be used: in one line, with the line of its own code."""
    if not isinstance(error, PluginError):
        return explain(error, package)
    return f"{error}{_place(error, package)}" if _frames(error, package) else str(error)


def explain(error: BaseException, package: str = "") -> str:
    """What was raised and where, in one line: the file and line nearest to the failure, those of `package` first."""
    text = (error.msg if isinstance(error, SyntaxError) else str(error)).strip() or "no reason given"
    return f"{type(error).__name__}: {text.splitlines()[0]}{_place(error, package)}"


def _place(error: BaseException, package: str) -> str:
    if isinstance(error, SyntaxError):
        return f" ({Path(error.filename or '').name}, line {error.lineno})"
    frames = _frames(error, package) or _frames(error, "")
    return f" ({Path(frames[-1][0]).name}, line {frames[-1][1]})" if frames else ""


def _frames(error: BaseException, package: str) -> list[tuple[str, int]]:
    """(file, line) of the frames the error came through, outermost first; of one package, or of all for ""."""
    found = []
    trace = error.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if not package or module == package or module.startswith(f"{package}."):
            found.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
        trace = trace.tb_next
    return found


def check(module: Any) -> tuple[str, ...]:
    """The hooks it implements; PluginError for a hook that does not exist or an argument that is not handed out."""
    deprecation.check_version(module)
    known = {name: _arguments(getattr(hookspecs, name)) for name in hook_names()}
    marked = _marked(module)
    for name, function in marked.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise PluginError(f"there is no hook {name!r}{hint}{_line(function)}")
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
            marked[deprecation.hook_now(options.get("specname") or name, function)] = function
    return marked


def _check_hook(name: str, function: Any, handed: list[str]) -> None:
    options = function.chatapp_impl
    if options.get("wrapper") or options.get("hookwrapper"):
        raise PluginError(f"{name!r} is a hook wrapper; chatapp calls plain hooks only.{_line(function)}")
    if name in PLAIN and (inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)):
        sentence = f"{name}() is called where nothing can be awaited: write def, not async def."
        raise PluginError(sentence + _line(function))
    strange = [arg for arg in _arguments(function) if deprecation.argument_now(name, arg, function) not in handed]
    if strange:
        there = ", ".join(handed) or "nothing"
        raise PluginError(f"{name}() takes {strange[0]!r}; the hook hands out {there}.{_line(function)}")


def _line(function: Any) -> str:
    code = getattr(function, "__code__", None)
    return f" ({Path(code.co_filename).name}, line {code.co_firstlineno})" if code is not None else ""


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
