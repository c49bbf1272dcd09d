"""Files that cannot be used: broken, foreign, newer, read-only, on a full disk."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from chatapp.archive import Archive
from chatapp.archive.schema import MIGRATIONS, suspect
from chatapp.conversation import Conversation
from chatapp.errors import ArchiveError
from chatapp.messages import user


def filled(path: Path, messages: int = 60) -> Conversation:
    """An archive of one long conversation at `path`, closed again."""
    conversation = Conversation(title="Before the damage")
    for number in range(messages):
        conversation.append(user(f"message {number} " + "words " * 100))
    with Archive(path) as archive:
        archive.save(conversation)
    return conversation


@pytest.mark.parametrize("damage", ["text", "zeros", "header", "half", "short", "one page"])
def test_a_broken_file_is_moved_aside_whole_and_the_chat_goes_on(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "conversations.db"
    filled(path)
    whole = path.read_bytes()
    broken = {
        "text": b"Dear diary, " * 1000,
        "zeros": bytes(8192),
        "header": b"\xff" * 100 + whole[100:],
        "half": whole[: len(whole) // 2],
        "short": whole[:50],
        "one page": whole[:4096],
    }[damage]
    path.write_bytes(broken)
    archive, notice = Archive.open(path)
    with archive:
        assert archive.list() == []
        conversation = Conversation()
        conversation.append(user("after the damage"))
        archive.save(conversation)
        assert archive.load(conversation.id) == conversation
    assert notice is not None
    moved = re.search(r"conversations\.db\.damaged-\d{8}-\d{6}", notice)
    assert moved is not None
    assert (tmp_path / moved[0]).read_bytes() == broken
    archive, notice = Archive.open(path)
    with archive:
        assert notice is None
        assert len(archive.list()) == 1


def test_two_broken_files_in_one_second_are_both_kept(tmp_path: Path) -> None:
    path = tmp_path / "conversations.db"
    for number in range(3):
        path.write_bytes(b"not a database %d " % number * 1000)
        archive, notice = Archive.open(path)
        archive.close()
        assert notice is not None
    kept = [file.read_bytes()[:16] for file in tmp_path.glob("*.damaged-*")]
    assert sorted(kept) == [b"not a database %d" % number for number in range(3)]


def copy_as_killed(live: Path, path: Path, change: str) -> bytes:
    """Copy an archive with `change` (a title) only in its log, as a killed process leaves it; returns the log."""
    conversation = filled(live)
    with Archive(live) as archive:
        archive.rename(conversation.id, change)
        path.write_bytes(live.read_bytes())
        log = live.with_name(live.name + "-wal").read_bytes()
    path.with_name(path.name + "-wal").write_bytes(log)
    assert change.encode() in log
    return log


def test_what_only_the_log_of_a_killed_process_holds_is_there(tmp_path: Path) -> None:
    path = tmp_path / "conversations.db"
    copy_as_killed(tmp_path / "live.db", path, "only in the log")
    archive, notice = Archive.open(path)
    with archive:
        assert notice is None
        assert [item.title for item in archive.list()] == ["only in the log"]


def test_the_log_of_a_broken_file_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "conversations.db"
    log = copy_as_killed(tmp_path / "live.db", path, "only in the log")
    path.write_bytes(b"\xff" * path.stat().st_size)
    archive, notice = Archive.open(path)
    with archive:
        assert notice is not None
        assert archive.list() == []
    (moved,) = tmp_path.glob("*.damaged-*-wal")
    assert moved.read_bytes() == log


def test_an_empty_file_is_a_fresh_archive(tmp_path: Path) -> None:
    path = tmp_path / "conversations.db"
    path.touch()
    archive, notice = Archive.open(path)
    with archive:
        assert (archive.list(), notice) == ([], None)


def test_damage_met_in_use_is_said_and_the_next_start_moves_the_file_aside(tmp_path: Path) -> None:
    path = tmp_path / "conversations.db"
    conversation = filled(path)
    whole = bytearray(path.read_bytes())
    # Everything but the pages that are read on opening: the schema, on the first ones.
    whole[4096 * 4 :] = b"\xaa" * (len(whole) - 4096 * 4)
    path.write_bytes(whole)
    archive, notice = Archive.open(path)
    with archive:
        assert notice is None
        with pytest.raises(ArchiveError, match="are damaged; start again to move them aside and go on"):
            archive.load(conversation.id)
    assert suspect(path).exists()
    archive, notice = Archive.open(path)
    with archive:
        assert notice is not None
        assert archive.list() == []
    assert not suspect(path).exists()


def test_a_sound_file_that_was_suspected_stays_and_gets_a_new_search_index(tmp_path: Path) -> None:
    path = tmp_path / "conversations.db"
    conversation = filled(path)
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO words (words) VALUES ('delete-all')")
    db.close()
    suspect(path).touch()
    archive, notice = Archive.open(path)
    with archive:
        assert notice is None
        assert archive.load(conversation.id) == conversation
        assert len(archive.search("words 59")) == 1
    assert not suspect(path).exists()


def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "conversations.db"
    filled(path)
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    db.close()
    before = path.read_bytes()
    with pytest.raises(ArchiveError, match="were written by a newer chatapp; update chatapp to open them"):
        Archive.open(path)
    assert path.read_bytes() == before


def test_opening_brings_the_file_to_the_newest_version(tmp_path: Path) -> None:
    path = tmp_path / "conversations.db"
    Archive(path).close()
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    db.close()


def test_a_row_that_cannot_be_understood_is_said(tmp_path: Path) -> None:
    path = tmp_path / "conversations.db"
    conversation = filled(path, messages=2)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE message SET body = '{\"id\":' WHERE id = ?", (conversation.roots[0],))
    db.close()
    with Archive(path) as archive, pytest.raises(ArchiveError, match=f"Conversation {conversation.id} is cut short"):
        archive.load(conversation.id)


@pytest.mark.parametrize("place", ["under a file", "a folder", "nowhere"])
def test_a_place_that_cannot_be_written_is_said(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = {
        "under a file": tmp_path / "file" / "conversations.db",
        "a folder": tmp_path,
        "nowhere": Path("/proc/chatapp/conversations.db"),
    }[place]
    with pytest.raises(ArchiveError, match=r"cannot be opened for writing: [\w ]+\.$"):
        Archive.open(path)


def run(script: str, *arguments: object) -> str:
    """What a fresh Python prints that runs `script`."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


