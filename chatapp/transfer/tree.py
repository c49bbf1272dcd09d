"""The JSON export: the whole tree, one message a line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chatapp.codec import dump_message, load_message
from chatapp.conversation import Conversation, Node
from chatapp.errors import ArchiveError
from chatapp.jsonvalue import (
    check_fields,
    check_flag,
    check_id,
    check_list,
    decode,
    encode,
)
from chatapp.transfer.head import MAX_MESSAGES, check_length, dump_head, load_head

FORMAT = "chatapp.conversation"
"""The name every JSON export carries."""

_KEYS = frozenset({"format", "version", "id", "title", "created", "updated", "values", "roots", "chosen_root", "nodes"})
_NODE_KEYS = frozenset({"parent", "children", "chosen", "pinned", "message"})


def to_json(conversation: Conversation) -> str:
    """The whole tree as JSON, with the format's name and version; ArchiveError if a value in it is no JSON."""
    tree = {"roots": conversation.roots, "chosen_root": conversation.chosen_root}
    head = encode({"format": FORMAT} | dump_head(conversation) | tree)
    nodes = ",\n".join(encode(_dump_node(node)) for node in conversation.nodes.values())
    return f'{head[:-1]},\n"nodes":[\n{nodes}\n]}}\n'


def from_json(text: str) -> Conversation:
    """The conversation that `to_json` wrote, with its id; giving it another if that one is taken is up to the caller.

    Raises ArchiveError in one sentence for text that is empty, cut short, too long, of another format or a newer
    version, and for messages that do not form a tree.
    """
    check_length(text)
    raw = decode(text, "The file")
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise ArchiveError("This is no conversation that chatapp exported; choose a file that an export wrote.")
    conversation = load_head(raw)
    value = check_fields(raw, _KEYS, "The conversation")
    conversation.roots = _ids(value.get("roots"), "The list of first messages")
    conversation.chosen_root = value.get("chosen_root")
    for item in check_list(value.get("nodes"), "The list of messages", MAX_MESSAGES):
        _add_node(item, conversation)
    _check_tree(conversation)
    return conversation


def _dump_node(node: Node) -> dict[str, Any]:
    return {
        "parent": node.parent,
        "children": node.children,
        "chosen": node.chosen,
        "pinned": node.pinned,
        "message": dump_message(node.message),
    }


def _add_node(raw: Any, conversation: Conversation) -> None:
    value = check_fields(raw, _NODE_KEYS, "A message's place")
    message = load_message(value.get("message"))
    where = f"Message {message.id}"
    if message.id in conversation.nodes:
        raise ArchiveError(f"{where} is in the file twice, so its place cannot be told.")
    parent = value.get("parent")
    conversation.nodes[message.id] = Node(
        message,
        parent if parent is None else check_id(parent, f"{where}: parent"),
        _ids(value.get("children"), f"{where}: children"),
        value.get("chosen"),
        check_flag(value.get("pinned", False), f"{where}: pinned"),
    )


def _ids(value: Any, where: str) -> list[str]:
    return [check_id(item, where) for item in check_list(value, where, MAX_MESSAGES)]


def _check_tree(conversation: Conversation) -> None:
    """ArchiveError unless every message is reached from the first ones, once, through parents and children that agree.

    Once each message has one place at most, a walk from the roots meets all of them unless some form a ring.
    """
    nodes = conversation.nodes
    placed: set[str] = set()
    _check_versions(conversation, None, conversation.roots, conversation.chosen_root, placed)
    for name, node in nodes.items():
        _check_versions(conversation, name, node.children, node.chosen, placed)
    waiting = list(conversation.roots)
    reached = 0
    while waiting:
        reached += 1
        waiting.extend(nodes[waiting.pop()].children)
    if reached != len(nodes):
        raise ArchiveError("The messages in the file form a ring or hang in the air, so they are no conversation.")


def _check_versions(
    conversation: Conversation, parent: str | None, versions: Iterable[str], chosen: object, placed: set[str]
) -> None:
    """Check the messages that follow `parent` (None: the first ones), and note that they have their place."""
    own = set()
    for name in versions:
        if name not in conversation.nodes:
            raise ArchiveError(f"Message {name} is missing from the file, though another message leads to it.")
        if conversation.nodes[name].parent != parent or name in placed:
            raise ArchiveError(f"Message {name} is claimed by two places in the file, so its place cannot be told.")
        own.add(name)
        placed.add(name)
    if chosen is not None and not (isinstance(chosen, str) and chosen in own):
        raise ArchiveError(f"The file shows a message after {parent or 'the start'} that does not follow it.")
