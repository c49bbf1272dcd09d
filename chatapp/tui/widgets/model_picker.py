"""A list of models to choose from, used on the first run and in the models screen."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from chatapp.offers import Offer
from chatapp.progress import human_bytes
from chatapp.text import one_line
from chatapp.tui.safe import line, lines


class ModelPicker(OptionList):
    """Two lines for each model: name and state; size, licence, context and what it is for."""

    def __init__(self, *, focusable: bool = True) -> None:
        super().__init__(classes="models", compact=True)
        self.can_focus = focusable
        self.offers: Sequence[Offer] = ()
        self._using = ""

    @property
    def chosen(self) -> Offer | None:
        """The highlighted model."""
        return self.offers[self.highlighted] if self.highlighted is not None and self.offers else None

    def offer(self, offers: Sequence[Offer], using: str = "") -> None:
        """Show these; `using` is the one that answers now. The highlight stays on the model it was on."""
        before = self.chosen
        self.offers = offers
        self._using = using
        self._fill()
        names = [each.name for each in offers]
        self.highlighted = names.index(before.name) if before and before.name in names else 0 if names else None

    def on_resize(self) -> None:
        """Rows are cut to the width there is."""
        place = self.highlighted
        self._fill()
        self.highlighted = place

    def _fill(self) -> None:
        room = max((self.size.width or self.app.size.width) - 4, 30)
        self.set_options(Option(row(each, each.name == self._using, room)) for each in self.offers)

    def highlight(self, name: str) -> None:
        """Highlight that one, where it is among them."""
        names = [each.name for each in self.offers]
        if name in names:
            self.highlighted = names.index(name)

    def move(self, by: int) -> None:
        """Highlight the next or the one before."""
        if self.offers:
            self.highlighted = min(max((self.highlighted or 0) + by, 0), len(self.offers) - 1)


def row(offer: Offer, using: bool, room: int) -> Content:
    """What there is to know about one model, in two lines of `room` cells at most."""
    title = offer.entry.title if offer.entry is not None else offer.name
    return lines(
        [
            line((one_line(title, 44), "bold"), *_marks(offer, using)),
            line((f"  {one_line(' · '.join(_details(offer)), room - 2)}", "dim")),
        ]
    )


def _marks(offer: Offer, using: bool) -> list[tuple[str, str]]:
    marks = [("  ★ recommended", "$warning")] if offer.recommended else []
    if offer.problem:
        marks.append(("  damaged", "$error"))
    elif using and offer.usable:
        marks.append(("  ✓ in use", "$success"))
    elif offer.usable:
        marks.append(("  ✓ on this machine", "$success"))
    elif not offer.fits and offer.entry is not None:
        marks.append((f"  needs {human_bytes(offer.entry.memory)} of memory", "$error"))
    return marks


def _details(offer: Offer) -> list[str]:
    facts = [human_bytes(offer.size)]
    if offer.entry is not None:
        facts += [offer.entry.licence, f"context {offer.entry.context_length // 1024}k"]
        facts += [offer.entry.description] if offer.entry.description else []
    elif offer.installed is not None:
        facts.append(str(offer.installed.path))
    return facts
