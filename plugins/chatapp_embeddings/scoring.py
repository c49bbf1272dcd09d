"""The service in the child process that reads a question and a passage together: a cross-encoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from chatapp import EngineError, Job
from chatapp_embeddings.loading import UNBOUNDED, costs, load, steps


class Service:
    """Holds one cross-encoder. Every method takes the job first; see `chatapp.Job`."""

    _model: Any

    def load(self, job: Job, folder: str, threads: int) -> dict[str, int]:
        """Load the model in `folder`; how many "tokens" of question and passage together it reads."""
        self._model = load(lambda: _made(folder), folder, threads)
        labels = int(self._model.num_labels)
        if labels != 1:
            raise EngineError(f"The model in {folder} gives {labels} numbers where a reranker gives one score.")
        return {"tokens": int(self._model.max_seq_length or 0)}

    def score(self, job: Job, query: str, texts: Sequence[str], batch: int) -> Iterator[tuple[list[int], list[float]]]:
        """Scores from 0 to 1, step by step: which texts they are of, and their scores."""
        # Each text is read behind the question, whose length therefore counts with every one.
        lengths = costs([f"{query} {text}" for text in texts], int(self._model.max_seq_length or UNBOUNDED))
        yield from steps(job, lengths, batch, lambda some: self._scores(query, [texts[place] for place in some]))

    def _scores(self, query: str, texts: Sequence[str]) -> list[float]:
        from torch.nn import Sigmoid

        scores = self._model.predict(
            [(query, text) for text in texts], batch_size=len(texts), activation_fn=Sigmoid(),
            show_progress_bar=False,
        )  # fmt: skip
        return [float(score) for score in scores]


def _made(folder: str) -> Any:
    from sentence_transformers import CrossEncoder

    return CrossEncoder(folder, local_files_only=True, trust_remote_code=False)
