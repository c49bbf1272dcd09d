"""The settings file: the application's own values and one table per plugin, in TOML a person can edit.

The file is only ever changed key by key, so comments and what an unknown plugin wrote stay as they are. A file that
does not parse is left alone: the defaults are used and the person is told the line.
"""

from __future__ import annotations

import copy
import difflib
import os
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chatapp.errors import SettingsError

Model = TypeVar("Model", bound=BaseModel)
SYSTEM_PROMPT = "You are a helpful assistant. Answer in the language of the question, clearly and to the point."


class SamplingSettings(BaseModel):
    """How answers are drawn. Leave a value out to use what the model's publisher recommends."""

    model_config = ConfigDict(extra="forbid")

    temperature: float | None = Field(None, ge=0, le=5, description="0 always takes the likeliest token.")
    top_p: float | None = Field(None, gt=0, le=1, description="Draw from the likeliest tokens that sum to this.")
    top_k: int | None = Field(None, ge=0, description="Draw from this many likeliest tokens; 0 is all of them.")
    min_p: float | None = Field(None, ge=0, le=1, description="Drop tokens less likely than this share of the best.")
    repeat_penalty: float | None = Field(None, gt=0, le=3, description="Above 1 discourages repeating; 1 is off.")
    presence_penalty: float | None = Field(None, ge=-2, le=2, description="Above 0 discourages words already used.")
    seed: int | None = Field(None, ge=0, le=2**32 - 2, description="The same seed and prompt give the same answer.")
    max_tokens: int | None = Field(None, ge=1, description="The longest answer, in tokens.")


class PluginSettings(BaseModel):
    """Which plugins are on, in which order they are called, and how long they may take."""

    model_config = ConfigDict(extra="forbid")

    disabled: list[str] = Field([], description="Plugins that are not loaded.")
    order: list[str] = Field([], description="Plugins called first, in this order; the rest follow as usual.")
    import_budget: int = Field(
        300, ge=1, description="Milliseconds a plugin may take to load before the status line calls it slow."
    )
    hook_budget: int = Field(
        100, ge=1, description="Milliseconds a plugin's hook may keep the chat from doing anything else, likewise."
    )


class CoreSettings(BaseModel):
    """The application's own settings: the top of the file."""

    model_config = ConfigDict(extra="ignore")

    model: str = Field("", description="The model that answers; empty takes the one recommended for this machine.")
    engine: str = Field("", description="The engine that runs it; empty takes the first that accepts the model.")
    system: str = Field(SYSTEM_PROMPT, description="The instruction every conversation begins with; may be empty.")
    theme: str = Field("", description="A theme's name; empty follows the terminal's light or dark background.")
    max_rounds: int = Field(8, ge=1, le=50, description="How often the model may use tools before it must answer.")
    offline: bool = Field(False, description="Forbid every use of the network.")
    sampling: SamplingSettings = Field(default_factory=SamplingSettings, description="How answers are drawn.")
    plugins: PluginSettings = Field(default_factory=PluginSettings, description="Which plugins are on.")
    keys: dict[str, str] = Field({}, description='Other keys for bindings, by id: `chat.stop = "ctrl+x"`.')


NESTED: dict[str, type[BaseModel]] = {"sampling": SamplingSettings, "plugins": PluginSettings}
"""The core's own tables."""


