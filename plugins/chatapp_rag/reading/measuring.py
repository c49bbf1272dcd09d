"""How long a text is for the embedding model: in its own tokens if its tokenizer is at hand, else by its characters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

PER_TOKEN: Final = 4
"""Characters of a token, where there is no tokenizer to ask."""
LONGEST_TOKEN: Final = 8
"""Characters that a token stands for at the most: to some tokenizers a word of any length is one unknown token."""
_TOGETHER: Final = 1000


class Ruler:
    """Counts tokens. `tokenizer` is the path of a Hugging Face ``tokenizer.json``; without one, sizes are estimates."""

    def __init__(self, tokenizer: str = "") -> None:
        self._tokenizer = None
        self.special = 0
        """Tokens that the model adds to every text."""
        if tokenizer:
            from tokenizers import Tokenizer

            self._tokenizer = Tokenizer.from_file(tokenizer)
            # The file may say that texts are cut or filled up, which would make all of them equally long.
            self._tokenizer.no_truncation()
            self._tokenizer.no_padding()
            self.special = self._tokenizer.num_special_tokens_to_add(False)

    def size(self, text: str) -> int:
        """Tokens of a text, without the special ones."""
        if self._tokenizer is None:
            return -(-len(text) // PER_TOKEN)
        return max(len(self._tokenizer.encode(text, add_special_tokens=False)), _least(text))

    def sizes(self, texts: Sequence[str], enough: int) -> list[int]:
        """The size of each text; of one that is plainly larger than `enough`, some size above it, without counting."""
        if self._tokenizer is None:
            return [self.size(text) for text in texts]
        found = [_least(text) for text in texts]
        places = [place for place, least in enumerate(found) if least <= enough]
        for start in range(0, len(places), _TOGETHER):
            some = places[start : start + _TOGETHER]
            encodings = self._tokenizer.encode_batch([texts[place] for place in some], add_special_tokens=False)
            for place, encoding in zip(some, encodings, strict=True):
                found[place] = max(len(encoding), found[place])
        return found


def _least(text: str) -> int:
    return -(-len(text) // LONGEST_TOKEN)
