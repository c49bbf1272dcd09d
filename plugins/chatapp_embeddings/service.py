"""The service in the child process: loads a sentence-transformers model and turns texts into vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from chatapp import EngineError, Job


class Service:
    """Holds one model. Every method takes the job first; see `chatapp.Job`."""

    _model: Any

    def load(self, job: Job, folder: str, threads: int) -> dict[str, int]:
        """Load the model in `folder`; its dimensions, and how many tokens of a text it reads."""
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(threads)
        try:
            # A model may bring code of its own, which is not run; and nothing is fetched that is not in the folder.
            self._model = SentenceTransformer(folder, local_files_only=True, trust_remote_code=False)
        except Exception as error:
            # The library raises whatever its parts raise for a broken folder.
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            raise EngineError(f"The model in {folder} cannot be loaded: {reason.rstrip('.')}.") from error
        return {"dimensions": int(self._encode([""]).shape[1]), "tokens": int(self._model.max_seq_length or 0)}

    def embed(self, job: Job, texts: Sequence[str], batch: int) -> Iterator[tuple[list[int], bytes]]:
        """Vectors batch by batch: which texts they are of, and their 32-bit floats one after another.

        Texts of like length go together: the short ones of a mixed batch would be padded to the longest.
        """
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        for start in range(0, len(order), batch):
            if job.cancelled:
                return
            places = order[start : start + batch]
            yield places, self._encode([texts[place] for place in places]).astype("float32").tobytes()

    def _encode(self, texts: Sequence[str]) -> Any:
        return self._model.encode(
            list(texts), batch_size=len(texts), normalize_embeddings=True, convert_to_numpy=True,
            show_progress_bar=False,
        )  # fmt: skip
