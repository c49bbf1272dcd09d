"""The archive under other processes: killed in mid-write, writing at once; and what one save writes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from chatapp.archive import Archive
from chatapp.conversation import Conversation, Node
from chatapp.messages import Text, assistant, user

STREAM = """
import sys
from dataclasses import replace
from pathlib import Path
from chatapp.archive import Archive
from chatapp.conversation import Conversation
from chatapp.messages import Text, assistant, user
archive = Archive(Path(sys.argv[1]))
conversation = Conversation(id="killed")
while True:
    question = conversation.append(user(f"question {len(conversation)}"))
    archive.save_message(conversation, question.id)
    print("saved", question.id, 0, flush=True)
    answer = conversation.append(assistant(""))
    for length in range(1, 30):
        conversation.update(replace(answer, parts=(Text("word " * length),)))
        archive.save_message(conversation, answer.id)
        print("saved", answer.id, length, flush=True)
"""


@pytest.mark.parametrize("lines", [1, 40, 333])
def test_what_was_saved_before_a_kill_is_there_afterwards(lines: int, tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    with subprocess.Popen([sys.executable, "-c", STREAM, path], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(lines)]
        writer.kill()
        said += writer.stdout.readlines()
    # A kill in mid-print leaves half a line; its message was saved, and only its number is unknown.
    saved = [line.split() for line in said if line.endswith("\n")]
    archive, notice = Archive.open(path)
    with archive:
        conversation = archive.load("killed")
        assert notice is None
        assert len(saved) >= lines
        for _, name, length in saved:
            message = conversation.node(name).message
            assert message.role == "user" or message.text.count("word") >= int(length)
        names = list(dict.fromkeys(name for _, name, _ in saved))
        assert [message.id for message in conversation.path()][: len(names)] == names
        archive.save(conversation)


WRITE = """
import sys
from pathlib import Path
from chatapp.archive import Archive
from chatapp.conversation import Conversation
from chatapp.messages import Message, Text
path, who, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
archive, notice = Archive.open(path)
assert notice is None, notice
with archive:
    own = Conversation(id=f"own-{who}")
    shared = Conversation(id="shared", created=1.0)
    for number in range(count):
        for conversation, parent in ((own, own.head), (shared, shared.head if number % 3 else None)):
            message = Message("user", (Text(f"{who} wrote {number}"),), id=f"{conversation.id}-{who}-{number}")
            conversation.add(message, parent)
            archive.save_message(conversation, message.id)
"""


def start(path: Path, who: str, count: int) -> subprocess.Popen[str]:
    command: list[str | Path] = [sys.executable, "-c", WRITE, path, who, str(count)]
    writer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    return writer


@pytest.mark.parametrize("fresh", [True, False])
def test_processes_that_write_at_once_lose_nothing(fresh: bool, tmp_path: Path) -> None:
    path, names, count = tmp_path / "c.db", "abc", 60
    if not fresh:
        Archive(path).close()
    writers = [start(path, who, count) for who in names]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0] * len(names)
    with Archive(path) as archive:
        shared = archive.load("shared")
        for who in names:
            own = archive.load(f"own-{who}")
            assert [message.text for message in own.path()] == [f"{who} wrote {n}" for n in range(count)]
            for number in range(count):
                node = shared.node(f"shared-{who}-{number}")
                assert node.parent == (f"shared-{who}-{number - 1}" if number % 3 else None)
        assert len(shared) == count * len(names)
        assert len(archive.search("wrote", limit=1000)) == 2 * count * len(names)
        assert len(list(shared.path())) == 3


def test_one_who_does_not_know_of_a_message_does_not_hide_it(tmp_path: Path) -> None:
    with Archive(tmp_path / "c.db") as here, Archive(tmp_path / "c.db") as there:
        conversation = Conversation()
        question = conversation.append(user("question"))
        here.save(conversation)
        other = there.load(conversation.id)
        answer = other.append(assistant("answer"))
        there.save_message(other, answer.id)
        conversation.values["role"] = "teacher"
        here.save_values(conversation)
        here.save_message(conversation, question.id)
        here.save(conversation)
        assert here.list()[0].updated == answer.created
        assert [message.text for message in here.load(conversation.id).path()] == ["question", "answer"]


def chain(messages: int) -> Conversation:
    """A conversation of that many messages, made without walking the path for each."""
    conversation = Conversation()
    last: str | None = None
    for number in range(messages):
        message = user(f"message {number}") if number % 2 else assistant(f"answer {number}")
        conversation.nodes[message.id] = Node(message, last)
        if last is None:
            conversation.roots, conversation.chosen_root = [message.id], message.id
        else:
            conversation.nodes[last].children, conversation.nodes[last].chosen = [message.id], message.id
        last = message.id
    return conversation


def cost_of_growing_answer(path: Path, messages: int) -> tuple[int, list[str]]:
    """What twenty saves of a growing last message add to the log, in bytes, and the statements of the last one."""
    conversation = chain(messages)
    with Archive(path) as archive:
        archive.save(conversation)
    last = conversation.head
    assert last is not None
    log = path.with_name(path.name + "-wal")
    with Archive(path) as archive:
        for length in range(20):
            statements: list[str] = []
            archive._db.set_trace_callback(statements.append)  # type: ignore[union-attr]
            conversation.update(replace(conversation.node(last).message, parts=(Text("word " * length),)))
            archive.save_message(conversation, last)
        archive._db.set_trace_callback(None)  # type: ignore[union-attr]
        assert archive.load(conversation.id) == conversation
        return log.stat().st_size, [" ".join(statement.split()[:4]) for statement in statements]


def test_saving_a_message_costs_the_same_in_a_conversation_of_ten_thousand(tmp_path: Path) -> None:
    written, statements = cost_of_growing_answer(tmp_path / "short.db", 2)
    written_long, statements_long = cost_of_growing_answer(tmp_path / "long.db", 10_000)
    assert statements_long == statements
    assert 5 < len(statements) < 30
    # Each save writes whole pages; a larger tree adds only the inner pages of the index to the word lists.
    assert written > 20 * 4096
    assert written_long < 2 * written
