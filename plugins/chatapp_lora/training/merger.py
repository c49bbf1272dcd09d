"""The service that merges, in a child process: gigabytes pass through it, and it can be ended at any moment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chatapp import EngineError, Job, Progress
from chatapp_lora.training.merging import merge


class Merger:
    """Merges adapters into a model's weights; see `chatapp.Job`."""

    def merge(self, job: Job, base: Path, adapters: Sequence[tuple[Path, float]], out: Path) -> None:
        """As `merging.merge`; emits its `Progress`."""

        def report(progress: Progress) -> None:
            if job.cancelled:
                raise EngineError("Merging was stopped; nothing was written.")
            job.emit(progress)

        merge(base, adapters, out, report)
