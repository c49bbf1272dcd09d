"""How this terminal is shown pictures: in half blocks, by Sixel, by Kitty's graphics protocol, or not at all.

Only the environment is asked, never the terminal: an answer to a query comes in among the keys that are typed, and once
Textual runs it reads them all. That is also why `textual_image` is not used: importing any of its drawing modules sends
such queries (its widgets and renderables share one package whose import does it). Half blocks are colours and a letter,
which every terminal takes, so they are what is left wherever the environment is not sure.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from chatapp_images.options import Display

Protocol: TypeAlias = Literal["halfblock", "sixel", "kitty", "off"]

MULTIPLEXERS = ("TMUX", "STY", "ZELLIJ", "DVTM", "NVIM", "INSIDE_EMACS")
"""Set where another program draws the terminal: it passes on neither protocol as it is."""
KITTY = ("xterm-kitty", "xterm-ghostty")
"""Values of TERM whose terminals know Kitty's Unicode placeholders. WezTerm and Konsole know the protocol without them,
and without them a picture neither scrolls nor is covered as text is."""
SIXEL_TERMS = ("foot", "mlterm", "contour", "yaft", "wezterm")
SIXEL_PROGRAMS = ("WezTerm", "iTerm.app", "contour", "mintty")
KONSOLE_SIXEL = 220400
"""The first version of Konsole that draws Sixel, as KONSOLE_VERSION counts."""
OTHERS = ("XTERM_VERSION", "VTE_VERSION", "ALACRITTY_WINDOW_ID", "TERMINAL_EMULATOR")
"""Set by terminals that may have been started from another one whose variables they inherited."""


class Cell(NamedTuple):
    """Pixels of one terminal cell."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Terminal:
    """What is known of the terminal: its variables, its colours and, where it tells, the pixels of a cell."""

    environ: Mapping[str, str]
    truecolor: bool
    cell: Cell | None
    tty: bool = True


def choose(display: Display, terminal: Terminal) -> Protocol:
    """How to draw. What the user set is taken, but for a protocol that this terminal would print as garbage."""
    if display in ("off", "halfblock"):
        return "off" if display == "off" else "halfblock"
    if not terminal.tty or any(terminal.environ.get(name) for name in MULTIPLEXERS):
        return "halfblock"
    if (display == "kitty" or (display == "auto" and _knows_kitty(terminal.environ))) and terminal.truecolor:
        return "kitty"
    wanted = display == "sixel" or (display == "auto" and _knows_sixel(terminal.environ))
    return "sixel" if wanted and terminal.cell is not None else "halfblock"


def _knows_kitty(environ: Mapping[str, str]) -> bool:
    # TERM is what the terminal that is in front set; KITTY_WINDOW_ID and TERM_PROGRAM are inherited by any other.
    return environ.get("TERM", "").startswith(KITTY)


def _knows_sixel(environ: Mapping[str, str]) -> bool:
    term = environ.get("TERM", "")
    if term in ("", "dumb", "linux") or term.startswith(("screen", "tmux")):
        return False
    if term.startswith(SIXEL_TERMS):
        return True
    if any(environ.get(name) for name in OTHERS):
        return False
    konsole = environ.get("KONSOLE_VERSION", "")
    recent = konsole.isdecimal() and int(konsole) >= KONSOLE_SIXEL
    return recent or environ.get("TERM_PROGRAM") in SIXEL_PROGRAMS


def terminal(*, truecolor: bool, headless: bool = False) -> Terminal:
    """The terminal this process runs in; `truecolor` as the application found it. Textual draws on standard error."""
    out = sys.__stderr__
    tty = not headless and out is not None and out.isatty()
    return Terminal(os.environ, truecolor, _cell() if tty else None, tty)


def _cell() -> Cell | None:
    """Pixels of a cell as the system's terminal driver knows them, None where the terminal did not tell it."""
    try:
        import fcntl
        import struct
        import termios

        assert sys.__stderr__ is not None
        answer = fcntl.ioctl(sys.__stderr__.fileno(), termios.TIOCGWINSZ, b"\0" * 8)
    except (ImportError, OSError, ValueError):
        return None
    rows, columns, width, height = struct.unpack("HHHH", answer)
    if not (rows and columns and width // columns and height // rows):
        return None
    return Cell(width // columns, height // rows)
