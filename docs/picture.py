"""Makes docs/chat.svg: the running chat, answering from the real model. Run it with `make picture`."""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path

from chatapp import Conversation, commands
from chatapp.host import Host
from chatapp.models import open_store
from chatapp.paths import Paths, paths
from chatapp.tui.app import ChatApp

MODEL = "qwen2.5-coder-1.5b-instruct"
QUESTION = "Write a Python function that returns the first n prime numbers, and say in one sentence how it works."
SECOND = "And as a generator? Only the code."


async def main() -> None:
    """Ask twice, show what was sent, save the picture."""
    model = open_store(paths()).path(MODEL)
    with tempfile.TemporaryDirectory() as folder:
        where = Paths(*(Path(folder) / name for name in ("data", "cache", "config"))).ensure()
        (where.data / "models").symlink_to(model.parents[1], target_is_directory=True)
        host = Host(where, model=MODEL, sampling={"temperature": 0.0})
        host.add("chatapp", commands)
        host.load()
        app = ChatApp(host, Conversation())
        try:
            async with app.run_test(size=(118, 36)) as pilot:
                await app.chat.started.wait()
                for question in (QUESTION, SECOND):
                    app.chat.composer.put(question)
                    app.chat.composer.submit()
                    await pilot.pause(0.5)
                    while app.chat.runner.busy:
                        await pilot.pause(0.1)
                await pilot.press("f5")
                await pilot.pause(1.0)
                svg = app.export_screenshot(title="chatapp")
        finally:
            await host.shutdown()
    # A picture fetches nothing: the reader's own monospaced font takes the place of the web font.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    Path(__file__).with_name("chat.svg").write_text(svg.replace("Fira Code", "DejaVu Sans Mono"), encoding="utf-8")


asyncio.run(main())
