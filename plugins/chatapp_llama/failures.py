"""Turning what llama.cpp logs about a file it refuses into one sentence with what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

MAGIC = b"GGUF"


def look(path: Path) -> str | None:
    """What is plainly wrong with a model file before it is loaded, as a sentence; None when nothing is."""
    if not path.exists():
        return f"There is no file {path}; `chatapp models list` shows the models you have."
    if path.is_dir():
        return f"{path} is a folder; name the .gguf file inside it."
    if not path.is_file():
        return f"{path} is not a regular file; name a .gguf file."
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror or error}."
    if not start:
        return f"{path} is empty; download or copy the model again."
    if start != MAGIC:
        return f"{path} is not a GGUF model; choose a file that ends in .gguf and holds one."
    return None


def explain(path: str, log: Sequence[str], context: int = 0) -> str:
    """Why the file at `path` did not load, from llama.cpp's log; `context` when it was the context that failed."""
    text = "\n".join(log)
    if match := re.search(r"unknown model architecture: '([^']*)'", text):
        return (
            f"{path} holds a model of the architecture {match[1]!r}, which this llama.cpp does not know: "
            "update llama-cpp-python or choose another model."
        )
    if "corrupted or incomplete" in text or "failed to read" in text or "end of file" in text:
        return f"{path} is cut short or damaged: download or copy the model again."
    if context:
        return (
            f"There is not enough memory for a context of {context:,} tokens with {path}: "
            "set a smaller context_length for the llama plugin, or choose a smaller model."
        )
    if "unable to allocate" in text or "out of memory" in text or "cannot allocate" in text.lower():
        return f"{path} does not fit into this machine's memory: choose a smaller model or fewer gpu_layers."
    reason = next((line for line in log if line), "it gave no reason").rstrip(".")
    return f"{path} cannot be loaded as a model ({reason}): download it again or choose another."


def explain_adapter(log: Sequence[str]) -> str:
    """Why an adapter did not load, from llama.cpp's log; to follow the adapter's name."""
    reason = next((line for line in reversed(log) if line), "it gave no reason").rstrip(".")
    return f"is refused by llama.cpp ({reason}): download or convert it again."


def too_large(path: Path, needed: int, total: int) -> str:
    """The sentence for a model that this machine cannot hold; sizes in bytes."""
    return (
        f"{path} needs about {needed / 1e9:.1f} GB of memory and this machine has {total / 1e9:.1f} GB: choose a "
        "smaller model (`chatapp models list`), or set check_memory = false for the llama plugin to try all the same."
    )
