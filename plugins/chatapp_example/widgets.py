"""What the example shows in the chat. Textual is imported here only, so the shell never pays for it."""

from __future__ import annotations

from textual.widgets import Static

from chatapp import Data, Session

FACES = "⚀⚁⚂⚃⚄⚅"


def roll_widget(part: Data) -> Static:
    """A roll: the face of a die where there is one for it."""
    roll, sides = part.value["roll"], part.value["sides"]
    face = FACES[roll - 1] if sides == len(FACES) else ""
    return Static(f"{face} {roll} of {sides}".strip(), markup=False)


class AnswersPanel(Static):
    """How many answers of this conversation came to an end by themselves; looks again every second."""

    def __init__(self, session: Session) -> None:
        super().__init__(markup=False)
        self._session = session

    def on_mount(self) -> None:
        """Show the count, and keep it fresh."""
        self.set_interval(1.0, self._show)
        self._show()

    def _show(self) -> None:
        self.update(f"Answers so far: {self._session.values.get('example.answers', 0)}")


def answers_panel(session: Session) -> AnswersPanel:
    """The side panel for a session."""
    return AnswersPanel(session)
