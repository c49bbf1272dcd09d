"""`plugin check`: importing a plugin, and what happens meanwhile that should not."""

from __future__ import annotations

import importlib.metadata
import inspect
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chatapp import deprecation
from chatapp.authoring.checking import Finding, Level, Target
from chatapp.plugins import Found, Plugin, load
from chatapp.settings import PluginSettings

IMPORT_MS = 100
"""Milliseconds of processor time that an import may take, beyond what chatapp has loaded itself."""
HEAVY = frozenset(
    """
    IPython PIL aiohttp boto3 cv2 datasets diffusers faiss gensim huggingface_hub httpx jax keras lancedb llama_cpp
    matplotlib mcp networkx nltk numba numpy onnxruntime openai pandas plotly polars pyarrow requests scipy seaborn
    sentence_transformers sklearn spacy sqlalchemy sympy tensorflow textual torch torchvision transformers
    """.split()  # noqa: SIM905 (a list of so many words is hard to read)
)
"""Libraries that take long to import, or that a shell has no use for."""
EVENTS = {
    "socket.connect": "It connects to another computer when it is imported.",
    "socket.getaddrinfo": "It looks up a computer's address when it is imported.",
    "socket.bind": "It opens a network port when it is imported.",
    "urllib.Request": "It asks the network for something when it is imported.",
    "_thread.start_new_thread": "It starts a thread when it is imported.",
    "subprocess.Popen": "It starts a child process when it is imported.",
    "os.system": "It runs a command when it is imported.",
    "os.exec": "It replaces the process when it is imported.",
    "os.fork": "It forks when it is imported.",
    "os.posix_spawn": "It starts a child process when it is imported.",
}
"""Audit events of Python (sys.addaudithook) that importing a plugin must not raise."""


@dataclass(slots=True)
class Imported:
    """A plugin that was imported: its module (None: it cannot be), its files, and what was found."""

    target: Target
    plugin: Plugin
    module: Any = None
    files: list[Path] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def finding(self, level: Level, rule: str, what: str, change: str, where: str = "") -> Finding:
        """A finding in this plugin; without a place, at its beginning."""
        return Finding(self.target.name, level, rule, where or self.home, what, change)

    @property
    def home(self) -> str:
        """Where the plugin begins."""
        file = getattr(self.module, "__file__", None) or self.target.file
        return place(file, 1) if file else self.target.module


def place(file: str | Path, line: int) -> str:
    """``file:line``, the file as it is seen from the current folder where it is below."""
    path = Path(file)
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return f"{path}:{line}"


def at(function: Any) -> str:
    """Where a function or a class stands, "" where that cannot be told."""
    function = inspect.unwrap(function) if callable(function) else function
    try:
        _, line = inspect.getsourcelines(function)
        return place(inspect.getsourcefile(function) or "", line)
    except (OSError, TypeError):
        return ""


def imported(target: Target) -> Imported:
    """Import the plugin, watched."""
    if target.path:
        sys.path.insert(0, target.path)
    found = _found(target)
    before = set(sys.modules)
    events: list[tuple[str, str]] = []
    stop = _watch(events, found.package)
    began = time.process_time()
    plugin = load(found, PluginSettings())
    milliseconds = (time.process_time() - began) * 1e3
    stop()
    made = Imported(target, plugin, plugin.module)
    if plugin.state == "on":
        made.files = _files(plugin.module, target)
        made.findings += _slow(made, milliseconds, set(sys.modules) - before)
    else:
        made.module = None
        made.findings.append(made.finding("error", _rule(plugin), f"It cannot be used: {plugin.error}", plugin.mend))
    for event, where in dict.fromkeys(events):
        change = "Do this in a hook, when it is needed."
        made.findings.append(made.finding("error", "side-effects", EVENTS[event], change, where))
    made.findings += old_names(made)
    return made


def _rule(plugin: Plugin) -> str:
    """Which rule a plugin breaks that was imported and refused, or could not be imported."""
    if plugin.module is None:
        return "import"
    return "api" if "of the API" in plugin.error or deprecation.OWN in plugin.error else "hooks"


def _found(target: Target) -> Found:
    plugin = Plugin(target.name, "bundled" if target.bundled else "package", target.module or target.file)
    if target.file:
        return Found(plugin, path=Path(target.file))
    return Found(plugin, entry=importlib.metadata.EntryPoint(target.name, target.module, "chatapp"))


def _watch(events: list[tuple[str, str]], package: str) -> Callable[[], None]:
    """Note the events of EVENTS and the plugin's line that led to each, until the result is called."""
    watching = True
    start = threading.Thread.start

    def noted(event: str, arguments: object = ()) -> None:
        if watching and event in EVENTS:
            events.append((event, _line_in(package)))

    def started(thread: threading.Thread) -> None:
        # Python tells of a thread that starts from version 3.12 on only.
        noted("_thread.start_new_thread")
        start(thread)

    def stop() -> None:
        nonlocal watching
        watching = False
        threading.Thread.start = start  # type: ignore[method-assign]

    threading.Thread.start = started  # type: ignore[assignment, method-assign]
    sys.addaudithook(noted)
    return stop


def _line_in(package: str) -> str:
    frame = sys._getframe(2)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if f"{module}.".startswith(f"{package}."):
            return place(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back  # type: ignore[assignment]
    return ""


def _files(module: Any, target: Target) -> list[Path]:
    """The plugin's own Python files, without its tests."""
    folders = [Path(each) for each in getattr(module, "__path__", ())]
    if not folders:
        return [Path(module.__file__ or target.file)]
    return sorted(path for folder in folders for path in folder.rglob("*.py") if "tests" not in path.parts)


def _slow(made: Imported, milliseconds: float, new: set[str]) -> Iterator[Finding]:
    from chatapp.authoring.checking_code import line_of_import

    for name in sorted({each.partition(".")[0] for each in new} & HEAVY):
        what = f"Importing it imports {name}, which is large."
        change = "Import that inside the function which needs it."
        yield made.finding("error", "heavy", what, change, line_of_import(name, made.files))
    if milliseconds > IMPORT_MS:
        what = f"Importing it takes {milliseconds:,.0f} ms of processor time; {IMPORT_MS} ms are allowed."
        change = "Import what only some calls need inside the functions: `python -X importtime` shows what is slow."
        yield made.finding("warning", "import-time", what, change)


def old_names(made: Imported) -> list[Finding]:
    """What the plugin used so far that is called something else now."""
    found = []
    package = _found(made.target).package
    for key, each in list(deprecation.noted.items()):
        if f"{each.package}.".startswith(f"{package}."):
            change = "Use the new name."
            where = place(each.file, each.line)
            found.append(made.finding("warning", "deprecated", each.sentence, change, where))
            del deprecation.noted[key]
    return found
