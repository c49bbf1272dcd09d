"""What is read from `mcp.json` and the settings, and what is made of a foreign schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chatapp import Host, UsageError
from chatapp_tools.servers.configured import FILE, entries, entry
from chatapp_tools.servers.schemas import LONGEST, Unusable, harmless
from tests.plugins.mcp_support import GOOD, McpPlugin


@pytest.fixture
def known(host: Host) -> Host:
    """A host with the plugin."""
    host.add("tools", McpPlugin())
    return host


def write(host: Host, text: str) -> None:
    """The file of servers."""
    (host.paths.config / FILE).write_text(text)


def test_the_usual_form_is_read(known: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "t0p")
    servers: dict[str, dict[str, Any]] = {
        "files": {"command": "npx", "args": ["-y", "server", 7], "env": {"A": "1"}, "cwd": "/", "autoApprove": ["x"]},
        "web": {"type": "http", "url": "https://u:p@example.org/mcp?k=${MY_TOKEN}",
                "headers": {"Authorization": "Bearer ${MY_TOKEN}", "X": "${NOT_SET_AT_ALL:-none}"}, "disabled": True},
    }  # fmt: skip
    write(known, json.dumps({"mcpServers": servers}))
    found, problems = entries(known)
    assert problems == []
    files, web = found["files"], found["web"]
    assert (files.command, files.args, dict(files.env), files.cwd) == ("npx", ("-y", "server", "7"), {"A": "1"}, "/")
    assert files.local
    assert files.shown == "npx -y server 7"
    assert not files.is_free("x"), "what another program allows is no permission here"
    assert dict(web.headers) == {"Authorization": "Bearer t0p", "X": "none"}
    assert web.disabled
    assert not web.local
    assert web.shown == "https://example.org/mcp", "no secret is shown"
    assert files.identity != entry("files", {**servers["files"], "args": ["other"]}).identity


def test_the_settings_come_first(known: Host) -> None:
    write(known, json.dumps({"mcpServers": {"a": {"command": "from-file"}, "b": {"command": "from-file"}}}))
    known.set_config("tools", "mcp_servers", {"a": {"command": "from-settings", "free": ["get_*"]}})
    found, _ = entries(known)
    assert {name: each.command for name, each in found.items()} == {"a": "from-settings", "b": "from-file"}
    assert found["a"].is_free("get_time")
    assert not found["a"].is_free("set_time")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "is not valid JSON (line 1: "),
        ("[]", 'must be an object with "mcpServers"'),
        ('{"mcpServers": []}', 'must be an object with "mcpServers"'),
        ('{"mcpServers": {"a": 1}}', "the MCP server 'a' must be an object with command or url."),
        ('{"mcpServers": {"a": {}}}', "the MCP server 'a' needs either command or url."),
        ('{"mcpServers": {"a": {"command": "x", "url": "http://y"}}}', "'a' needs either command or url."),
        ('{"mcpServers": {"a": {"command": ["x"]}}}', "'a': command must be text."),
        ('{"mcpServers": {"a": {"command": "x", "args": "y"}}}', "'a': args must be a list of texts."),
        ('{"mcpServers": {"a": {"command": "x", "env": []}}}', None),
        ('{"mcpServers": {"a": {"command": "x", "env": {"k": null}}}}', "'a': env must be text."),
        ('{"mcpServers": {"a": {"command": "x\\u0000"}}}', "'a': command has a zero byte in it."),
        ('{"mcpServers": {"a": {"url": "file:///etc"}}}', "needs a url that begins with http:// or https://."),
        ('{"mcpServers": {"a": {"url": "http://x", "type": "sse"}}}', "'a' wants the old SSE transport"),
        ('{"mcpServers": {"": {"command": "x"}}}', "needs a shorter name"),
        ('{"mcpServers": {"a": {"command": "${NOT_SET_AT_ALL}"}}}', "the environment variable NOT_SET_AT_ALL, which"),
    ],
)
def test_each_mistake_is_one_sentence_and_costs_only_itself(known: Host, text: str, sentence: str | None) -> None:
    write(known, text.replace('{"mcpServers": {', '{"mcpServers": {"fine": {"command": "x"}, ', 1))
    found, problems = entries(known)
    if sentence is None:
        assert (problems, set(found)) == ([], {"fine", "a"})
        return
    (problem,) = problems
    assert sentence in problem
    assert str(known.paths.config / FILE) in problem
    assert "a" not in found
    assert ("fine" in found) == ("fine" in text.replace("mcpServers", "") or '"mcpServers": {"' in text)


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://localhost:1/mcp", True),
        ("http://127.0.0.1/", True),
        ("http://[::1]:8/", True),
        ("http://10.0.0.1/", False),
        ("http://localhost.example.org/", False),
        ("http://0.0.0.0/", False),
    ],
)
def test_only_loopback_addresses_are_local(url: str, local: bool) -> None:
    assert entry("a", {"url": url}).local is local


def test_what_is_not_a_file_is_said(known: Host) -> None:
    (known.paths.config / FILE).mkdir()
    assert "cannot be read" in entries(known)[1][0]


def test_references_are_filled_in_and_regular_expressions_left_out() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {"Point": {"type": "object", "properties": {"x": {"type": "number", "pattern": "(a+)+$"}}}},
        "properties": {
            "at": {"$ref": "#/$defs/Point", "description": "Where"},
            "pattern": {"type": "string", "description": "To look for"},
            "tree": {"$ref": "#"},
            "any": True,
        },
        "patternProperties": {"(a+)+$": {}},
        "required": ["at"],
    }
    found = harmless(schema)
    point = {"type": "object", "properties": {"x": {"type": "number"}}, "description": "Where"}
    assert found["properties"]["at"] == point
    assert found["properties"]["pattern"] == {"type": "string", "description": "To look for"}, (
        "a parameter of that name"
    )
    assert found["properties"]["any"] == {}
    assert found["properties"]["tree"]["properties"]["tree"] == {}, "what refers to itself ends"
    assert found["required"] == ["at"]
    assert "$ref" not in json.dumps(found)
    assert "(a+)+" not in json.dumps(found)
    assert harmless({}) == {"type": "object", "properties": {}}


def bomb(levels: int) -> dict[str, Any]:
    """A short schema that stands for 2 to the power of `levels`."""
    kinds: dict[str, Any] = {"n0": {"type": "string"}}
    for level in range(1, levels):
        kinds[f"n{level}"] = {"anyOf": [{"$ref": f"#/$defs/n{level - 1}"}] * 2}
    return {"$defs": kinds, "properties": {"a": {"$ref": f"#/$defs/n{levels - 1}"}}}


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ([], "is no object"),
        ({"type": "string"}, "is not that of an object"),
        ({"properties": {"a": {"type": "nothing"}}}, "is not valid: 'nothing' is not valid"),
        ({"properties": []}, "is not valid"),
        ({"properties": {"a": 5}}, "is not valid: a part of it is no object"),
        ({"properties": {"a": {"$ref": "http://example.org/x"}}}, "refers to something outside of it"),
        ({"properties": {"a": {"$ref": "file:///etc/passwd"}}}, "refers to something outside of it"),
        ({"properties": {"a": {"$ref": "#/$defs/none"}}}, "refers to something that is not in it"),
        ({"properties": {"a": {"$ref": 5}}}, "refers to something outside of it"),
        ({"properties": {"a": {"description": "x" * LONGEST}}}, f"is larger than {LONGEST:,} characters"),
        ({"properties": {f"p{i}": {} for i in range(LONGEST)}}, f"is larger than {LONGEST:,} characters"),
        (bomb(20), f"is larger than {LONGEST:,} characters"),
    ],
)
def test_a_schema_that_cannot_be_used_says_why(schema: Any, why: str) -> None:
    with pytest.raises(Unusable) as raised:
        harmless(schema)
    assert why in str(raised.value)


def test_deep_schemas_end_somewhere() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(150):
        schema = {"type": "object", "properties": {"a": schema}}
    assert len(json.dumps(harmless(schema))) < LONGEST


def test_the_configuration_of_the_tests_is_sound(tmp_path: Path) -> None:
    assert entry("good", GOOD).command
    with pytest.raises(UsageError, match="command or url"):
        entry("good", {**GOOD, "url": "http://x"})
