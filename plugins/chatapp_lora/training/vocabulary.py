"""A model's tokens, read by llama.cpp itself, so that training cuts text exactly as answering does."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

from chatapp import ModelError, visible


class Vocabulary:
    """The vocabulary of a GGUF, without its weights. Close it, or use it in a `with` block."""

    def __init__(self, path: Path) -> None:
        import llama_cpp as lib

        self._lib = lib
        # The reason stands in the error that is raised; the library's own log would go to the terminal.
        self._log = lib.llama_log_callback(lambda *_: None)
        lib.llama_log_set(self._log, ctypes.c_void_p(0))
        params = lib.llama_model_default_params()
        params.vocab_only = True
        self._model = lib.llama_model_load_from_file(str(path).encode(), params)
        if not self._model:
            raise ModelError(f"The vocabulary of {visible(path.name)} cannot be read: download the model again.")
        self._vocab = lib.llama_model_get_vocab(self._model)
        self.size = int(lib.llama_vocab_n_tokens(self._vocab))

    def __enter__(self) -> Vocabulary:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give it back; safe to call twice."""
        if self._model:
            self._lib.llama_model_free(self._model)
            self._model = None

    def tokenize(self, text: str, *, begin: bool = False) -> list[int]:
        """The ids of text with its control tokens read as such; `begin` adds what the model wants at the start."""
        data = text.encode()
        room = len(data) + 8
        tokens = (self._lib.llama_token * room)()
        count = self._lib.llama_tokenize(self._vocab, data, len(data), tokens, room, begin, True)
        return list(tokens[: max(count, 0)])

    def piece(self, token: int) -> bytes:
        """The bytes a token stands for."""
        buffer = ctypes.create_string_buffer(512)
        length = self._lib.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, True)
        return buffer.raw[: max(length, 0)]

    def text(self, name: str) -> str:
        """The text of a special token: "bos" or "eos"; empty when the model has none."""
        token = int(getattr(self._lib, f"llama_vocab_{name}")(self._vocab))
        return "" if token < 0 else self.piece(token).decode("utf-8", "replace")

    @property
    def adds_bos(self) -> bool:
        """Whether a prompt has to begin with the beginning-of-text token."""
        return bool(self._lib.llama_vocab_get_add_bos(self._vocab))

    def is_end(self, token: int) -> bool:
        """Whether the token ends an answer."""
        return bool(self._lib.llama_vocab_is_eog(self._vocab, token))

    def controls(self) -> list[str]:
        """The texts of all tokens that steer the model."""
        control: Any = self._lib.LLAMA_TOKEN_ATTR_CONTROL
        tokens = (t for t in range(self.size) if self._lib.llama_vocab_get_attr(self._vocab, t) & control)
        return [text for token in tokens if (text := self.piece(token).decode("utf-8", "replace"))]
