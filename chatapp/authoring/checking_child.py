"""The process of `plugin check`: it loads chatapp once, and forks for each plugin, so that each starts from the same.

On standard input it gets the targets as JSON; on standard output it writes a line of JSON for each.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from chatapp.authoring.checking import Finding, Target
from chatapp.plugins import FAILURES

SECONDS = 60
"""How long the check of a plugin may take: three turns of an engine that answers at once."""


def main() -> None:
    """Check what standard input names."""
    targets = [Target(**each) for each in json.load(sys.stdin)]
    # What a plugin prints must not land between our lines.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    _load_chatapp()
    for target in targets:
        pid = os.fork()
        if pid == 0:
            _check(target, answers)
        _, status = os.waitpid(pid, 0)
        if status:
            _tell(answers, target, [_died(target, os.waitstatus_to_exitcode(status))])


def _load_chatapp() -> None:
    """Import all that chatapp itself offers: what it costs is not the plugin's."""
    import pydantic  # noqa: F401 - every settings model needs it

    import chatapp
    import chatapp.authoring.checking_turns
    import chatapp.commands.plugins

    for name in chatapp.__all__:
        getattr(chatapp, name)
    # What is shared with the forks is not copied by a collection of garbage.
    gc.freeze()


def _check(target: Target, answers: Any) -> None:
    """In the fork: check one plugin, tell, and end without running what the plugin left for the end."""
    signal.alarm(SECONDS)
    code = 0
    try:
        _tell(answers, target, list(findings(target)))
    except BaseException:  # noqa: BLE001 - it is told here, as this process ends without an exception
        traceback.print_exc()
        code = 70
    finally:
        sys.stderr.flush()
        os._exit(code)


def _tell(answers: Any, target: Target, found: list[Finding]) -> None:
    answers.write(json.dumps({"plugin": target.name, "findings": [asdict(each) for each in found]}) + "\n")
    answers.flush()


def _died(target: Target, code: int) -> Finding:
    if code == -signal.SIGALRM:
        what, change = f"Its check took longer than {SECONDS} s.", "Look for what never ends at import or in a hook."
    elif code == 70:
        what, change = "The check itself failed; see standard error.", "Report this, with the plugin."
    else:
        what = f"It ended the process ({f'signal {-code}' if code < 0 else f'exit code {code}'})."
        change = "Do not leave the process, and run native code that may crash in a child process."
    return Finding(target.name, "error", "import", target.file or target.module, what, change)


def findings(target: Target) -> Iterator[Finding]:
    """All that is to be changed in a plugin."""
    from chatapp.authoring import checking_code, checking_declared, checking_import, checking_turns

    yield from checking_declared.package(target)
    imported = checking_import.imported(target)
    yield from imported.findings
    if imported.module is None:
        return
    yield from checking_code.code(target, imported.files)
    try:
        yield from asyncio.run(checking_turns.turns(target, imported))
    except FAILURES as error:
        yield imported.finding("error", "turn", f"Three scripted turns ended with {error!r}.", "Mend it.")


if __name__ == "__main__":
    main()
