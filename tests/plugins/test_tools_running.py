"""Commands of the shell: what is asked, what the command sees, how it is bounded and ended with all its children."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest

from chatapp.messages import Data
from chatapp.session import Session
from chatapp.ui import plain
from chatapp_tools.processes import HEAD, TAIL, Ended, clean_environment, run_process
from tests.plugins.tools_support import asked, call, told, tools, ui
from tests.support_plugins import run


@pytest.fixture
async def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Session]:
    """A session in a folder of its own."""
    (tmp_path / "desk" / "sub").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "desk")
    async with tools(tmp_path / "home") as made:
        yield made


async def gone(pid: int) -> bool:
    """Waits until the process is over; the test's own time limit ends a wait in vain."""
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return True


async def written(path: Path) -> int:
    """The number in a file, once it is there."""
    while not (path.exists() and path.read_text().strip()):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return int(path.read_text())


async def test_a_command_is_asked_for_in_its_folder_and_runs_once_allowed(session: Session, tmp_path: Path) -> None:
    command = "pwd; echo wrong >&2; rm -f x; exit 3"
    assert await told(session, "run_command", False, command=command, folder="sub") == "The user did not allow this."
    found = await call(session, "run_command", True, command=command, folder="sub")
    assert found.result.text == f"{tmp_path}/desk/sub\nwrong\n(exit code 3)"
    ask = asked(session)
    assert (ask.question, ask.shown_as) == ("Run this command in sub?", "command")
    assert ask.detail == f"cd {tmp_path}/desk/sub\n{command}"
    assert ask.dangers == ("rm -f x",)
    (part,) = found.shown
    assert isinstance(part, Data)
    assert part.value["code"] == 3
    assert found.consent["permission"] == "once"


async def test_a_permission_for_the_conversation_covers_only_what_reads_here(session: Session) -> None:
    await call(session, "run_command", "conversation", command="ls")
    assert "exit code 0" in await told(session, "run_command", command="pwd")
    for command in ("touch x", "cat /etc/hostname", "echo $(pwd)"):
        assert "did not allow" in await told(session, "run_command", False, command=command)
    assert not Path("x").exists()


async def test_a_permission_for_the_conversation_covers_one_folder(session: Session) -> None:
    Path("deep").mkdir()
    await call(session, "run_command", "conversation", command="ls")
    assert asked(session).scope == f"commands that only read, run in {Path.cwd()}"
    assert (await call(session, "run_command", command="ls", folder="deep")).result.failed
    assert not (await call(session, "run_command", command="wc -c deep")).result.failed


async def test_a_folder_beyond_is_marked(session: Session, tmp_path: Path) -> None:
    await call(session, "run_command", False, command="ls", folder="..")
    assert asked(session).dangers == (f"cd {tmp_path}",)
    assert "outside the allowed folders" in asked(session).question
    assert "There is no folder" in await told(session, "run_command", command="ls", folder="nothing")
    assert "Give the command" in await told(session, "run_command", command=" ")


async def test_the_command_has_no_input_and_no_secrets(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_TOKEN", "hidden-1")
    monkeypatch.setenv("DATABASE", "postgres://me:hidden-2@host/db")
    monkeypatch.setenv("BASH_ENV", "/nothing")
    monkeypatch.setenv("PLAIN", "seen")
    found = await told(session, "run_command", True, command="cat; env")
    assert "PLAIN=seen" in found
    assert "hidden" not in found
    assert "BASH_ENV" not in found
    kept = clean_environment(
        {"PWD": "/", "OLDPWD": "/", "DB_PWD": "x", "api_key": "x", "MY_PASSPHRASE": "x", "PATH": "/"}
    )
    assert {"PWD", "OLDPWD", "PATH"} <= set(kept)
    assert not {"DB_PWD", "api_key", "MY_PASSPHRASE"} & set(kept)


async def test_much_output_keeps_its_beginning_and_its_end(session: Session) -> None:
    found = await told(session, "run_command", True, command="echo first; seq 1 200000; printf '\\033[31mlast\\033[0m'")
    assert found.startswith("first\n1\n2\n")
    assert found.endswith("200000\nlast\n(exit code 0)")
    assert "bytes left out" in found
    assert len(found) < HEAD + TAIL + 200


async def test_too_long_ends_the_command_with_all_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = "sleep 300 & echo $! > child; setsid sleep 300 & echo $! > other; echo begun; wait"
    async with tools(tmp_path / "home", "timeout = 3") as session:
        found = await told(session, "run_command", True, command=command)
        assert found == "begun\n(stopped: it took longer than 3 seconds)"
        assert "s" in {each.unit for each in ui(session).progressed}
    for name in ("child", "other"):
        assert await gone(await written(Path(name)))


async def test_giving_up_ends_the_command_with_all_its_children_at_once(session: Session) -> None:
    calling = asyncio.ensure_future(
        call(session, "run_command", True, command="trap '' TERM; sleep 300 & echo $! > child; wait")
    )
    pid = await written(Path("child"))
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert await gone(pid)


async def test_what_a_command_leaves_behind_does_not_outlive_it(session: Session) -> None:
    found = await told(session, "run_command", True, command="sleep 300 & echo $! > child; echo done")
    assert found == "done\n(exit code 0)"
    assert await gone(await written(Path("child")))


async def test_one_that_holds_the_output_open_keeps_nobody_waiting(tmp_path: Path) -> None:
    # A daemon that left the group and whose parent is gone: a person who allows that gets it.
    command = "setsid sh -c 'echo $$ > daemon; exec sleep 300' & until [ -s daemon ]; do sleep 0.01; done"
    async with aclosing(run_process(["sh", "-c", command], tmp_path, os.environ, 60)) as news:
        ended = [each async for each in news if isinstance(each, Ended)]
    assert ended[0].code == 0
    os.kill(await written(tmp_path / "daemon"), signal.SIGKILL)


async def test_the_user_may_type_the_tools_too_and_is_not_asked(session: Session) -> None:
    lines = (
        "/run command echo 'a  b' | tr a-z A-Z",
        "/calculate 2 + 2",
        "/write file n.txt some -x text",
        "/read file n.txt",
    )
    shown = [plain(part) for line in lines for part in await run(session, line)]  # type: ignore[arg-type]
    assert shown[0] == "A  B\n(exit code 0)"
    assert shown[1] == "2 + 2 = 4"
    assert shown[3] == "n.txt, lines 1 to 1 of 1:\nsome -x text"
    assert ui(session).asked == []


async def test_a_signal_is_told_by_its_name(session: Session) -> None:
    assert await told(session, "run_command", True, command="kill -SEGV $$") == (
        "(it printed nothing)\n(ended by the signal SIGSEGV)"
    )


async def test_a_flood_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatapp_tools.processes.MOST_OUTPUT", 1_000_000)
    async with aclosing(run_process(["yes"], tmp_path, os.environ, 60)) as news:
        (ended,) = [each async for each in news if isinstance(each, Ended)]
    assert ended.why == "it wrote more than 1 MB"
    assert ended.code == -signal.SIGKILL
