"""What the settings form shows: every field of every settings model, and how its value is typed."""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from chatapp.host import Host
from chatapp.settings import CoreSettings


@dataclass(frozen=True, slots=True)
class Field:
    """One setting. `table` is "" for the core's own, else the table's name; `title` is the page it stands on."""

    title: str
    table: str
    name: str
    info: FieldInfo
    value: Any

    @property
    def default(self) -> Any:
        """What it is where nobody sets it."""
        return self.info.get_default(call_default_factory=True, validated_data={})

    @property
    def changed(self) -> bool:
        """Whether it is not the default."""
        return bool(self.value != self.default)

    @property
    def choices(self) -> list[str]:
        """The values there are, where only some are allowed."""
        for kind in (self.info.annotation, *typing.get_args(self.info.annotation)):
            if typing.get_origin(kind) is Literal:
                return [str(each) for each in typing.get_args(kind)]
        return []

    @property
    def switch(self) -> bool:
        """Whether it is on or off."""
        return self.info.annotation is bool

    @property
    def typed(self) -> str:
        """Its value as text to edit."""
        return written(self.value)

    def read(self, text: str) -> Any:
        """The value that `text` stands for; pydantic decides whether it fits. None goes back to the default."""
        text = text.strip() if self.info.annotation is not str else text
        if not text and (self.info.annotation is not str or self.default == ""):
            return None
        origin = typing.get_origin(self.info.annotation)
        if origin in (list, tuple, set):
            return [each.strip() for each in text.split(",") if each.strip()]
        if origin is dict:
            return dict(_pairs(text))
        return _number(text) if self.info.annotation is not str else text


def fields(host: Host) -> Iterator[Field]:
    """Every setting with its value, the core's first."""
    yield from _fields("General", "", CoreSettings, host.settings.core)
    for name, model in host.configs.items():
        yield from _fields(name, name, model, host.config(model))


def _fields(title: str, table: str, model: type[BaseModel], values: BaseModel) -> Iterator[Field]:
    for name, info in model.model_fields.items():
        value = getattr(values, name)
        if isinstance(value, BaseModel):
            inner = f"{table}.{name}" if table else name
            yield from _fields(inner, inner, type(value), value)
        else:
            yield Field(title, table, name, info, value)


def written(value: Any) -> str:
    """A value as a person types it."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return ", ".join(f"{key} = {each}" for key, each in value.items())
    if isinstance(value, (list, tuple, set)):
        return ", ".join(str(each) for each in value)
    return str(value)


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for pair in text.split(","):
        name, equals, value = pair.partition("=")
        if equals:
            yield name.strip(), value.strip().strip('"')


def _number(text: str) -> Any:
    """A number where it is one, else the text, for the model to refuse in its own words."""
    try:
        return json.loads(text)
    except ValueError:
        return text
