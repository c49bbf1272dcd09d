"""The service in the child process: loads a sentence-transformers model and turns texts into vectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chatapp import Job
from chatapp_embeddings.loading import UNBOUNDED, costs, load, precision_for, steps


class Service:
    """Holds one model. Every method takes the job first; see `chatapp.Job`."""

    _model: Any

    def load(
        self, job: Job, folder: str, threads: int, precision: str, prompts: Mapping[str, str] | None
    ) -> dict[str, Any]:
        """Load the model in `folder`; its "dimensions", how many "tokens" of a text it reads, and the "precision"."""
        model = load(lambda: _made(folder, prompts), folder, threads)
        precision = precision_for(precision, model.device.type)
        self._model = model.bfloat16() if precision == "bfloat16" else model
        width = int(self._encode([""], False).shape[1])
        return {"dimensions": width, "tokens": int(model.max_seq_length or 0), "precision": precision}

    def embed(self, job: Job, texts: Sequence[str], batch: int, query: bool) -> Iterator[tuple[list[int], bytes]]:
        """Vectors step by step: which texts they are of, and their 32-bit floats one after another."""

        def read(places: list[int]) -> Any:
            return self._encode([texts[place] for place in places], query)

        tokens = int(self._model.max_seq_length or UNBOUNDED)
        for places, rows in steps(job, costs(texts, tokens), batch, read):
            yield places, rows.tobytes()

    def _encode(self, texts: list[str], query: bool) -> Any:
        from torch.nn.functional import normalize

        encode = self._model.encode_query if query else self._model.encode_document
        rows = encode(texts, batch_size=len(texts), convert_to_tensor=True, show_progress_bar=False)
        # Vectors that were made unit length in bfloat16 are off by up to 0.4 %.
        return normalize(rows.float(), dim=1).cpu().numpy()


def _made(folder: str, prompts: Mapping[str, str] | None) -> Any:
    from sentence_transformers import SentenceTransformer

    given = dict(prompts) if prompts is not None else None
    # A model may bring code of its own, which is not run; and nothing is fetched that is not in the folder.
    return SentenceTransformer(folder, prompts=given, local_files_only=True, trust_remote_code=False)
