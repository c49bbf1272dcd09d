"""The archive as its callers see it: saving, loading, listing, searching, deleting."""

from __future__ import annotations

import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chatapp.archive import MARK_END, MARK_START, Archive
from chatapp.conversation import Conversation
from chatapp.errors import ArchiveError
from chatapp.messages import Data, Message, Text, assistant, user


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path / "data" / "conversations.db") as opened:
        yield opened


def talk(*texts: str, title: str = "", at: float = 1_000.0, name: str | None = None) -> Conversation:
    """A conversation of alternating user's and assistant's texts, one a second from `at`."""
    conversation = Conversation(title=title, created=at, updated=at)
    conversation.id = name or conversation.id
    for place, text in enumerate(texts):
        message = assistant(text) if place % 2 else user(text)
        conversation.append(replace(message, created=at + place))
    return conversation


def found(archive: Archive, query: str) -> list[str]:
    return [hit.snippet.replace(MARK_START, "[").replace(MARK_END, "]") for hit in archive.search(query)]


def test_an_answer_that_grows_is_saved_as_it_grows(archive: Archive) -> None:
    conversation = talk("What is a tree?")
    archive.save_message(conversation, conversation.roots[0])
    answer = conversation.append(assistant(""))
    for length in (1, 5, 12):
        conversation.update(replace(answer, parts=(Text("A plant, tall"[:length]),)))
        archive.save_message(conversation, answer.id)
        assert archive.load(conversation.id) == conversation
    assert found(archive, "tall") == []
    assert found(archive, "plant") == ["A [plant], tal"]


def test_a_message_whose_forerunners_were_never_saved_brings_them_along(archive: Archive) -> None:
    conversation = talk("one", "two", "three", title="Count")
    head = conversation.head
    assert head is not None
    archive.save_message(conversation, head)
    assert archive.load(conversation.id) == conversation


def test_values_title_pins_and_choice_are_saved_without_messages(archive: Archive) -> None:
    conversation = talk("one", "two")
    archive.save(conversation)
    first = conversation.roots[0]
    other = conversation.add(assistant("another"), first)
    archive.save_message(conversation, other.id)
    conversation.step(other.id, -1)
    conversation.pin(first)
    conversation.values["role"] = {"name": "teacher"}
    conversation.title = "Numbers"
    archive.save_values(conversation)
    loaded = archive.load(conversation.id)
    assert loaded == conversation
    assert [message.text for message in loaded.path()] == ["one", "two"]


def test_a_new_name_is_not_undone_by_whoever_still_has_the_old_one(archive: Archive) -> None:
    conversation = talk("one", title="Old")
    archive.save(conversation)
    archive.rename(conversation.id, "New")
    archive.save_message(conversation, conversation.roots[0])
    assert archive.load(conversation.id).title == "New"


def test_a_part_of_the_future_survives_loading_and_saving(archive: Archive) -> None:
    conversation = Conversation()
    conversation.append(Message("user", (Data("unknown.hologram", {"kind": "hologram", "rays": [1, 2]}),)))
    archive.save(conversation)
    loaded = archive.load(conversation.id)
    archive.save(loaded)
    assert archive.load(conversation.id) == conversation


def test_conversations_are_found_by_the_beginning_of_their_id(archive: Archive) -> None:
    for name in ("abc111", "abc222", "def333", "abc"):
        archive.save(talk("hello", name=name))
    assert archive.load("d").id == "def333"
    assert archive.find("abc2") == "abc222"
    assert archive.find("abc") == "abc"
    with pytest.raises(ArchiveError, match="“ab” begins the ids of 3 conversations; give more of it"):
        archive.load("ab")
    archive.delete("abc111")
    archive.delete("abc")
    assert archive.find("ab") == "abc222"
    assert archive.load("abc111").id == "abc111"


@pytest.mark.parametrize("asked", ["zzz", "", "%", "a_c", "' OR 1=1 --", "caf\udce9", "\x00", "é"])
def test_an_unknown_id_is_said(archive: Archive, asked: str) -> None:
    archive.save(talk("hello", name="abc"))
    with pytest.raises(ArchiveError, match="There is no conversation"):
        archive.load(asked)


def test_list_is_newest_first_and_tells_what_each_is_about(archive: Archive) -> None:
    archive.save(talk("\n  First \x1b[31m question\nsecond line", "yes", title="A", at=100))
    archive.save(talk("Later question", at=300))
    archive.save(talk(at=200))
    listed = archive.list()
    assert [(item.title, item.preview, item.messages, item.created, item.updated) for item in listed] == [
        ("", "Later question", 1, 300, 300),
        ("", "", 0, 200, 200),
        ("A", "First ␛[31m question second line", 2, 100, 101),
    ]
    assert archive.list(limit=1) == listed[:1]
    assert archive.latest() == listed[0].id


def test_an_empty_archive_has_nothing(archive: Archive) -> None:
    assert archive.list() == []
    assert archive.latest() is None
    assert archive.search("anything") == []


def test_deleting_hides_and_restoring_brings_back(archive: Archive) -> None:
    kept, gone = talk("keep this", at=100), talk("lose this", at=200)
    archive.save(kept)
    archive.save(gone)
    archive.delete(gone.id)
    archive.delete(gone.id)
    assert [item.id for item in archive.list()] == [kept.id] == [archive.latest()]
    assert [item.id for item in archive.list(deleted=True)] == [gone.id]
    assert found(archive, "this") == ["keep [this]"]
    archive.restore(gone.id)
    assert [item.id for item in archive.list()] == [gone.id, kept.id]
    assert archive.list(deleted=True) == []
    assert archive.load(gone.id) == gone


