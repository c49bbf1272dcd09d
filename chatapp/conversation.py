"""A conversation: a tree of messages and the path through it that is shown.

Editing a message or asking for another answer adds a sibling; nothing is ever overwritten, and the reader walks
between the branches.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from chatapp.errors import UsageError
from chatapp.messages import Message, new_id
from chatapp.text import one_line

TITLE_WIDTH = 60
"""Cells of a title that is taken from a message."""


@dataclass(slots=True)
class Node:
    """A message in the tree; `chosen` is the child on the shown path, None at a leaf."""

    message: Message
    parent: str | None
    children: list[str] = field(default_factory=list)
    chosen: str | None = None
    pinned: bool = False


@dataclass(slots=True)
class Conversation:
    """The tree. `head` is the last message of the shown path, None while there is none.

    `values` is JSON kept with the conversation: what plugins switched on (`role`, `rag`), the sampling, the model.
    Times are in seconds since 1970.
    """

    id: str = field(default_factory=new_id)
    title: str = ""
    created: float = field(default_factory=time.time)
    updated: float = field(default_factory=time.time)
    values: dict[str, Any] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    roots: list[str] = field(default_factory=list)
    chosen_root: str | None = None

    @property
    def head(self) -> str | None:
        """The id of the last message on the shown path."""
        last = None
        for message in self.path():
            last = message.id
        return last

    def path(self) -> Iterator[Message]:
        """The shown messages, first to last."""
        current = self.chosen_root
        while current is not None:
            node = self.nodes[current]
            yield node.message
            current = node.chosen

    def __len__(self) -> int:
        """How many messages the whole tree holds, shown or not."""
        return len(self.nodes)

    def add(self, message: Message, parent: str | None) -> Message:
        """Add `message` under `parent` (None: as a first message) and show it.

        Raises UsageError if the parent is not in this conversation or the id is taken.
        """
        if message.id in self.nodes:
            raise UsageError(f"Message {message.id} is already in this conversation.")
        if parent is not None:
            self.node(parent).children.append(message.id)
        else:
            self.roots.append(message.id)
        self.nodes[message.id] = Node(message, parent)
        self.show(message.id)
        self.updated = max(self.updated, message.created)
        return message

    def ask(self, message: Message, parent: str | None) -> None:
        """Add a question, or end the shown path at it when it is asked once more."""
        if message.id in self.nodes:
            self.cut(message.id)
        else:
            self.add(message, parent)
            self.name_after(message)

    def name_after(self, message: Message) -> None:
        """Call the conversation as this message begins, while it has no title."""
        self.title = self.title or one_line(message.text, TITLE_WIDTH)

    def append(self, message: Message) -> Message:
        """Add `message` after the last one shown."""
        return self.add(message, self.head)

    def update(self, message: Message) -> None:
        """Put a newer version of the same message (an answer that grew) in its place."""
        self.node(message.id).message = message

    def node(self, message_id: str) -> Node:
        """The node of that message; UsageError if it is not here."""
        try:
            return self.nodes[message_id]
        except KeyError:
            raise UsageError(f"There is no message {message_id} in this conversation.") from None

    def siblings(self, message_id: str) -> list[str]:
        """The versions of this message, itself among them, oldest first."""
        parent = self.node(message_id).parent
        return list(self.roots if parent is None else self.nodes[parent].children)

    def show(self, message_id: str) -> None:
        """Make the shown path go through this message; what follows it stays as it was last chosen."""
        current: str | None = message_id
        while current is not None:
            parent = self.node(current).parent
            if parent is None:
                self.chosen_root = current
            else:
                self.nodes[parent].chosen = current
            current = parent

    def step(self, message_id: str, by: int) -> str:
        """Show the version `by` places after (or before) this one, without wrapping; returns its id."""
        versions = self.siblings(message_id)
        place = min(max(versions.index(message_id) + by, 0), len(versions) - 1)
        self.show(versions[place])
        return versions[place]

    def cut(self, message_id: str | None) -> None:
        """End the shown path at this message (None: before the first); the rest stays in the tree."""
        if message_id is None:
            self.chosen_root = None
        else:
            self.show(message_id)
            self.node(message_id).chosen = None

    def before(self, message_id: str) -> str | None:
        """The id of the message this one answers or follows."""
        return self.node(message_id).parent

    def pin(self, message_id: str, on: bool = True) -> None:
        """Keep this message in every prompt, however long the conversation grows."""
        self.node(message_id).pinned = on

    def set_meta(self, message_id: str, meta: Mapping[str, Any]) -> Message:
        """Merge `meta` into the message's own and return the new version."""
        node = self.node(message_id)
        node.message = replace(node.message, meta={**node.message.meta, **meta})
        return node.message
