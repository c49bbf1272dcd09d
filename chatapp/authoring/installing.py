"""Installing plugins: what to tell pip, what that would change and break, and taking in what came."""

from __future__ import annotations

import importlib
import json
import site
import tempfile
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from chatapp.authoring.pip import pip
from chatapp.authoring.swapping import renew, taken
from chatapp.errors import UsageError
from chatapp.events import Progress
from chatapp.hookspecs import NAMESPACE
from chatapp.plugins import Found, discover

if TYPE_CHECKING:
    from chatapp.host import Host

ARCHIVES = (".whl", ".tar.gz", ".zip")


@dataclass(frozen=True, slots=True)
class Change:
    """A distribution that pip would install: the version that is there ("": none) and the one that would be."""

    name: str
    now: str
    then: str


def words_for(host: Host, what: Iterable[str], *, editable: bool = False, upgrade: bool = False) -> list[str]:
    """What to tell `pip install`; UsageError for what cannot be installed, OfflineError for what is not here."""
    # Without the network, pip can neither look for anything nor fetch what it takes to build.
    words = ["--no-index", "--no-build-isolation"] if host.offline else []
    words += ["--upgrade"] * upgrade
    for each in what:
        if _is_path(each):
            words += [*["--editable"] * editable, str(_path(host, each))]
        elif editable:
            raise UsageError(f"Only a folder can be installed with --editable; for one here, write ./{each}.")
        else:
            words.append(_name(host, each))
    return words


def _is_path(text: str) -> bool:
    return text.startswith((".", "~")) or "/" in text or text.endswith(ARCHIVES)


def _path(host: Host, text: str) -> Path:
    path = Path(text).expanduser().absolute()
    if path.suffix == ".py":
        raise UsageError(f"{text} is a single file: copy it to {host.paths.config / 'plugins'}, which is all it takes.")
    if path.is_dir() and not any((path / name).is_file() for name in ("pyproject.toml", "setup.py")):
        raise UsageError(f"{text} is no package: it has no pyproject.toml.")
    if not path.exists():
        raise UsageError(f"There is no {text}; give the name of a package, or the path of a folder or a wheel.")
    return path


def _name(host: Host, text: str) -> str:
    try:
        name = canonicalize_name(Requirement(text).name)
    except InvalidRequirement:
        raise UsageError(f"{text!r} is neither the name of a package nor a path.") from None
    if name == NAMESPACE:
        raise UsageError("chatapp is what you are using, not a plugin for it.")
    host.need_network(f"install {text}")
    return text


async def plan(words: Iterable[str]) -> AsyncGenerator[Progress | list[Change], None]:
    """Have pip find out what it would install, without doing it; the last that comes is the list of that."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        async with aclosing(pip("install", "--dry-run", f"--report={report}", *words)) as steps:
            async for step in steps:
                yield step
        yield changes_in(json.loads(report.read_text(encoding="utf-8")))


def changes_in(report: Mapping[str, Any]) -> list[Change]:
    """What pip's report (its "installation report", version 1) says it would install."""
    named = [(canonicalize_name(each["metadata"]["name"]), each["metadata"]["version"]) for each in report["install"]]
    there = _installed()
    return [Change(name, there[name].version if name in there else "", version) for name, version in sorted(named)]


def _installed() -> dict[str, metadata.Distribution]:
    """The distributions that are here, by name; the first on the path counts."""
    found: dict[str, metadata.Distribution] = {}
    for each in metadata.distributions():
        found.setdefault(canonicalize_name(each.name), each)
    return found


def broken_by(changes: Iterable[Change]) -> list[str]:
    """A clause for each requirement of something installed that is met now and would not be met any longer."""
    changed = {each.name: each for each in changes if each.now}
    if NAMESPACE in changed:
        return [f"chatapp itself would become {changed[NAMESPACE].then}"]
    clauses = [
        f"{dist.name} needs {need.name}{need.specifier}, and {need.name} would become {change.then}"
        for name, dist in _installed().items()
        if name not in changed
        for need in _needs(dist)
        if (change := changed.get(canonicalize_name(need.name))) is not None
        and need.specifier.contains(change.now, prereleases=True)
        and not need.specifier.contains(change.then, prereleases=True)
    ]
    # Several extras may need the same.
    return list(dict.fromkeys(clauses))


def _needs(dist: metadata.Distribution) -> Iterable[Requirement]:
    """What it requires here; of chatapp also what its extras do, as plugins that are on may use them."""
    extras = ["", *(dist.metadata.get_all("Provides-Extra") or [])] if dist.name == NAMESPACE else [""]
    for need in map(Requirement, dist.requires or ()):
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras):
            yield need


async def take_up(host: Host, changes: Iterable[Change]) -> list[str]:
    """Take in the plugins that were just installed; a sentence for each, and for what is no plugin."""
    names = {each.name for each in changes}
    importlib.invalidate_caches()
    for name in names:
        _follow_paths(metadata.distribution(name))
    came: dict[str, list[Found]] = {}
    for each in discover(host.paths.config / "plugins", host.settings.core.plugins):
        if each.entry is not None and each.entry.dist is not None and canonicalize_name(each.entry.dist.name) in names:
            came.setdefault(each.package, []).append(each)
    if not came:
        return ["It is installed, but no plugin came with it: none of it has an entry point in the group `chatapp`."]
    return [sentence for found in came.values() for sentence in await _take_up(host, found)]


def _follow_paths(dist: metadata.Distribution) -> None:
    """Follow the path files of an editable installation, as Python does when it starts."""
    for file in dist.files or ():
        if file.suffix == ".pth":
            path = Path(str(file.locate()))
            site.addpackage(str(path.parent), path.name, None)


async def _take_up(host: Host, found: list[Found]) -> list[str]:
    refused = {each.name: sentence for each in found if (sentence := taken(host, each))}
    found = [each for each in found if each.name not in refused]
    off = host.settings.core.plugins.disabled
    for each in found:
        if each.name in off:
            await host.take_in(each)
    wanted = [each for each in found if each.name not in off]
    if wanted:
        await renew(host, wanted)
    return [*refused.values(), *(_sentence(host, each.name) for each in found)]


def _sentence(host: Host, name: str) -> str:
    plugin = host.plugins[name]
    if plugin.error:
        return f"{name} is installed, but it cannot be used: {plugin.error}"
    if plugin.state == "off":
        return f"{name} is installed, and switched off; `plugin enable {name}` switches it on."
    brought = [f"/{each.name}" for each in host.actions.values() if each.owner == name]
    return f"{name} is on" + (f" and brings {', '.join(brought)}." if brought else ".")