class Settings:
    """The file at `path`, read once; a missing file is all defaults.

    `problems` are sentences about what could not be used; the defaults stand in for it.
    """

    def __init__(self, path: Path, overrides: Mapping[str, Any] | None = None) -> None:
        self.path = path
        self.problems: list[str] = []
        self.broken = False
        self._data = {**self._read(), **(overrides or {})}
        self.core = self._validate("", CoreSettings, self._data)

    def _read(self) -> dict[str, Any]:
        try:
            return tomllib.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            self.broken = True
            self.problems.append(f"The settings file {self.path} is not used, please mend it: {error}.")
            return {}

    def table(self, name: str, model: type[Model]) -> Model:
        """The values of the table `name`; a value that does not fit is replaced by its default and reported."""
        data = self._data.get(name, {})
        if not isinstance(data, dict):
            self._problem(f"{name!r} must be a table: [{name}].")
            data = {}
        return self._validate(name, model, data)

    def _validate(self, name: str, model: type[Model], data: Mapping[str, Any]) -> Model:
        free = model.model_config.get("extra") == "allow"
        for key in [] if free else sorted(data.keys() - model.model_fields.keys()):
            # At the top, a table of another name is some plugin's, which may be switched off.
            if name or not isinstance(data[key], dict):
                self._problem(unknown(name, str(key), model))
        known = {key: value for key, value in data.items() if free or key in model.model_fields}
        try:
            return model.model_validate(known)
        except ValidationError as error:
            usable = copy.deepcopy(known)
            for detail in error.errors():
                self._problem(describe(name, detail))
                _drop(usable, [*detail["loc"]])
        try:
            return model.model_validate(usable)
        except ValidationError:
            return model()

    def _problem(self, sentence: str) -> None:
        problem = f"In {self.path}: {sentence}"
        if problem not in self.problems:
            self.problems.append(problem)

    def set(self, table: str, key: str, value: Any, model: type[BaseModel]) -> None:
        """Check one value against `model` and write it to the file; `table` is "" for the top, None removes the key.

        Raises SettingsError, with the file untouched, when the value does not fit or the file cannot be written.
        """
        if self.broken:
            raise SettingsError(f"The settings file {self.path} does not parse; mend or remove it first.")
        data: dict[str, Any] = self._data
        for name in filter(None, table.split(".")):
            data = data.setdefault(name, {})
            if not isinstance(data, dict):
                raise SettingsError(f"In {self.path}, {table!r} must be a table: mend it there first.")
        changed = {name: each for name, each in {**data, key: value}.items() if each is not None}
        try:
            model.model_validate(changed)
        except ValidationError as error:
            for detail in error.errors():
                # What is wrong elsewhere in the table was reported, and must not keep this value from being mended.
                if detail["loc"][:1] in ((key,), ()):
                    raise SettingsError(describe(table, detail)) from None
        self._write(table, key, value)
        data.clear()
        data.update(changed)
        self.core = self._validate("", CoreSettings, self._data)

    @staticmethod
    def check(model: type[Model], values: Mapping[str, Any]) -> Model:
        """The values as the model has them; SettingsError with one sentence when one does not fit."""
        try:
            return model.model_validate(dict(values))
        except ValidationError as error:
            raise SettingsError(describe("", error.errors()[0])) from None

    def _write(self, table: str, key: str, value: Any) -> None:
        import tomlkit

        try:
            text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
            document: Any = tomlkit.parse(text)
        except (ValueError, OSError) as error:
            raise SettingsError(f"The settings file {self.path} cannot be changed, please mend it: {error}.") from error
        target = document
        for name in filter(None, table.split(".")):
            if name not in target:
                target[name] = tomlkit.table()
            target = target[name]
        if value is None:
            target.pop(key, None)
        else:
            target[key] = value
        write_private(self.path, tomlkit.dumps(document))


def describe(table: str, detail: Any) -> str:
    """pydantic's finding as one sentence that names the key."""
    place = ".".join([*filter(None, [table]), *(str(part) for part in detail["loc"])])
    return f"{place}: {detail['msg'][0].lower()}{detail['msg'][1:]} (it is {detail['input']!r})."


def unknown(table: str, key: str, model: type[BaseModel]) -> str:
    """That there is no such setting, and the one that may be meant."""
    near = difflib.get_close_matches(key, model.model_fields, 1)
    place = f"{table}.{key}".lstrip(".")
    return f"there is no setting {place!r}" + (f"; did you mean {near[0]!r}?" if near else ".")


def _drop(values: dict[str, Any], place: list[int | str]) -> None:
    """Remove the value at `place`, or what of it there is: a finding may point below or above a value."""
    inside: Any = values
    for key in place[:-1]:
        if not (isinstance(inside, dict) and isinstance(inside.get(key), dict)):
            place = place[:1]
            inside = values
            break
        inside = inside[key]
    if place:
        inside.pop(place[-1], None)


def write_private(path: Path, text: str) -> None:
    """Replace the file in one step, readable by its owner only; SettingsError when that fails.

    Where `path` is a link, the file it points to is replaced and the link stays.
    """
    path = path.resolve()
    name = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except OSError as error:
        if name:
            Path(name).unlink(missing_ok=True)
        raise SettingsError(f"The file {path} cannot be written: {error.strerror or error}.") from error
