"""Key bindings: how they are declared, what help says of them, and the user's own keys from the settings."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from textual.app import App
from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import _character_to_key

NAMES = {
    "escape": "Esc",
    "enter": "Enter",
    "delete": "Del",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "question_mark": "?",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "slash": "/",
    "space": "Space",
    "backspace": "Backspace",
    "home": "Home",
    "end": "End",
    "tab": "Tab",
}
"""How keys are called on the screen, where not by their own name."""


def key(keys: str, action: str, label: str, sentence: str, id: str, *, priority: bool = False) -> Binding:
    """A binding: a short `label` for hints, a `sentence` for the help screen, and an `id` to re-map it by."""
    return Binding(keys, action, label, tooltip=sentence, id=id, show=False, priority=priority)


def editing(bindings: Iterable[Any], prefix: str, without: Iterable[str] = ()) -> list[Binding]:
    """A Textual widget's own bindings with ids, so that they are in the help and can be re-mapped; some left out."""
    left_out = set(without)
    made = []
    for binding in bindings:
        keys = ",".join(each for each in binding.key.split(",") if each not in left_out)
        if keys:
            name = re.sub(r"\W+", "_", binding.action).strip("_").lower()
            sentence = f"{(binding.description or binding.action).capitalize()}."
            made.append(dataclasses.replace(binding, key=keys, id=f"{prefix}.{name}", tooltip=sentence, show=False))
    return made


@dataclass(frozen=True, slots=True)
class Group:
    """The bindings of one place on the screen; `place` is the widget class that has them."""

    title: str
    place: type[DOMNode]

    @property
    def bindings(self) -> list[Binding]:
        """Its own bindings, as declared."""
        return [each for each in self.place.__dict__.get("BINDINGS", ()) if isinstance(each, Binding)]


def groups() -> list[Group]:
    """Every place that has bindings, in the order of the help screen."""
    from chatapp.tui.app import ChatApp
    from chatapp.tui.screens import chat, dialogs, help, models, permit, sessions, settings
    from chatapp.tui.widgets import citations, composer, message, passage, sent

    return [
        Group("Writing a message", composer.Composer),
        Group("Chat", chat.ChatScreen),
        Group("On a message", message.MessageView),
        Group("On an answer's sources", citations.Citations),
        Group("Reading a passage", passage.PassagePanel),
        Group("Everywhere", ChatApp),
        Group("What was sent", sent.SentPanel),
        Group("Conversations", sessions.SessionsScreen),
        Group("Models", models.ModelsScreen),
        Group("Settings", settings.SettingsScreen),
        Group("Questions", dialogs.Dialog),
        Group("Allowing a tool", permit.Permit),
        Group("Help and texts", help.TextScreen),
    ]


def shown(keys: str) -> str:
    """Keys as a person writes them: ``ctrl+j,alt+enter`` is ``Ctrl+J, Alt+Enter``."""
    return ", ".join(_shown(each.strip()) for each in keys.split(","))


def _shown(keys: str) -> str:
    *modifiers, name = keys.split("+")
    plain = NAMES.get(name) or (name.upper() if modifiers or re.fullmatch(r"f\d+", name) else name)
    return "+".join([*(each.capitalize() for each in modifiers), plain])


def keys_of(app: App[Any], binding: Binding) -> str:
    """The keys this binding has now, the user's own where there are."""
    own = getattr(app, "own_keys", {})
    return str(own.get(binding.id, binding.key))


def hint(app: App[Any], place: type[DOMNode], *ids: str) -> str:
    """One line of the most useful keys of a place: ``e edit · r again``; the first key of each."""
    found = {each.id: each for each in Group("", place).bindings}
    words = [(keys_of(app, found[each]).split(",")[0], found[each].description) for each in ids if each in found]
    return " · ".join(f"{_shown(keys)} {label}" for keys, label in words)


def check(own: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The user's keys that can be used, and a sentence for each that cannot: unknown, empty, or taken in that place."""
    usable: dict[str, str] = {}
    problems = []
    places = {binding.id: group for group in groups() for binding in group.bindings if binding.id}
    for name, keys in own.items():
        if name not in places:
            problems.append(f"In the settings, keys: there is no binding {name!r}; the help screen lists the ids.")
        elif not all(re.fullmatch(r"(\w+\+)*(\w+|[^\w\s])", each.strip()) for each in keys.split(",")):
            problems.append(f'In the settings, keys: {keys!r} is not a key; write it like "ctrl+x" or "f5".')
        else:
            usable[name] = ",".join(_normal(each.strip()) for each in keys.split(","))
    problems += _clashes(usable, places)
    return usable, problems


def _normal(keys: str) -> str:
    """A key as Textual calls it: ``?`` is ``question_mark``."""
    *modifiers, name = keys.rpartition("+") if len(keys) > 1 else ("", "", keys)
    return "".join([*modifiers, _character_to_key(name) if len(name) == 1 else name])


def _clashes(usable: Mapping[str, str], places: Mapping[str, Group]) -> list[str]:
    problems = []
    for name, keys in usable.items():
        for other in places[name].bindings:
            taken = set(usable.get(other.id or "", other.key).split(",")) & set(keys.split(","))
            if other.id != name and taken:
                problems.append(
                    f"In the settings, keys: {shown(','.join(sorted(taken)))} of {name!r} is also {other.id!r}; "
                    "change one of them."
                )
    return problems
