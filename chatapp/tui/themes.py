"""The two themes of our own, and which theme to begin with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from textual.theme import Theme

DARK = Theme(
    name="chatapp-dark",
    dark=True,
    primary="#7aa2f7",
    secondary="#b79df2",
    accent="#7dcfc0",
    foreground="#d5d9e4",
    background="#15171c",
    surface="#1c1f26",
    panel="#262a34",
    success="#92c97e",
    warning="#e2b566",
    error="#ef7580",
    variables={
        "block-cursor-text-style": "none",
        "footer-key-foreground": "#7aa2f7",
        "input-selection-background": "#7aa2f7 35%",
        "border": "#7aa2f7",
        "border-blurred": "#3a4050",
        "scrollbar": "#343a48",
        "scrollbar-hover": "#4a5266",
        "scrollbar-active": "#7aa2f7",
        "scrollbar-background": "#15171c",
        "scrollbar-background-hover": "#15171c",
        "scrollbar-background-active": "#15171c",
    },
)
LIGHT = Theme(
    name="chatapp-light",
    dark=False,
    primary="#2f5fc4",
    secondary="#6b4bb8",
    accent="#0f7a6b",
    foreground="#262a33",
    background="#fbfaf7",
    surface="#f1efe9",
    panel="#e6e3da",
    success="#2b7a3a",
    warning="#8f5f00",
    error="#b3261e",
    variables={
        "block-cursor-text-style": "none",
        "footer-key-foreground": "#2f5fc4",
        "input-selection-background": "#2f5fc4 25%",
        "border": "#2f5fc4",
        "border-blurred": "#c9c4b8",
        "scrollbar": "#d3cec2",
        "scrollbar-hover": "#b8b2a4",
        "scrollbar-active": "#2f5fc4",
        "scrollbar-background": "#fbfaf7",
        "scrollbar-background-hover": "#fbfaf7",
        "scrollbar-background-active": "#fbfaf7",
    },
)


def theme_for(setting: str, known: Iterable[str], environ: Mapping[str, str]) -> tuple[str, str]:
    """The theme's name and, where the setting cannot be used, the sentence that says so.

    "dark" and "light" mean our own two; empty follows the terminal's background as COLORFGBG tells it, else dark.
    """
    own = {"": LIGHT.name if _light_terminal(environ) else DARK.name, "dark": DARK.name, "light": LIGHT.name}
    name = own.get(setting, setting)
    if name in set(known):
        return name, ""
    return own[""], f"There is no theme {setting!r}; choose one in the command palette."


def _light_terminal(environ: Mapping[str, str]) -> bool:
    """Whether COLORFGBG ("15;0", "0;default;15") names a light background: white or light grey."""
    return environ.get("COLORFGBG", "").rpartition(";")[2] in {"7", "15"}
