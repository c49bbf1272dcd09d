"""Which adapters are on, at which scales: what the user wrote, and what the engine is given."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from chatapp import Adapter, ChatappError, EngineConfig, Host, Session, UsageError, read_gguf
from chatapp_lora.options import LoraSettings
from chatapp_lora.store import Adapters, Stored

STRONGEST = 10.0
"""The largest scale, up or down; from about 2 on a model says nonsense."""
_TOLD: WeakKeyDictionary[Host, set[tuple[str, str]]] = WeakKeyDictionary()
"""What was said on each host, to say it once."""
SHAPE = ("architecture", "embedding", "layers")


def parsed(words: Iterable[str], known: Adapters, served: Collection[str] = ()) -> dict[str, float]:
    """A mix as people write it, ``brief json=0.5``; UsageError for an unknown adapter or a scale that is none.

    `served` are the names of adapters that the engine has by itself.
    """
    mix: dict[str, float] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if name not in served:
            known.get(name)
        if name in mix:
            raise UsageError(f"{name} is named twice: give it one scale.")
        mix[name] = _scale(name, value) if equals else 1.0
    return mix


def _scale(name: str, value: str) -> float:
    try:
        scale = float(value)
    except ValueError:
        scale = math.nan
    if not abs(scale) <= STRONGEST:
        raise UsageError(f"{value or 'Nothing'} is no scale for {name}: give a number like {name}=0.7, 1 as trained.")
    return scale


def written(mix: Mapping[str, float]) -> str:
    """A mix as people write it; empty for none."""
    return " ".join(name if scale == 1.0 else f"{name}={scale:g}" for name, scale in mix.items())


def chosen(session: Session) -> dict[str, float]:
    """The mix this conversation has: what the user chose, or the settings' where he chose nothing."""
    mix = session.values.get("lora")
    if mix is None:
        return parsed(session.host.config(LoraSettings).default.split(), Adapters(session.host))
    return dict(mix)


def served(session: Session) -> tuple[str, ...]:
    """The adapters that the open engine has by itself, as servers do."""
    engine = session.host.engines.current()
    return tuple(engine.info.details.get("served_adapters", ())) if engine is not None else ()


def choose(session: Session, mix: Mapping[str, float]) -> None:
    """Have this mix from the next answer on."""
    session.values["lora"] = dict(mix)
    show(session, mix)


def show(session: Session, mix: Mapping[str, float], cost: str = "") -> None:
    """Put the mix into the status line, with what the next answer must read again for it."""
    told = " · ".join(filter(None, (written(mix), cost)))
    if told:
        session.status["lora"] = told
    else:
        session.status.pop("lora", None)


async def laid(config: EngineConfig, session: Session) -> EngineConfig:
    """The configuration with this conversation's adapters, and with files for those that others named.

    What is gone, or was made for another model, is left out and told once.
    """
    adapters = Adapters(session.host)
    mix = chosen(session)
    wanted = [Adapter(name, "", scale) for name, scale in mix.items()]
    wanted += [each for each in config.adapters if not each.path and each.name not in mix]
    if not wanted:
        return config
    shape = await asyncio.to_thread(_shape, session, config)
    found = [each for each in config.adapters if each.path]
    for adapter in wanted:
        stored = adapters.find(adapter.name)
        if stored is None and not shape and adapter.name in _elsewhere(session, config.model):
            found += [adapter] if adapter.scale else []
            continue
        reason = "it is not on this machine" if stored is None else unfit(stored, shape)
        if stored is None or reason:
            _tell_once(session, adapter.name, config.model, reason)
        elif adapter.scale:
            found.append(replace(adapter, path=str(stored.path)))
    return replace(config, adapters=tuple(found))


def _elsewhere(session: Session, model: str) -> Collection[str]:
    """The adapters that the engine has by itself; before it is open, those that the user could choose when it was."""
    engine = session.host.engines.current()
    is_open = engine is not None and engine.info.model == model
    return served(session) if is_open else chosen(session)


def unfit(stored: Stored, shape: Mapping[str, Any]) -> str:
    """Why an adapter cannot be laid over a model of this shape; empty where nothing speaks against it."""
    card = {key: stored.card.get(key) for key in SHAPE}
    if not shape or None in card.values() or all(card[key] == shape[key] for key in SHAPE):
        return ""
    return f"it was made for {stored.card.get('base') or 'another model'}"


def _shape(session: Session, config: EngineConfig) -> Mapping[str, Any]:
    """Architecture, width and layers of the model; empty when that cannot be read, which the engine will tell."""
    try:
        path = session.host.models.path(config.model)
        status = path.stat()
        return _shape_of(path, status.st_mtime_ns, status.st_size)
    except (ChatappError, OSError):
        return {}


@lru_cache(maxsize=8)
def _shape_of(path: Path, changed: int, size: int) -> Mapping[str, Any]:
    return shape(read_gguf(path).values)


def shape(values: Mapping[str, Any]) -> dict[str, Any]:
    """What of a model an adapter must fit, from the values of its GGUF."""
    architecture = values.get("general.architecture")
    keys = {"embedding": f"{architecture}.embedding_length", "layers": f"{architecture}.block_count"}
    return {"architecture": architecture, **{name: values.get(key) for name, key in keys.items()}}


def _tell_once(session: Session, name: str, model: str, reason: str) -> None:
    told = _TOLD.setdefault(session.host, set())
    if (name, model) not in told:
        told.add((name, model))
        session.ui.notify(f"The adapter {name} is left out with {model}: {reason}.", "warning")
