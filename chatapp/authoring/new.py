"""`plugin new`: a plugin that works, with its tests, to be changed into another."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import keyword
import re
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from chatapp.errors import ChatappError, UsageError
from chatapp.hookspecs import NAMESPACE
from chatapp.plugins import files_in
from chatapp.settings import CoreSettings
from chatapp.text import visible

if TYPE_CHECKING:
    from chatapp.host import Host
    from chatapp.session import Session

TEMPLATES = Path(__file__).with_name("templates")
PACKAGE = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    ".gitignore": "gitignore",
    "{module}/__init__.py": "module.py",
    "{module}/py.typed": "",
    "tests/test_{plugin}.py": "test.py",
}
"""The files of a package, and the template each is made from."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is filled in: `name` in small letters with - between its words, and a sentence about it."""

    name: str
    description: str

    @property
    def plugin(self) -> str:
        """The plugin's name, which is that of its table of settings too."""
        return self.name.replace("-", "_")

    @property
    def distribution(self) -> str:
        """What pip calls it."""
        return f"{NAMESPACE}-{self.name}"

    @property
    def module(self) -> str:
        """What Python calls it."""
        return f"{NAMESPACE}_{self.plugin}"

    def fill(self, template: str) -> str:
        """The text of a template; "" is empty."""
        if not template:
            return ""
        words = self.name.split("-")
        return Template((TEMPLATES / f"{template}.tmpl").read_text(encoding="utf-8")).substitute(
            command=self.name,
            plugin=self.plugin,
            distribution=self.distribution,
            module=self.module,
            camel="".join(word.capitalize() for word in words),
            title=" ".join(words).capitalize(),
            description=self.description,
            doc=self.description.replace("\\", r"\\").replace('"', r"\""),
            quoted=json.dumps(self.description, ensure_ascii=False),
            version=metadata.version(NAMESPACE),
        )


async def make(session: Session, name: str, description: str, *, single_file: bool) -> str:
    """Write the plugin, asking for what is not said; what to do next, in a line or two. UsageError for a bad name."""
    host = session.host
    name = name or await session.ui.prompt("What is the plugin called?") or ""
    checked = check_name(host, name)
    described = description or await session.ui.prompt("What does it do, in one sentence?", f"The plugin {checked}.")
    facts = Facts(checked, " ".join(visible(described or f"The plugin {checked}.").split()))
    if single_file:
        return await _single(host, facts)
    folder = Path.cwd() / facts.distribution
    await asyncio.to_thread(make_package, folder, facts)
    return (
        f"Made {folder}.\n"
        f"To test it:  cd {facts.distribution} && python -m pytest\n"
        f"To try it:   chatapp plugin install --editable ./{facts.distribution} && chatapp --dev"
    )


def check_name(host: Host, name: str) -> str:
    """The name, without "chatapp-" before it; UsageError when it cannot be one, or something has it already."""
    if not name:
        raise UsageError("Say what to call it: `plugin new NAME`.")
    name = name.removeprefix(f"{NAMESPACE}-")
    plain = "-".join(re.findall(r"[a-z0-9]+", name.lower())).lstrip("0123456789-")
    if name != plain:
        hint = f"; {plain!r} would do" if plain else ""
        raise UsageError(f"{name!r} cannot be a plugin's name, which is words in small letters joined by -{hint}.")
    facts = Facts(name, "")
    if keyword.iskeyword(facts.plugin):
        raise UsageError(f"{name!r} is a word of Python's own; take another name.")
    if facts.plugin in host.plugins or importlib.util.find_spec(facts.module) is not None:
        raise UsageError(f"There is a plugin {facts.plugin!r} already; take another name.")
    if facts.plugin in CoreSettings.model_fields:
        raise UsageError(f"{facts.plugin!r} is a setting of the application; take another name.")
    if name in host.actions:
        raise UsageError(f"There is a command /{name} already; take another name.")
    return name


def make_package(folder: Path, facts: Facts) -> None:
    """Write a package into the new `folder`; UsageError where it exists, ChatappError where it cannot be written."""
    try:
        folder.mkdir()
    except FileExistsError:
        raise UsageError(
            f"There is {folder} already, which is left as it is; remove it or take another name."
        ) from None
    except OSError as error:
        raise ChatappError(f"{folder} cannot be made: {error.strerror}.") from error
    try:
        for name, template in PACKAGE.items():
            path = folder / name.format(module=facts.module, plugin=facts.plugin)
            path.parent.mkdir(exist_ok=True)
            path.write_text(facts.fill(template), encoding="utf-8")
    except OSError as error:
        shutil.rmtree(folder)
        raise ChatappError(f"{folder} cannot be written: {error.strerror}.") from error


def make_file(folder: Path, facts: Facts) -> Path:
    """Write a plugin of one file into `folder`; UsageError where it exists, ChatappError where it cannot be written."""
    path = folder / f"{facts.plugin}.py"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(facts.fill("module.py"))
    except FileExistsError:
        raise UsageError(f"There is {path} already, which is left as it is; take another name.") from None
    except OSError as error:
        raise ChatappError(f"{path} cannot be written: {error.strerror}.") from error
    return path


async def _single(host: Host, facts: Facts) -> str:
    folder = host.paths.config / "plugins"
    path = await asyncio.to_thread(make_file, folder, facts)
    if host.refresh is not None:
        await host.refresh()
    else:
        await host.take_in(next(each for each in files_in(folder) if each.name == facts.plugin))
    change = "change it in your editor and save" if host.refresh is not None else "chatapp --dev, change it and save"
    return f"Made {path}.\nTo try it:  /{facts.name} Ada\nTo go on:   {change}"
