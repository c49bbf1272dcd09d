"""The tree of messages: adding, branching, walking, cutting; whatever is done, no message is lost."""

from __future__ import annotations

import random

import pytest

from chatapp import Conversation, Message, UsageError, assistant, user


def talk(*texts: str) -> tuple[Conversation, list[Message]]:
    """A conversation of these messages, the user's first, and the messages."""
    conversation = Conversation()
    made = [user(text) if place % 2 == 0 else assistant(text) for place, text in enumerate(texts)]
    for message in made:
        conversation.append(message)
    return conversation, made


def shown(conversation: Conversation) -> list[str]:
    """The texts on the shown path."""
    return [message.text for message in conversation.path()]


def test_an_empty_one_has_nothing() -> None:
    conversation = Conversation()
    assert (len(conversation), conversation.head, shown(conversation)) == (0, None, [])
    conversation.cut(None)
    with pytest.raises(UsageError, match="no message nowhere"):
        conversation.node("nowhere")


def test_messages_follow_one_another() -> None:
    conversation, made = talk("a", "b", "c")
    assert shown(conversation) == ["a", "b", "c"]
    assert conversation.head == made[2].id
    assert [conversation.before(message.id) for message in made] == [None, made[0].id, made[1].id]
    assert conversation.updated >= made[2].created


def test_a_message_beside_another_is_a_branch_and_is_shown() -> None:
    conversation, (a, b, _, d) = talk("a", "b", "c", "d")
    other = conversation.add(assistant("B"), a.id)
    assert shown(conversation) == ["a", "B"]
    assert conversation.siblings(b.id) == conversation.siblings(other.id) == [b.id, other.id]
    assert conversation.step(other.id, -1) == b.id
    assert shown(conversation) == ["a", "b", "c", "d"], "what follows stays as it was last chosen"
    first = conversation.add(user("A"), None)
    assert shown(conversation) == ["A"]
    assert conversation.siblings(a.id) == [a.id, first.id]
    conversation.show(d.id)
    assert shown(conversation) == ["a", "b", "c", "d"]
    assert len(conversation) == 6


def test_walking_stops_at_both_ends() -> None:
    conversation, (a, b) = talk("a", "b")
    others = [conversation.add(assistant(str(number)), a.id).id for number in range(2)]
    assert conversation.step(b.id, -1) == b.id
    assert conversation.step(b.id, 1) == others[0]
    assert conversation.step(others[0], 5) == others[1]
    assert conversation.step(others[1], 1) == others[1]


def test_cutting_hides_and_keeps() -> None:
    conversation, (a, b, c) = talk("a", "b", "c")
    conversation.cut(a.id)
    assert shown(conversation) == ["a"]
    conversation.show(c.id)
    assert shown(conversation) == ["a", "b", "c"]
    conversation.cut(None)
    assert (shown(conversation), len(conversation)) == ([], 3)
    assert conversation.node(b.id).message.text == "b"


def test_a_message_that_grew_takes_its_own_place() -> None:
    conversation, (_, b) = talk("a", "b")
    conversation.update(Message("assistant", assistant("b and more").parts, b.id))
    assert shown(conversation) == ["a", "b and more"]
    changed = conversation.set_meta(b.id, {"rated": "up"})
    assert conversation.set_meta(b.id, {"model": "m"}).meta == {**changed.meta, "model": "m"}
    assert len(conversation) == 2


def test_what_does_not_fit_is_refused_and_changes_nothing() -> None:
    conversation, (a, b) = talk("a", "b")
    with pytest.raises(UsageError, match="already in this conversation"):
        conversation.add(b, a.id)
    with pytest.raises(UsageError, match="no message gone"):
        conversation.add(user("c"), "gone")
    with pytest.raises(UsageError, match="no message gone"):
        conversation.show("gone")
    assert shown(conversation) == ["a", "b"]
    assert len(conversation) == 2
    assert conversation.node(a.id).children == [b.id]


def test_a_pin_is_set_and_taken_off() -> None:
    conversation, (a, _) = talk("a", "b")
    conversation.pin(a.id)
    assert conversation.node(a.id).pinned
    conversation.pin(a.id, False)
    assert not conversation.node(a.id).pinned


@pytest.mark.parametrize("seed", range(20))
def test_nothing_anyone_does_breaks_the_tree(seed: int) -> None:
    dice = random.Random(seed)
    conversation, added = talk("start")
    for number in range(200):
        some = dice.choice(added).id
        match dice.randrange(5):
            case 0:
                added.append(conversation.add(user(str(number)), dice.choice([some, None])))
            case 1:
                added.append(conversation.append(assistant(str(number))))
            case 2:
                conversation.step(some, dice.choice([-1, 1]))
            case 3:
                conversation.cut(dice.choice([some, None]))
            case _:
                conversation.show(some)
                assert some in [message.id for message in conversation.path()]
    assert set(conversation.nodes) == {message.id for message in added}
    for name, node in conversation.nodes.items():
        assert name in conversation.siblings(name)
        assert node.chosen is None or node.chosen in node.children
        assert all(conversation.nodes[child].parent == name for child in node.children)
    path = list(conversation.path())
    assert conversation.head == (path[-1].id if path else None)
    assert [conversation.before(each.id) for each in path] == [None, *(each.id for each in path)][: len(path)]
