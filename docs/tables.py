"""The tables of README.md and of the plugins' pages, made from the code by `make docs` and checked by `make lint`."""

from __future__ import annotations

import inspect
import json
import tempfile
from pathlib import Path

from pydantic import BaseModel

from chatapp import commands, hookspecs, human_bytes
from chatapp.host import Host
from chatapp.paths import Paths
from chatapp.plugins import PLAIN, hook_names
from chatapp.settings import NESTED, CoreSettings
from chatapp.words import usage


def host() -> Host:
    """A host with the bundled plugins, on an empty folder."""
    folder = Path(tempfile.gettempdir()) / "chatapp-docs-has-no-such-folder"
    made = Host(Paths(folder, folder, folder))
    made.add("chatapp", commands)
    made.load()
    return made


def table(heads: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def command_table(plugin: str = "") -> str:
    """Each command, where it can be used and what it does; of one plugin or of all."""
    rows = []
    for _, action in sorted(host().actions.items()):
        if not plugin or action.owner == plugin:
            places = ["chat"] + ["shell"] * action.shell + ["model"] * action.tool
            rows.append([f"`{usage(action)}`", ", ".join(places), action.summary])
    return table(["command", "where", "what it does"], rows)


def settings_table(plugin: str = "") -> str:
    """Each setting of a plugin, or the application's own."""
    if plugin:
        return _settings("", host().configs[plugin])
    rows = _settings("", CoreSettings, skip=NESTED)
    for name, model in NESTED.items():
        rows += "\n" + "\n".join(_settings(f"{name}.", model).splitlines()[2:])
    return rows


def _settings(prefix: str, model: type[BaseModel], skip: object = ()) -> str:
    rows = []
    for name, field in model.model_fields.items():
        if name not in skip:  # type: ignore[operator]
            default = field.get_default(call_default_factory=True)
            shown = "" if default is None or default in ("", [], {}) else f"`{default}`"
            rows.append([f"`{prefix}{name}`", shown, field.description or ""])
    return table(["setting", "default", "meaning"], rows)


def hook_table() -> str:
    """The hooks, with their signatures and the bundled plugins that use them."""
    plugins = host().plugins.values()
    rows = []
    for name in hook_names():
        function = getattr(hookspecs, name)
        users = ", ".join(each.name for each in plugins if name in each.hooks)
        first = (inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " ")
        rows.append([f"`{name}{signature(function)}`", first, users])
    return table(["hook", "what for", "used by"], rows)


def signature(function: object) -> str:
    """`(turn: Turn) -> Iterable[Block]`, without quotation marks."""
    return str(inspect.signature(function)).replace("'", "")  # type: ignore[arg-type]


def plugin_table() -> str:
    """The bundled plugins and what their pages say they do."""
    rows = []
    for each in host().plugins.values():
        if each.origin == "bundled" and each.name != "chatapp":
            page = Path("plugins") / f"chatapp_{each.name}" / "README.md"
            text = page.read_text(encoding="utf-8").split("\n\n")[1].replace("\n", " ")
            rows.append([f"[{each.name}](plugins/chatapp_{each.name}/)", text.split(". ")[0].rstrip(".") + "."])
    return table(["plugin", "what it brings"], rows)


def adapter_table() -> str:
    """The adapters that come along, and how often each did what it is for on chats it was not trained on."""
    rows = []
    for file in sorted(Path("plugins/chatapp_lora/bundled").glob("*.json")):
        card = json.loads(file.read_text(encoding="utf-8"))
        effect = card["effect"]
        rows.append(
            [
                f"`{file.stem}`",
                card["description"],
                "activated" if card["invocation"] else "ordinary",
                human_bytes(card["bytes"]),
                f"{card['best']} steps, {card['seconds']:.0f} s",
                f"{effect['with the adapter']} of {effect['held-out chats']}",
                f"{effect['without it']} of {effect['held-out chats']}",
            ]
        )
    return table(["adapter", "what it does", "kind", "size", "trained", "does so", "without it"], rows)


def hook_index() -> str:
    """The hooks with links to their pages."""
    rows = []
    for name in hook_names():
        first = (inspect.getdoc(getattr(hookspecs, name)) or "").split("\n\n")[0].replace("\n", " ")
        rows.append([f"[{name}]({name}.md)", first])
    return table(["hook", "what for"], rows)


def hook_page(name: str) -> str:
    """The made part of a hook's page: its signature, what it is for, how it is called, and who uses it."""
    function = getattr(hookspecs, name)
    summary, *more = (inspect.getdoc(function) or "").split("\n\n")
    parts = [f"```python\n@hookimpl\ndef {name}{signature(function)}: ...\n```", summary, *more, _calling(name)]
    return "\n\n".join(parts)


def _calling(name: str) -> str:
    plain = "It is a plain function." if name in PLAIN else "It may be a plain function or a coroutine function."
    users = [each for each in host().plugins.values() if name in each.hooks and each.name != "chatapp"]
    links = ", ".join(f"[{each.name}](../../plugins/chatapp_{each.name}/__init__.py)" for each in users)
    return f"{plain} Bundled plugins that use it: {links}."
