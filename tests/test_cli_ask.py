"""`chatapp ask` in real child processes: what a script reads on each stream, and how each run ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest

from chatapp.archive import Archive
from chatapp.messages import Source
from tests.support_cli import CHATAPP, add_endless, chatapp, environment, latest, read_some, started

FRANCE = "What is the capital of France?"
STORY = "Write a very long story about a ship and the sea, at least two thousand words."
GREEDY = ("--temperature", "0", "--seed", "1")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the runs with the real model: it is read whole and checked only by the first."""
    return tmp_path_factory.mktemp("home")


def _lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_an_answer_is_all_there_is_on_standard_output(home: Path, model_path: Path) -> None:
    first = chatapp(home, "ask", "--model", model_path, *GREEDY, FRANCE)
    assert (first.code, first.err) == (0, "")
    assert first.out == "The capital of France is Paris.\n"
    assert [message.text for message in latest(home).path()] == [FRANCE, first.out.strip()]


def test_the_same_seed_says_the_same_in_another_process(home: Path, model_path: Path) -> None:
    drawn = ("ask", "--model", model_path, "--temperature", "1.5", "--max-tokens", "12", "--no-save")
    with Archive(home / "data" / "conversations.db") as archive:
        before = archive.list()
        one, other = (chatapp(home, *drawn, "--seed", "3", "Invent a name.").out for _ in range(2))
        assert one == other != ""
        assert archive.list() == before


def test_json_is_one_object_per_event_and_ends_with_the_costs(home: Path, model_path: Path) -> None:
    ran = chatapp(home, "ask", "--model", model_path, *GREEDY, "--max-tokens", "4", "--json", STORY)
    assert (ran.code, ran.err) == (0, "")
    *deltas, usage, finished, summary = _lines(ran.out)
    assert [each["event"] for each in deltas] == ["text_delta"] * 4
    assert usage["event"] == "usage"
    assert (finished["event"], finished["reason"]) == ("finished", "length")
    assert (summary["event"], summary["completion_tokens"]) == ("summary", 4)
    assert summary["prompt_tokens"] > 20
    assert summary["first_token_seconds"] > 0
    assert summary["tokens_per_second"] > 0
    assert summary["session"] == latest(home).id


def test_a_conversation_goes_on_with_its_own_model_and_instruction(home: Path, model_path: Path) -> None:
    begun = chatapp(
        home, "ask", "--model", model_path, *GREEDY, "--system", "Answer with the word BANANA only.", "Hello."
    )
    assert "BANANA" in begun.out
    first = latest(home)
    assert chatapp(home, "ask", "--continue", "--max-tokens", "6", "And now?").code == 0
    second = latest(home)
    assert second.id == first.id
    assert [message.role for message in second.path()] == ["user", "assistant"] * 2
    assert second.values["system"] == "Answer with the word BANANA only."
    other = chatapp(home, "ask", "--model", "echo", "Something else.")
    assert other.out == "Something else.\n"
    again = chatapp(home, "ask", "--session", first.id[:6], "--model", "echo", "Once more.")
    assert again.out == "Once more.\n"
    assert len(latest(home)) == 6
    assert latest(home).id == first.id


def test_what_is_piped_in_is_read_with_the_question(home: Path, model_path: Path) -> None:
    text = b"The password of the harbour master is 'umbrella'.\n"
    ran = chatapp(home, "ask", "--model", model_path, *GREEDY, "What is the password?", stdin=text)
    assert "umbrella" in ran.out
    (question, _) = latest(home).path()
    assert question.text == "What is the password?"
    assert question.parts[1] == Source("standard input", text.decode())


def test_what_is_piped_in_is_the_question_where_there_is_no_other(tmp_path: Path) -> None:
    assert chatapp(tmp_path, "ask", "--model", "echo", stdin="\ufeffé and 你好\n".encode()).out == "é and 你好\n"
    assert chatapp(tmp_path, "ask", "--model", "echo", "Only", "this", stdin=b"  \n").out == "Only this\n"


@pytest.mark.parametrize(
    ("words", "stdin", "sentence"),
    [
        ((), b"", "Ask something"),
        ((), b" \n\n", "Ask something"),
        (("hi",), b"\xff\xfe\x00not text", "Standard input is not UTF-8 text"),
        pytest.param(("hi",), b"x" * 20_000_001, "Standard input is longer than 20 MB", id="huge"),
        (("--frobnicate", "hi"), b"", "No such option '--frobnicate'"),
        (("--temperature", "hot", "hi"), b"", "'hot' is not a valid float"),
        (("--temperature", "9", "hi"), b"", "temperature: input should be less than or equal to 5"),
        (("--max-tokens", "0", "hi"), b"", "max_tokens: input should be greater than or equal to 1"),
        (("--seed", "-1", "hi"), b"", "seed: input should be greater than or equal to 0"),
        (("--continue", "hi"), b"", "There is no conversation to continue yet."),
        (("--continue", "--session", "x", "hi"), b"", "Give either --continue or --session, not both."),
        (("--file", "/nowhere", "hi"), b"", "/nowhere is not a file"),
    ],
)
def test_wrong_usage_is_one_sentence_and_two(
    tmp_path: Path, words: tuple[str, ...], stdin: bytes, sentence: str
) -> None:
    ran = chatapp(tmp_path, "ask", "--model", "echo", *words, stdin=stdin)
    assert (ran.code, ran.out) == (2, "")
    assert sentence in ran.err
    assert "Traceback" not in ran.err
    with Archive(tmp_path / "data" / "conversations.db") as archive:
        assert archive.list() == []