READ_ONLY = """
import os, sys
from pathlib import Path
from chatapp.archive import Archive
from chatapp.errors import ArchiveError
if os.geteuid() == 0:
    os.setuid(65534)
try:
    Archive.open(Path(sys.argv[1]))
except ArchiveError as error:
    print(error)
"""


def test_a_folder_that_may_not_be_written_is_said(tmp_path: Path) -> None:
    # Another user than root must be able to reach the folder, so the ones above it are opened for passing through.
    folder = tmp_path / "read only"
    folder.mkdir()
    folder.chmod(0o555)
    opened = [above for above in folder.parents if above.stat().st_uid == folder.stat().st_uid][:3]
    modes = [above.stat().st_mode for above in opened]
    try:
        for above, mode in zip(opened, modes, strict=True):
            above.chmod(mode | 0o111)
        said = run(READ_ONLY, folder / "conversations.db")
    finally:
        for above, mode in zip(opened, modes, strict=True):
            above.chmod(mode)
        folder.chmod(0o755)
    assert said == f"The conversations in {folder}/conversations.db cannot be opened for writing: Permission denied.\n"


FULL_DISK = """
import resource, sys
from pathlib import Path
from chatapp.archive import Archive
from chatapp.conversation import Conversation
from chatapp.errors import ArchiveError
from chatapp.messages import user
conversation = Conversation(id="full")
with Archive(Path(sys.argv[1])) as archive:
    # No file of this process may grow beyond this, which is what a full disk looks like to SQLite.
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
    try:
        for number in range(1000):
            message = conversation.append(user(f"message {number} " + "words " * 200))
            archive.save_message(conversation, message.id)
            print(message.id)
    except ArchiveError as error:
        print(error)
    print(len(archive.load("full")))
"""


def test_a_full_disk_is_said_and_what_was_saved_stays(tmp_path: Path) -> None:
    path = tmp_path / "conversations.db"
    *saved, said, still = run(FULL_DISK, path).splitlines()
    assert re.search("the disk is full", said)
    assert 5 < len(saved) < 1000
    assert int(still) == len(saved)
    archive, notice = Archive.open(path)
    with archive:
        assert notice is None
        assert [message.id for message in archive.load("full").path()] == saved
