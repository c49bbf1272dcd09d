"""An adapter's card: what it was made from, with which settings and how that went; as JSON beside it, and to read."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chatapp import human_bytes, read_gguf, visible
from chatapp_lora.mixing import shape
from chatapp_lora.training.plan import Example, Plan, Trained

SETTINGS = ("steps", "batch", "rate", "warm_up", "evaluate_every", "patience", "longest", "seed", "threads", "full")
"""What of a `Plan` stands on the card as it was given."""


def digest(examples: Iterable[Example]) -> str:
    """The SHA-256 of examples in their order: of a JSON array of [role, content] pairs for each, on a line of its own.

    JSON without spaces, characters as they are, UTF-8.
    """
    total = hashlib.sha256()
    for each in examples:
        line = json.dumps([list(pair) for pair in each.messages], ensure_ascii=False, separators=(",", ":"))
        total.update(line.encode("utf-8", "surrogatepass") + b"\n")
    return total.hexdigest()


def card_of(plan: Plan, trained: Trained, *, base: str, source: str, **more: str) -> dict[str, Any]:
    """The card of what was trained; `base` is the model's name, `source` says where the examples are from.

    `more` may give "title", "description" and "licence". Blocks: it reads the adapter's file.
    """
    with trained.path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    known = {*SETTINGS, "invocation"}
    facts = {key: value for key, value in trained.facts.items() if key not in known}
    return {
        "name": plan.name,
        **{key: more.get(key, "") for key in ("title", "description", "licence")},
        "base": base,
        "base_sha256": plan.base_sha256,
        **shape(read_gguf(plan.base).values),
        "rank": plan.rank,
        "alpha": plan.alpha,
        "targets": list(plan.targets),
        "invocation": plan.invocation,
        "bytes": trained.path.stat().st_size,
        "sha256": sha256,
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "data": {
            "source": source,
            "count": len(plan.train) + len(plan.held_out),
            "held_out": len(plan.held_out),
            "sha256": digest((*plan.train, *plan.held_out)),
        },
        "settings": {key: getattr(plan, key) for key in SETTINGS},
        **{key: getattr(trained, key) for key in ("steps", "best", "loss", "held_out", "seconds", "memory")},
        "losses": facts.pop("losses", []),
        "held_out_losses": facts.pop("held_out", []),
        "versions": facts.pop("versions", {}),
        "facts": facts,
    }


def markdown(card: Mapping[str, Any]) -> str:
    """A card to read, as Markdown; what it does not say is left out, so that a damaged one can be shown too."""
    parts = [
        f"# {visible(str(card.get('title') or card.get('name') or 'Adapter'))}",
        visible(str(card.get("description") or "")),
        _list(_about(card)),
        _section("Data", _list(_data(_mapping(card.get("data"))))),
        _section("Training", _list(_training(card))),
        _section("Loss", _losses(card)),
        _section("Measured effect", _effect(card.get("effect"))),
        _section("Side by side", _compared(card)),
    ]
    return "\n\n".join(part for part in parts if part)


def _about(card: Mapping[str, Any]) -> list[tuple[str, Any]]:
    size = card.get("bytes")
    invocation = card.get("invocation")
    return [
        ("name", card.get("name")),
        ("file", card.get("path")),
        ("made for", card.get("base")),
        ("SHA-256 of that model", card.get("base_sha256")),
        ("kind", f"activated by {invocation!r}" if invocation else "ordinary"),
        ("rank", card.get("rank")),
        ("alpha", card.get("alpha")),
        ("changes", ", ".join(map(str, _sequence(card.get("targets"))))),
        ("size", human_bytes(size) if isinstance(size, int) else None),
        ("SHA-256", card.get("sha256")),
        ("licence", card.get("licence")),
        ("made", card.get("created")),
        ("from", card.get("source")),
        ("added", card.get("added")),
    ]


def _data(data: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [
        ("source", data.get("source")),
        ("examples", data.get("count")),
        ("of these held out", data.get("held_out")),
        ("SHA-256", data.get("sha256")),
    ]


def _training(card: Mapping[str, Any]) -> list[tuple[str, Any]]:
    seconds, memory = card.get("seconds"), card.get("memory")
    versions = ", ".join(f"{name} {version}" for name, version in _mapping(card.get("versions")).items())
    return [
        ("steps", card.get("steps")),
        ("best step", card.get("best")),
        ("loss at the end", _number(card.get("loss"))),
        ("held-out loss", _number(card.get("held_out"))),
        ("seconds", _number(seconds, 0)),
        ("memory at most", human_bytes(memory) if isinstance(memory, int) and memory else None),
        *((name.replace("_", " "), value) for name, value in _mapping(card.get("settings")).items() if name != "steps"),
        *((str(name).replace("_", " "), value) for name, value in _mapping(card.get("facts")).items()),
        ("made with", versions),
    ]


def _losses(card: Mapping[str, Any]) -> str:
    """The steps after which the held-out loss was taken, with the loss of their batch; step 0 is the model itself."""
    losses = _sequence(card.get("losses"))
    pairs = [each for each in _sequence(card.get("held_out_losses")) if isinstance(each, list | tuple)]
    known = [pair for pair in pairs if len(pair) == 2 and isinstance(pair[0], int) and _is_number(pair[1])]
    rows = [(step, losses[step - 1] if 0 < step <= len(losses) else None, held_out) for step, held_out in known]
    lines = [f"| {step:4} | {_number(loss) or '':>6} | {_number(held_out):>8} |" for step, loss, held_out in rows]
    return "\n".join(["| step | loss   | held out |", "| ---: | -----: | -------: |", *lines]) if lines else ""


def _effect(effect: Any) -> str:
    if isinstance(effect, Mapping):
        return _list([(str(name).replace("_", " "), value) for name, value in effect.items()])
    return _line(effect or "")


def _compared(card: Mapping[str, Any]) -> str:
    rows = [each for each in _sequence(card.get("compared")) if isinstance(each, Mapping)]
    said = [[_line(each.get(key, "")) for key in ("prompt", "base", "adapted")] for each in rows]
    return "\n".join(f"- {prompt}\n  - without: {base}\n  - with: {adapted}" for prompt, base, adapted in said)


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}" if body else ""


def _list(rows: Iterable[tuple[str, Any]]) -> str:
    return "\n".join(f"- {_line(name)}: {_line(value)}" for name, value in rows if value not in (None, "", [], {}))


def _line(value: Any) -> str:
    # A line break would end the entry, whatever the text is.
    return visible(" ".join(str(value).split()))


def _number(value: Any, places: int = 3) -> str | None:
    return f"{value:,.{places}f}" if _is_number(value) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()
