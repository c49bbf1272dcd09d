"""What the plugins declared: their actions, engines and settings, by name, and who owns each name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from chatapp.actions import Action
from chatapp.engine import EngineSpec
from chatapp.errors import PluginError


@dataclass(slots=True)
class Declared:
    """The tables of what is declared. A name belongs to the first who declares it, until that one is taken out."""

    actions: dict[str, Action] = field(default_factory=dict)
    engines: dict[str, EngineSpec] = field(default_factory=dict)
    configs: dict[str, type[BaseModel]] = field(default_factory=dict)
    _owners: dict[tuple[str, str], str] = field(default_factory=dict)

    def add_settings(self, plugin: str, models: Iterable[Any]) -> None:
        """Take a plugin's settings model; PluginError for one with a field that has no default."""
        for model in models:
            self.configs[plugin] = _settings_model(model)

    def add_actions(self, plugin: str, actions: Iterable[Action]) -> list[str]:
        """Take a plugin's actions; a sentence for each whose name is taken."""
        return self._add(self.actions, "action", plugin, [action.owned_by(plugin) for action in actions])

    def add_engines(self, plugin: str, specs: Iterable[EngineSpec]) -> list[str]:
        """Take a plugin's engines; a sentence for each whose name is taken."""
        return self._add(self.engines, "engine", plugin, specs)

    def _add(self, table: dict[str, Any], what: str, plugin: str, items: Iterable[Any]) -> list[str]:
        problems = []
        for item in items:
            first = self._owners.setdefault((what, item.name), plugin)
            if item.name in table:
                problems.append(
                    f"The {what} {item.name!r} of the plugin {plugin!r} is refused: "
                    f"the plugin {first!r} has one of that name."
                )
            else:
                table[item.name] = item
        return problems

    def engines_of(self, plugin: str) -> list[EngineSpec]:
        """The engines that a plugin declared."""
        return [spec for name, spec in self.engines.items() if self._owners["engine", name] == plugin]

    def remove(self, plugin: str) -> None:
        """Take out all that a plugin declared."""
        self.configs.pop(plugin, None)
        for what, name in [key for key, owner in self._owners.items() if owner == plugin]:
            del self._owners[what, name]
            (self.actions if what == "action" else self.engines).pop(name, None)


def _settings_model(model: Any) -> type[BaseModel]:
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise TypeError(f"it gave {model!r}, not a pydantic model")
    without = [name for name, field in model.model_fields.items() if field.is_required()]
    if without:
        raise PluginError(f"the setting {without[0]!r} has no default.")
    return model
