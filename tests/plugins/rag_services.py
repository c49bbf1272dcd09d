"""Services of reading that fail as libraries do, for the tests: they run in real child processes."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from chatapp import Job
from chatapp_rag.documents import Reading
from chatapp_rag.reading.service import Service


class Fragile(Service):
    """Dies, hangs or fails on files of these names, and reads others."""

    def read(self, job: Job, path: str, tokenizer: str, capacity: int) -> Reading:
        """As the real one, but for some names."""
        name = Path(path).stem
        if name == "abort":
            os.abort()
        if name == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        while name == "sleep":
            time.sleep(0.05)
        return super().read(job, path, tokenizer, capacity)
