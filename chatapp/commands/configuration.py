"""Commands about settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from chatapp.actions import Rest, action
from chatapp.commands.table import table
from chatapp.errors import UsageError
from chatapp.messages import Data
from chatapp.session import Session
from chatapp.settings import NESTED, CoreSettings


def _fields(session: Session) -> Iterator[tuple[str, str, Any, str]]:
    """(table, key, value, description) of every setting; nested tables are named with a dot."""
    core = session.host.settings.core
    for key, field in CoreSettings.model_fields.items():
        value = getattr(core, key)
        if key in NESTED:
            for inner, detail in NESTED[key].model_fields.items():
                yield key, inner, getattr(value, inner), detail.description or ""
        else:
            yield "", key, value, field.description or ""
    for name, model in session.host.configs.items():
        values = session.host.config(model)
        for key, field in model.model_fields.items():
            yield name, key, getattr(values, key), field.description or ""


def _names(session: Session, prefix: str) -> Iterable[str]:
    return [f"{where}.{key}".lstrip(".") for where, key, _, _ in _fields(session)]


@action("settings list")
async def list_(session: Session) -> Data:
    """List every setting with its value and meaning."""
    rows = [(f"{where}.{key}".lstrip("."), repr(value), about) for where, key, value, about in _fields(session)]
    return table("settings", ("name", "value", "meaning"), rows)


@action("settings set")
async def set_(
    session: Session,
    name: Annotated[str, "As `settings list` names it", _names],
    value: Annotated[str, "The value", Rest()],
) -> str:
    """Change a setting in the settings file; - as the value goes back to the default."""
    where, _, key = name.rpartition(".")
    if (where, key) not in {(place, each) for place, each, _, _ in _fields(session)}:
        raise UsageError(f"There is no setting {name!r}; `settings list` shows all.")
    session.host.set_config(where, key, None if value == "-" else _typed(value))
    return f"{name} is {'back at its default' if value == '-' else value}."


def _typed(value: str) -> Any:
    """The value as TOML would read it, else the text itself."""
    import tomllib

    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return value


@action("settings path")
async def path(session: Session) -> str:
    """Show where the settings file is."""
    return str(session.host.settings.path)
