"""Whoever is asked while another program is answered: nobody."""

from __future__ import annotations

from collections.abc import Sequence

from chatapp import Ask, Decision, Part, Progress


class Quiet:
    """A UI with nobody in front: each question is answered with no, and what is said goes nowhere."""

    def notify(self, text: str, level: str = "information") -> None:
        """There is nobody to tell; what makes an answer fail is told to the client."""

    async def confirm(self, question: str, detail: str = "") -> bool:
        """No."""
        return False

    async def choose(self, question: str, options: Sequence[str]) -> str | None:
        """None of them."""
        return None

    async def prompt(self, question: str, default: str = "") -> str | None:
        """Nothing."""
        return None

    async def permit(self, ask: Ask) -> Decision:
        """No: another program cannot allow what the user must."""
        return Decision("no", "another program asks, and nobody is here to allow it.")

    def progress(self, progress: Progress) -> None:
        """There is nobody to show it to."""

    def show(self, part: Part) -> None:
        """There is nobody to show it to."""
