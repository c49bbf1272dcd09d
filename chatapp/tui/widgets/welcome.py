"""The card of the first run: what is missing, what to choose from, and that one Enter is all it takes."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from chatapp.offers import Offer
from chatapp.progress import human_bytes
from chatapp.tui.safe import line, lines
from chatapp.tui.widgets.download import Download
from chatapp.tui.widgets.model_picker import ModelPicker

PROMISE = "Answers come from a language model on this computer; nothing you write leaves it."


class Welcome(Vertical):
    """Shown in the transcript while there is no model to answer. It never has the focus: the composer steers it."""

    def __init__(self, offers: Sequence[Offer], memory: int, wanted: str, *, offline: bool, sentence: str) -> None:
        """`wanted` is highlighted where it is among the offers, else the first; `sentence` says what is missing."""
        super().__init__(id="welcome")
        self._offers = offers
        self._memory = memory
        self._wanted = wanted
        self._offline = offline
        self._sentence = sentence
        self.picker = ModelPicker(focusable=False)
        self.download = Download()

    def compose(self) -> ComposeResult:
        """Greeting, list, progress, hint."""
        yield Static(self._greeting(False), classes="greeting")
        yield self.picker
        yield self.download
        yield Static(self._hint(), classes="hint")

    def on_mount(self) -> None:
        """The recommended model is highlighted."""
        self.border_title = "Welcome to chatapp"
        self.picker.offer(self._offers)
        self.picker.highlight(self._wanted)
        self.picker.display = bool(self._offers)

    def show_state(self, downloading: bool) -> None:
        """While something is fetched the list makes room for its progress."""
        self.picker.display = not downloading and bool(self._offers)
        self.query_one(".greeting", Static).update(self._greeting(downloading))
        self.query_one(".hint", Static).update(self._waiting() if downloading else self._hint())
        if not downloading:
            self.download.close()

    def _greeting(self, downloading: bool) -> Content:
        promise = line(PROMISE)
        if downloading:
            return promise
        if self._offline:
            return lines(
                [
                    line("No model is on this machine yet, and ", ("--offline", "bold"), " forbids downloading one."),
                    line(
                        "Add a file with ",
                        ("chatapp models add FILE", "bold"),
                        ", or type its path here and press Enter.",
                    ),
                ]
            )
        return lines(
            [
                promise,
                line(
                    "It has to be fetched once. ",
                    ("Press Enter to download the highlighted one", "bold $primary"),
                    f" (this machine has {human_bytes(self._memory)} of memory).",
                ),
            ]
        )

    def _hint(self) -> Content:
        if self._offline:
            return line((self._sentence, "dim"))
        return lines(
            [
                line(
                    ("Enter", "bold"),
                    " download   ",
                    ("↑ ↓", "bold"),
                    " choose another   ",
                    ("F3", "bold"),
                    " all models",
                ),
                line(
                    ("Or just type your question: it is answered as soon as the model is here.", "dim"),
                ),
                line(("Have a GGUF file already? Type its path and press Enter.", "dim")),
            ]
        )

    def _waiting(self) -> Content:
        return line(("You can type your question meanwhile; it is answered as soon as the model is here.", "dim"))
