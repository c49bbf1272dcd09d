"""What is said of a picture, from its facts; no library is needed for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatapp import one_line, visible

LONGEST_PROMPT = 60
"""Cells of a prompt in a caption."""
CALLED = {"painted": "drawn at", "identity": "weights", "image_sha256": "made from", "mask_sha256": "mask"}
"""What people read instead of a fact's name."""
FINGERPRINT = 12
"""Digits of a SHA-256 that are shown."""


def caption(facts: Mapping[str, Any], alt: str = "", width: int = LONGEST_PROMPT) -> str:
    """One line: ``a red apple · icons · seed 42 · 20 steps · 512×512``; what is not known is left out."""
    prompt = one_line(str(facts.get("prompt") or alt or "a picture"), width)
    steps = facts.get("steps")
    found = [prompt, one_line(str(facts.get("model") or ""), 32)]
    found += [one_line(f"seed {facts['seed']}", 32)] if facts.get("seed") is not None else []
    found += [one_line(f"{steps} step{'s' * (steps != 1)}", 16)] if steps is not None else []
    found += [size(facts), "stopped" if facts.get("stopped") else ""]
    return " · ".join(filter(None, found))


def size(facts: Mapping[str, Any]) -> str:
    """``512×512``, empty where it is not known."""
    pixels = pixel_size(facts)
    return f"{pixels[0]:d}×{pixels[1]:d}" if pixels else ""


def pixel_size(facts: Mapping[str, Any]) -> tuple[int, int] | None:
    """Width and height, None where they are not said, or not in whole pixels."""
    width, height = facts.get("width"), facts.get("height")
    return (width, height) if isinstance(width, int) and isinstance(height, int) and min(width, height) > 0 else None


def table(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """All facts as (name, value), the prompt first; what is empty is left out."""
    order = ["prompt", "negative", "model", "seed", "steps", "guidance", "scheduler", "strength"]
    names = [*order, *sorted(set(facts) - {*order, "width", "height"})]
    rows = [(name, _value(facts.get(name))) for name in names]
    rows.append(("size", size(facts)))
    return [(visible(CALLED.get(name, name)), visible(value)) for name, value in rows if value]


def _value(value: object) -> str:
    if value is None or value == "" or value is False:
        return ""
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple) and len(value) == 2:
        return "×".join(map(str, value))
    if isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef"):
        return f"{value[:FINGERPRINT]}…"
    return "yes" if value is True else one_line(str(value), 2_000)