def test_purging_removes_only_what_was_deleted_long_enough_ago(archive: Archive) -> None:
    kept, gone = talk("keep this"), talk("lose this", "yes")
    written_since = talk("written after it was deleted", at=time.time() + 60)
    for conversation in (kept, gone, written_since):
        archive.save(conversation)
    archive.delete(gone.id)
    archive.delete(written_since.id)
    assert archive.purge(3600) == 0
    assert archive.purge(0) == 1
    with pytest.raises(ArchiveError):
        archive.load(gone.id)
    archive.restore(written_since.id)
    assert {item.id for item in archive.list()} == {kept.id, written_since.id}
    archive.save(gone)
    assert found(archive, "lose") == ["[lose] this"]


def test_search_looks_through_the_whole_tree_and_the_titles(archive: Archive) -> None:
    conversation = talk("What is a Bäckerei?", "A bakery.", title="German \x02lesson\x03")
    conversation.add(assistant("A shop for bread."), conversation.roots[0])
    archive.save(conversation)
    archive.save(talk("unrelated"))
    assert found(archive, "backerei") == ["What is a [Bäckerei]?"]
    assert found(archive, "BAKERY a") == ["[A] [bakery]."]
    assert found(archive, "shop brea") == ["A [shop] for [bread]."]
    assert found(archive, "shop bakery") == []
    (hit,) = archive.search("lesson")
    assert (hit.conversation, hit.message) == (conversation.id, None)
    assert found(archive, "lesson") == ["German ␂[lesson]␃"]
    (hit,) = archive.search("bakery")
    assert conversation.node(hit.message or "").message.text == "A bakery."
    archive.rename(conversation.id, "Deutsch")
    assert found(archive, "lesson") == []
    assert found(archive, "deut") == ["[Deutsch]"]


def test_search_finds_words_of_scripts_written_without_spaces(archive: Archive) -> None:
    archive.save(talk("我想学习世界历史。", "歴史はおもしろいです"))
    assert found(archive, "世界") == ["我想学习[世界]历史。"]
    assert found(archive, "おもしろ") == ["歴史は[おもしろ]いです"]
    assert found(archive, "界世") == []


@pytest.mark.parametrize(
    "query",
    [
        *(
            '"',
            '"unclosed',
            "a AND",
            "OR",
            "NOT x",
            "NEAR(a b)",
            "col:a",
            "*",
            "a*b",
            "(",
            ")",
            "^a",
            "-a",
            "a + b",
            "{a}",
        ),
        *(
            "",
            "   ",
            "\x00",
            'x\x00"',
            "\udc9b",
            "'; DROP TABLE message; --",
            "?",
            "$1",
            "😀",
            "a" * 100_000,
            "w " * 5_000,
        ),
    ],
)
def test_no_query_is_an_error(archive: Archive, query: str) -> None:
    archive.save(talk("some words here"))
    assert archive.search(query) == []


def test_search_takes_signs_among_words_as_the_user_means_them(archive: Archive) -> None:
    archive.save(talk('He said "stop it" to foo-bar in C++ (v1.2)'))
    for query in ('"stop it"', "foo-bar", "c++", "(v1.2)", "said: stop", "stop -- it", "foo-b", "STOP, it!"):
        assert len(archive.search(query)) == 1, query


def test_search_is_limited_and_best_first(archive: Archive) -> None:
    archive.save(talk("cat " + "filler " * 200, "cat", *["dog"] * 5))
    assert [hit.snippet for hit in archive.search("cat", limit=1)] == [f"{MARK_START}cat{MARK_END}"]
    assert len(archive.search("dog", limit=3)) == 3


def test_file_and_folder_are_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "conversations.db"
    with Archive(path) as archive:
        archive.save(talk("secret"))
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == dict.fromkeys((path.name, path.name + "-wal", path.name + "-shm"), 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_that_others_could_read_is_made_private(tmp_path: Path) -> None:
    path = tmp_path / "conversations.db"
    Archive(path).close()
    path.chmod(0o644)
    Archive(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_closing_twice_is_harmless_and_use_afterwards_is_said(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "c.db")
    archive.close()
    archive.close()
    with pytest.raises(ArchiveError, match="have been closed"):
        archive.list()


def test_threads_share_one_archive(archive: Archive) -> None:
    conversations = [talk(*(f"text {place} of {thread}" for place in range(20))) for thread in range(6)]
    failures: list[BaseException] = []

    def write(conversation: Conversation) -> None:
        try:
            for name in conversation.nodes:
                archive.save_message(conversation, name)
                archive.search("text")
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=write, args=(conversation,)) for conversation in conversations]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert all(archive.load(conversation.id) == conversation for conversation in conversations)


def test_what_cannot_be_kept_is_refused_and_changes_nothing(archive: Archive) -> None:
    conversation = talk("one", title="Good")
    archive.save(conversation)
    conversation.title = "Bad"
    bad = conversation.append(Message("assistant", (Text("two"),), meta={"path": object()}))
    with pytest.raises(ArchiveError, match=f"Message {bad.id}: meta should be a JSON value, not object"):
        archive.save(conversation)
    assert len(archive.load(conversation.id)) == 1
    assert [(item.title, item.messages) for item in archive.list()] == [("Good", 1)]
