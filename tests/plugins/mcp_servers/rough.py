"""An MCP server that misbehaves as its argument says. Without the SDK, so that it starts in no time."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

MODE = sys.argv[1]
ONE: dict[str, Any] = {"name": "one", "description": "One.", "inputSchema": {"type": "object"}}
NESTED: dict[str, Any] = {"type": "object", "$defs": {"n0": {"type": "string"}}}
for level in range(1, 40):
    NESTED["$defs"][f"n{level}"] = {"allOf": [{"$ref": f"#/$defs/n{level - 1}"}] * 2}
STRANGE = [
    ONE,
    {**ONE, "name": "huge", "inputSchema": {"type": "object", "properties": {"a": {"enum": ["x" * 40] * 2000}}}},
    {**ONE, "name": "bomb", "inputSchema": {**NESTED, "properties": {"a": {"$ref": "#/$defs/n39"}}}},
    {**ONE, "name": "far", "inputSchema": {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/x"}}}},
    {**ONE, "name": "wrong", "inputSchema": {"type": "object", "properties": {"a": {"type": "no such"}}}},
    {**ONE, "name": "ONE"},
    {**ONE, "name": "o-n.e"},
    {**ONE, "name": "one"},
]


def send(message: dict[str, Any]) -> None:
    """One message."""
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def answer(number: Any, method: str, params: dict[str, Any]) -> None:
    """What this method is answered."""
    if method == "initialize":
        version = params["protocolVersion"]
        about = {"name": "rough", "version": "0"}
        result = {"protocolVersion": version, "capabilities": {"tools": {"listChanged": True}}, "serverInfo": about}
        send({"id": number, "result": result})
    elif method == "tools/list":
        if MODE == "hang-list":
            time.sleep(1000)
        send({"id": number, "result": {"tools": STRANGE if MODE == "strange" else [ONE]}})
    elif method == "tools/call" and MODE == "echo":
        send({"id": number, "result": {"content": [{"type": "text", "text": params["arguments"]["text"]}]}})
    elif method == "tools/call":
        called(number)
    else:
        send({"id": number, "error": {"code": -32601, "message": "Method not found"}})


def called(number: Any) -> None:
    """A call of the tool, which goes wrong in the way it should."""
    if MODE == "hang-call":
        time.sleep(1000)
    if MODE == "die-call":
        sys.stderr.write("out of memory\nno way on\n")
        sys.stderr.flush()
        os._exit(7)
    if MODE == "flood":
        for count in range(100_000):
            send({"method": "notifications/progress", "params": {"progressToken": number, "progress": count}})
    if MODE == "nonsense":
        send({"id": number, "result": {"content": "no list"}})
    send({"id": number, "result": {"content": [{"type": "text", "text": f"{os.getpid()}"}]}})


def main() -> None:
    """Read messages, and misbehave."""
    if MODE == "hang-start":
        time.sleep(1000)
    if MODE == "die-start":
        sys.exit("no licence")
    if MODE == "garbage":
        while True:
            print("not a message")
    if MODE == "endless":
        while True:
            sys.stdout.write("x" * 1_000_000)
    if MODE == "greeting":
        print("Welcome to rough 1.0!")
        print("Listening on stdio.", flush=True)
    for line in sys.stdin:
        message = json.loads(line)
        if MODE == "strict" and message["method"] not in ("initialize", "tools/list", "tools/call") and "id" in message:
            sys.exit("expected initialize")
        if "id" in message and "method" in message:
            answer(message["id"], message["method"], message.get("params", {}))


main()
