"""What was renamed, and which version of the API a plugin was written for.

An old name goes on working until the next major version of the API, and warns with what takes its place. To rename
something, put it into one of the three tables; nothing else need know of the old name:

    NAMES["Widget"] = Renamed("Panel", "1.2")                # chatapp.Widget
    HOOKS["finished"] = Renamed("turn_finished", "1.2")      # a function of that name marked @hookimpl
    ARGUMENTS["context", "t"] = Renamed("turn", "1.2")       # what a hook is handed
"""

from __future__ import annotations

import re
import sys
import warnings
from typing import Any, NamedTuple

from chatapp.errors import PluginError

OWN = "chatapp_api"
"""The name under which a plugin's module may say which version it was written for."""


class Renamed(NamedTuple):
    """What takes the place of an old name, and since which version of the API."""

    new: str
    since: str


class Noted(NamedTuple):
    """An old name that was used: what is said of it, in which package, and where."""

    sentence: str
    package: str
    file: str
    line: int


NAMES: dict[str, Renamed] = {}
HOOKS: dict[str, Renamed] = {}
ARGUMENTS: dict[tuple[str, str], Renamed] = {}
noted: dict[tuple[str, str], Noted] = {}
"""The old names that were used in this process, each once for each package."""


def name_now(name: str) -> str:
    """The public name that takes the place of an old one, "" for none; warns where it was used."""
    renamed = NAMES.get(name)
    if renamed is None:
        return ""
    frame = sys._getframe(1)
    # The machinery of imports and our own __getattr__ lie between us and the line that uses the name.
    while frame.f_back is not None and frame.f_globals.get("__name__") in ("chatapp", "importlib._bootstrap"):
        frame = frame.f_back
    module = str(frame.f_globals.get("__name__", ""))
    _warn(f"chatapp.{name}", f"chatapp.{renamed.new}", renamed.since, module, frame.f_code.co_filename, frame.f_lineno)
    return renamed.new


def hook_now(name: str, function: Any = None) -> str:
    """A hook's name today; warns of an old one that `function` is marked as."""
    renamed = HOOKS.get(name)
    if renamed is None:
        return name
    _warn_of(function, f"The hook {name!r}", repr(renamed.new), renamed.since)
    return renamed.new


def argument_now(hook: str, argument: str, function: Any = None) -> str:
    """What a hook's argument is called today; warns of an old one that `function` takes."""
    renamed = ARGUMENTS.get((hook, argument))
    if renamed is None:
        return argument
    _warn_of(function, f"The argument {argument!r} of {hook}()", repr(renamed.new), renamed.since)
    return renamed.new


def _warn_of(function: Any, old: str, new: str, since: str) -> None:
    code = getattr(function, "__code__", None)
    if code is not None:
        _warn(old, new, since, function.__module__, code.co_filename, code.co_firstlineno)


def _warn(old: str, new: str, since: str, module: str, file: str, line: int) -> None:
    parts = module.split(".")
    package = ".".join(parts[:2]) if parts[0] == "chatapp_user_plugins" else parts[0]
    if (package, old) in noted:
        return
    sentence = f"{old} is {new} since version {since} of the API, and goes with the next major one."
    noted[package, old] = Noted(sentence, package, file, line)
    warnings.warn_explicit(sentence, DeprecationWarning, file, line, module)


def check_version(module: Any, have: str = "") -> None:
    """PluginError for a plugin whose `chatapp_api` this chatapp does not offer: a newer one, or another major one."""
    import chatapp

    wanted, have = getattr(module, OWN, None), have or chatapp.API_VERSION
    if wanted is None:
        return
    if not re.fullmatch(r"\d+(\.\d+)?", str(wanted)):
        raise PluginError(f'its {OWN} is {wanted!r}: write the version it was written for, such as "{have}".')
    asked, offered = _numbers(str(wanted)), _numbers(have)
    if asked > offered:
        raise PluginError(f"it is for version {wanted} of the API and this chatapp has {have}: upgrade chatapp.")
    if asked[0] < offered[0]:
        raise PluginError(f"it is for version {wanted} of the API and this chatapp has {have}: upgrade the plugin.")


def _numbers(version: str) -> tuple[int, int]:
    major, _, minor = version.partition(".")
    return int(major), int(minor or 0)
