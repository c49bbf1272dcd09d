"""Random trees of awkward messages go to disk, to JSON and to Markdown, and come back the same."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chatapp.archive import Archive
from chatapp.conversation import Conversation
from chatapp.messages import Data, Media, Message, Part, Reasoning, Role, Source, Text, ToolCall, ToolResult
from chatapp.text import HIDDEN
from chatapp.transfer import from_json, from_markdown, to_json, to_markdown

SEEDS = range(40)
ROLES: tuple[Role, ...] = ("system", "user", "assistant", "tool")
SCRAPS = (
    *("word", " ", "\n", "\n\n", "\r\n", "\r", "\t", "# You", "## Assistant\n", "---\n", "\\", "`", "```", "\n```py\n"),
    *(
        "\n~~~~\n",
        "<details>",
        "</details>\n",
        "</summary>\n\n",
        "\n\n</details>",
        "-->",
        "<!--",
        "--",
        "\x00",
        "\x1b[2J",
    ),
    *(
        "\n<!-- chatapp: text -->\n",
        "\n<!-- chatapp: end -->\n",
        "\n\\<!-- chatapp: x",
        "\n\\\\<!-- chatapp:",
        "<!-- chatapp:",
    ),
    *(
        "\x7f",
        "\x9b",
        "\u2028",
        "\u202e",
        "\ufeff",
        "\udc80",
        "\U000e0041",
        "é",
        "你好",
        "👩\u200d👧",
        '"',
        "'",
        "%",
        "\x02",
    ),
)


def scraps(rng: random.Random, most: int = 12) -> str:
    return "".join(rng.choice(SCRAPS) for _ in range(rng.randint(0, most)))


def random_part(rng: random.Random) -> Part:
    data: dict[str, Any] = {
        scraps(rng, 3): rng.choice([None, True, 3, -0.5, scraps(rng), [scraps(rng)], {"x": {"y": []}}])
    }
    makers: list[Callable[[], Part]] = [
        lambda: Text(scraps(rng)),
        lambda: Text(scraps(rng, 40)),
        lambda: Reasoning(scraps(rng), rng.choice([None, 2.25]), rng.choice([None, 17])),
        lambda: ToolCall(scraps(rng), scraps(rng), data),
        lambda: ToolResult(scraps(rng), scraps(rng), scraps(rng), rng.random() < 0.5),
        lambda: Media(scraps(rng), rng.choice(["image/png", "audio/wav"]), scraps(rng), data),
        lambda: Source(scraps(rng), scraps(rng), scraps(rng), scraps(rng), rng.choice([None, 3]), 0.5, scraps(rng)),
        lambda: Data(scraps(rng), data, scraps(rng)),
        lambda: Data("unknown.new", {"kind": "new", "more": [data]}),
    ]
    return rng.choice(makers)()


def random_message(rng: random.Random) -> Message:
    parts = tuple(random_part(rng) for _ in range(rng.randint(0, 4)))
    return Message(
        rng.choice(ROLES), parts, f"{rng.getrandbits(48):012x}", rng.uniform(0, 2e9), scraps(rng), {"m": [1]}
    )


def random_tree(seed: int) -> Conversation:
    """A conversation made as a user makes one: answering, editing, stepping back, cutting, pinning."""
    rng = random.Random(seed)
    title = scraps(rng).replace("\udc80", "")
    tree = Conversation(f"{rng.getrandbits(48):012x}", title, rng.uniform(0, 2e9), values={"role": scraps(rng)})
    for _ in range(rng.randint(0, 40)):
        names = list(tree.nodes)
        if names and rng.random() < 0.3:
            tree.step(rng.choice(names), rng.choice([-1, 1]))
        if names and rng.random() < 0.15:
            tree.cut(rng.choice([None, *names]))
        if names and rng.random() < 0.2:
            tree.pin(rng.choice(names))
        tree.add(random_message(rng), rng.choice([None, *names, tree.head]))
    if rng.random() < 0.3:
        tree.cut(None)
    return tree


@pytest.mark.parametrize("seed", SEEDS)
def test_archive_gives_the_tree_back(seed: int, tmp_path: Path) -> None:
    tree = random_tree(seed)
    with Archive(tmp_path / "c.db") as archive:
        archive.save(tree)
    with Archive(tmp_path / "c.db") as archive:
        assert archive.load(tree.id) == tree
        archive.save(tree)
        assert archive.load(tree.id) == tree


@pytest.mark.parametrize("seed", SEEDS)
def test_archive_gives_a_tree_back_that_was_saved_message_by_message(seed: int, tmp_path: Path) -> None:
    tree = random_tree(seed)
    rng = random.Random(seed)
    with Archive(tmp_path / "c.db") as archive:
        archive.save_values(tree)
        for name in sorted(tree.nodes, key=lambda _: rng.random()):
            archive.save_message(tree, name)
        assert archive.load(tree.id) == tree


@pytest.mark.parametrize("seed", SEEDS)
def test_json_gives_the_tree_back_and_hides_nothing(seed: int) -> None:
    tree = random_tree(seed)
    text = to_json(tree)
    assert from_json(text) == tree
    assert HIDDEN.search(text) is None


@pytest.mark.parametrize("seed", SEEDS)
def test_markdown_gives_the_shown_path_back_and_hides_nothing(seed: int) -> None:
    tree = random_tree(seed)
    text = to_markdown(tree)
    again = from_markdown(text)
    assert list(again.path()) == list(tree.path())
    assert [node.pinned for node in again.nodes.values()] == [tree.nodes[name].pinned for name in again.nodes]
    assert (again.id, again.title, again.created, again.updated, again.values) == (
        *(tree.id, tree.title, tree.created, tree.updated),
        tree.values,
    )
    assert HIDDEN.search(text) is None
    assert to_markdown(again) == text


def test_the_trees_are_worth_the_name() -> None:
    trees = [random_tree(seed) for seed in SEEDS]
    assert max(len(tree) for tree in trees) > 30
    assert any(len(node.children) > 2 for tree in trees for node in tree.nodes.values())
    assert any(node.children and node.chosen is None for tree in trees for node in tree.nodes.values())
    assert any(node.pinned for tree in trees for node in tree.nodes.values())
    assert max(len(list(tree.path())) for tree in trees) > 5
