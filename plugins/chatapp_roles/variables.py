"""The variables of a role's instructions: ``{name}`` is replaced, ``{{`` and ``}}`` are literal braces."""

from __future__ import annotations

import locale
import os
import platform
import re
import time
from collections.abc import Mapping
from pathlib import Path

TOKEN = re.compile(r"\{\{|\}\}|\{([A-Za-z_]\w*)\}|[{}]")
LANGUAGES = {
    "ar": "Arabic", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek", "en": "English", "es": "Spanish",
    "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi", "hu": "Hungarian", "id": "Indonesian",
    "it": "Italian", "ja": "Japanese", "ko": "Korean", "nb": "Norwegian", "nl": "Dutch", "pl": "Polish",
    "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sv": "Swedish", "tr": "Turkish", "uk": "Ukrainian",
    "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
"""ISO 639-1 codes of locales, as a model is told them."""
SYSTEMS = {"Darwin": "macOS"}


def built_in() -> dict[str, str]:
    """What every role may use: date (ISO 8601), cwd, language, os, shell."""
    code = (locale.setlocale(locale.LC_CTYPE) or "").partition("_")[0]
    code = (os.environ.get("LC_ALL") or os.environ.get("LANG") or code).partition("_")[0]
    system = platform.system()
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cwd": str(Path.cwd()),
        "language": LANGUAGES.get(code, "English"),
        "os": SYSTEMS.get(system, system),
        "shell": Path(os.environ.get("SHELL", "sh")).name,
    }


def used(text: str) -> list[str]:
    """The variables that a text names, each once."""
    return list(dict.fromkeys(match[1] for match in TOKEN.finditer(text) if match[1]))


def lone(text: str) -> str:
    """The first brace that is neither doubled nor around a name; "" when there is none."""
    return next((match[0] for match in TOKEN.finditer(text) if len(match[0]) == 1), "")


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with its variables replaced; what a value holds is not looked at again."""
    return TOKEN.sub(lambda match: values[match[1]] if match[1] else match[0][0], text)
