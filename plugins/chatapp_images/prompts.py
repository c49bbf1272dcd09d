"""How much of a prompt a model reads."""

from __future__ import annotations

from typing import Any

SHOWN = 80
"""Characters of what was left out that a note repeats."""
UNLIMITED = 100_000


def tokens(pipeline: Any) -> int:
    """How many tokens of a prompt count; 0 where the model states no limit."""
    limits = [int(each.model_max_length) for each in _tokenizers(pipeline)]
    return min((limit for limit in limits if limit < UNLIMITED), default=0)


def cut(pipeline: Any, prompt: str, what: str = "prompt") -> tuple[str, ...]:
    """A note on what of the prompt the model will not read; nothing where it reads all."""
    for tokenizer in _tokenizers(pipeline):
        limit = int(tokenizer.model_max_length)
        if limit >= UNLIMITED:
            continue
        read = tokenizer(prompt, truncation=False, verbose=False)["input_ids"]
        if len(read) > limit:
            left = _rest(tokenizer, prompt, read, limit)
            short = left if len(left) <= SHOWN else f"{left[:SHOWN].rstrip()}…"
            return (f"The model reads {limit} tokens of the {what}; left out: {short!r}",)
    return ()


def _rest(tokenizer: Any, prompt: str, read: list[int], limit: int) -> str:
    """What stands behind the tokens that are read, the last of which closes the prompt."""
    if getattr(tokenizer, "is_fast", False):
        spans = tokenizer(prompt, truncation=False, verbose=False, return_offsets_mapping=True)["offset_mapping"]
        return prompt[spans[limit - 1][0] :].strip()
    return str(tokenizer.decode(read[limit - 1 : -1])).strip()


def _tokenizers(pipeline: Any) -> list[Any]:
    both = (getattr(pipeline, name, None) for name in ("tokenizer", "tokenizer_2"))
    return [each for each in both if each is not None]
