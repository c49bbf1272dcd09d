"""`plugin check`: whether plugins keep the contract. Each is looked at in a process of its own, which is thrown away.

This is the side of the application: what is checked, the process that does it, and what it found. The checks
themselves are in the modules named ``checking_…``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import tomllib
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from chatapp.actions import similar
from chatapp.errors import PluginError, UsageError

if TYPE_CHECKING:
    from chatapp.host import Host

Level: TypeAlias = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to change in a plugin: by which rule, where (``file:line``), what it is, and what to change."""

    plugin: str
    level: Level
    rule: str
    where: str
    what: str
    change: str


@dataclass(frozen=True, slots=True)
class Target:
    """A plugin to check: the module or the file it is in, and where a project has its pyproject.toml.

    `path` is the folder that the module is imported from, empty for one that is installed.
    """

    name: str
    module: str = ""
    file: str = ""
    path: str = ""
    project: str = ""
    bundled: bool = False


def targets_of(host: Host, what: str) -> list[Target]:
    """The plugins meant by a name or a path, all that are on for "". UsageError where there is none."""
    if not what:
        return [
            _installed(host, name) for name, each in host.plugins.items() if name in _own(host) and each.error == ""
        ]
    if what in host.plugins:
        return [_installed(host, what)]
    path = Path(what).expanduser()
    if path.exists():
        return _at(path.resolve())
    near = similar(what, host.plugins)
    raise UsageError(f"There is no plugin and no file {what!r}." + (f" Did you mean {near}?" if near else ""))


def _own(host: Host) -> list[str]:
    """The plugins that came in by a module or a file of their own, and are switched on."""
    return [name for name, found in host.found.items() if found.at_hand is None and host.plugins[name].state != "off"]


def _installed(host: Host, name: str) -> Target:
    found = host.found[name]
    if found.entry is None and found.path is None:
        raise UsageError(f"{name!r} is part of chatapp itself: there is nothing to check.")
    if found.path is not None:
        return Target(name, file=str(found.path))
    entry: Any = found.entry
    return Target(name, module=entry.value, bundled=found.plugin.origin == "bundled")


def _at(path: Path) -> list[Target]:
    """The plugins in a file, in a package, or in a project with a pyproject.toml."""
    if path.is_file() and path.suffix == ".py":
        return [Target(path.stem, file=str(path))]
    if (path / "pyproject.toml").is_file():
        return _project(path)
    if (path / "__init__.py").is_file():
        return [Target(path.name.removeprefix("chatapp_"), module=path.name, path=str(path.parent), project=str(path))]
    raise UsageError(f"{path} is no plugin: name a .py file, a package, or a folder with a pyproject.toml.")


def _project(folder: Path) -> list[Target]:
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
        entries = dict(project.get("entry-points", {}).get("chatapp", {}))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{folder / 'pyproject.toml'} cannot be read, mend it: {error}.") from None
    if not entries:
        example = 'write [project.entry-points.chatapp] and below it NAME = "chatapp_NAME".'
        raise UsageError(f"{folder / 'pyproject.toml'} names no plugin: {example}")
    found = []
    for name, value in entries.items():
        top = str(value).partition(":")[0].partition(".")[0]
        places = [place for place in (folder / "src", folder) if _importable(place, top)]
        found.append(Target(name, str(value), path=str(places[0]) if places else str(folder), project=str(folder)))
    return found


def _importable(folder: Path, module: str) -> bool:
    return (folder / f"{module}.py").is_file() or (folder / module).is_dir()


async def check(targets: Sequence[Target]) -> AsyncGenerator[tuple[Target, list[Finding]], None]:
    """Check them one after another: each with what was found. Closing the iterator ends the process.

    Raises PluginError where the process cannot be started or ends before it is done.
    """
    by_name = {target.name: target for target in targets}
    with tempfile.TemporaryDirectory(prefix="chatapp-check-") as home:
        process = await _started(home)
        assert process.stdin is not None and process.stdout is not None  # noqa: PT018 (both are pipes)
        try:
            process.stdin.write(json.dumps([asdict(each) for each in targets]).encode())
            process.stdin.close()
            left = set(by_name)
            while line := await process.stdout.readline():
                told = json.loads(line)
                left.discard(told["plugin"])
                yield by_name[told["plugin"]], [Finding(**each) for each in told["findings"]]
            if left:
                raise PluginError(f"The process that checks {', '.join(sorted(left))} ended before it was done.")
        finally:
            await _ended(process)


async def _started(home: str) -> asyncio.subprocess.Process:
    # Nothing of the user's is read or written: the plugins see an empty home of the application.
    environ = {**os.environ, "CHATAPP_HOME": home, "CHATAPP_TRACE": "", "PYTHONSAFEPATH": "1"}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "chatapp.authoring.checking_child",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environ,
        limit=2**24,
        start_new_session=True,
    )


async def _ended(process: asyncio.subprocess.Process) -> None:
    # The whole group: a plugin may have started processes of its own.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def told(target: Target, findings: Iterable[Finding]) -> str:
    """What was found in a plugin, for people: a line that sums up, then two for each finding."""
    found = list(findings)
    errors = sum(each.level == "error" for each in found)
    counts = [_count(errors, "error"), _count(len(found) - errors, "warning")]
    lines = [f"{target.name}: {', '.join(filter(None, counts)) or 'keeps the contract'}"]
    for each in found:
        lines += [f"  {each.level}  {each.where}  [{each.rule}]", f"      {each.what} {each.change}"]
    return "\n".join(lines)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}" if number else ""