def test_a_model_that_cannot_answer_is_one_sentence_and_one(tmp_path: Path) -> None:
    missing = chatapp(tmp_path, "ask", "hi")
    assert (missing.code, missing.out) == (1, "")
    assert "is not downloaded: run `chatapp models pull" in missing.err
    bad = tmp_path / "bad.gguf"
    bad.write_text("no model")
    broken = chatapp(tmp_path, "ask", "--json", "--model", bad, "hi")
    assert broken.code == 1
    assert _lines(broken.out)[-1]["reason"] == "failed"
    assert broken.err.startswith(f"Error: {bad} is not a GGUF")
    assert broken.err.count("\n") == 1
    assert chatapp(tmp_path, "ask", "--session", "nope", "hi").code == 1
    # The question is kept, so that nothing has to be typed again.
    assert [message.text for message in latest(tmp_path).path()] == ["hi"]


def test_a_message_too_long_for_the_model_is_refused_with_what_to_do(home: Path, model_path: Path) -> None:
    ran = chatapp(home, "ask", "--model", model_path, "hi", stdin=b"a line of text\n" * 20_000)
    assert (ran.code, ran.out) == (1, "")
    assert "shorten it, attach less" in ran.err


def test_interrupting_keeps_what_came(home: Path, model_path: Path) -> None:
    with started(home, "ask", "--model", model_path, *GREEDY, STORY) as process:
        assert process.stdout is not None
        said = read_some(process.stdout.fileno(), 40)
        children = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate()
    assert process.returncode == 130
    assert errors.decode().strip() == "Interrupted."
    answer = list(latest(home).path())[-1]
    assert answer.text.startswith((said + rest).decode().rstrip("\n"))
    assert answer.meta["finished"] == "stopped"
    assert len(children) == 1
    assert not any(child.is_running() for child in children)


def test_an_engine_that_dies_is_a_failure_and_what_came_is_kept(home: Path, model_path: Path) -> None:
    with started(home, "ask", "--model", model_path, *GREEDY, STORY) as process:
        assert process.stdout is not None
        said = read_some(process.stdout.fileno(), 40)
        (child,) = psutil.Process(process.pid).children()
        child.kill()
        rest, errors = process.communicate()
    assert process.returncode == 1
    assert "The llama process was ended by SIGKILL" in errors.decode()
    answer = list(latest(home).path())[-1]
    assert answer.text == (said + rest).decode().rstrip("\n")
    assert answer.meta["finished"] == "failed"


def test_an_answer_streams_and_a_reader_may_leave(tmp_path: Path) -> None:
    add_endless(tmp_path)
    with started(tmp_path, "ask", "--model", "endless", "Count.") as process:
        assert process.stdout is not None
        assert read_some(process.stdout.fileno(), 5).startswith(b"0 1 ")
        # The answer would take minutes: what was read came while it was being given.
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait() == 0
    answer = list(latest(tmp_path).path())[-1]
    assert answer.text.startswith("0 1 ")
    assert answer.meta["finished"] == "stopped"


def test_notices_and_escape_sequences_are_shown_and_not_obeyed(tmp_path: Path) -> None:
    add_endless(tmp_path)
    ran = chatapp(tmp_path, "ask", "--model", "endless", "hostile")
    assert ran.out == "red ␛[31m and \\x9b2J\n"
    assert ran.err == "a ␛[31mnotice\n"


def test_what_an_answer_cites_is_listed_after_it(tmp_path: Path) -> None:
    add_endless(tmp_path)
    said = "They purr [1][2].\n[1] report.pdf, page 3\n[2] notes␛[31m.md\n"
    assert chatapp(tmp_path, "ask", "--model", "endless", "cite").out == said
    events = _lines(chatapp(tmp_path, "ask", "--model", "endless", "--json", "cite").out)
    assert [(event["number"], event["before"]) for event in events if event["event"] == "source"] == [
        (1, "unseen"),
        (2, ""),
    ]


@pytest.mark.parametrize("words", [("--offline", "ask"), ("ask", "--offline"), ("ask",)])
def test_offline_holds_for_this_run(tmp_path: Path, words: tuple[str, ...]) -> None:
    add_endless(tmp_path)
    ran = chatapp(tmp_path, *words, "--model", "endless", "offline?")
    assert ran.out == f"{'--offline' in words}\n"


@pytest.mark.parametrize(("closed", "out"), [("0<&-", "hi there\n"), ("1>&-", ""), ("2>&-", "hi there\n")])
def test_a_closed_standard_stream_is_an_empty_one(tmp_path: Path, closed: str, out: str) -> None:
    ran = subprocess.run(
        ["/bin/sh", "-c", f'"$0" ask --model echo hi there {closed}', CHATAPP],
        stdin=subprocess.DEVNULL, capture_output=True, env=environment(tmp_path),
    )  # fmt: skip
    assert (ran.returncode, ran.stdout.decode(), ran.stderr.decode()) == (0, out, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a disk that is always full")  # noqa: PTH110
def test_output_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            [CHATAPP, "ask", "--model", "echo", "hi"],
            stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, env=environment(tmp_path),
        )  # fmt: skip
    assert ran.returncode == 1
    assert ran.stderr.decode() == "Error: Reading or writing failed: No space left on device.\n"
