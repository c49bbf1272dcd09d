"""One GGUF model and its context, through llama-cpp-python's low-level interface; used in the child process only.

The high-level `Llama` class is not used: it cannot be stopped while it reads a prompt, copies all logits to NumPy for
every token, and forgets which prefix was evaluated when a chat goes on.
"""

from __future__ import annotations

import ctypes
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import llama_cpp as lib

from chatapp import EngineError
from chatapp_llama.failures import explain, explain_adapter
from chatapp_llama.size import Size

SEQUENCE = 0
ABORTED = 2
"""What llama_decode returns when the abort callback said so (llama.h)."""
LOG_ERROR = 4
"""GGML_LOG_LEVEL_ERROR (ggml.h); llama-cpp-python has no name for it."""
errors: deque[str] = deque(maxlen=20)


@lib.llama_log_callback  # type: ignore[untyped-decorator]
def _log(level: int, text: bytes, _: Any) -> None:
    # The library says why it refuses a file only in its log.
    if level == LOG_ERROR:
        errors.append(text.decode("utf-8", "replace").strip())


class Model:
    """A loaded model with one context and one sequence in it. EngineError says why a file cannot be used."""

    def __init__(self, path: str, size: Size, progress: Callable[[float], bool]) -> None:
        lib.llama_log_set(_log, ctypes.c_void_p(0))
        errors.clear()
        self._progress = lib.llama_progress_callback(lambda done, _: progress(done))
        params = lib.llama_model_default_params()
        params.n_gpu_layers = size.gpu_layers
        params.progress_callback = self._progress
        self._model = lib.llama_model_load_from_file(path.encode(), params)
        if not self._model:
            raise EngineError(explain(path, list(errors)))
        self.vocab = lib.llama_model_get_vocab(self._model)
        self.batch = size.batch
        self.stopped: Callable[[], bool] = lambda: False
        self._abort = lib.ggml_abort_callback(lambda _: self.stopped())
        self._context = self._open_context(path, size)
        self._memory = lib.llama_get_memory(self._context)
        self.context_length = int(lib.llama_n_ctx(self._context))
        self.vocab_size = int(lib.llama_vocab_n_tokens(self.vocab))
        self._pieces: dict[int, bytes] = {}
        self._buffer = ctypes.create_string_buffer(512)

    def _open_context(self, path: str, size: Size) -> Any:
        params = lib.llama_context_default_params()
        trained = int(lib.llama_model_n_ctx_train(self._model))
        params.n_ctx = min(size.context, trained) if trained > 0 else size.context
        params.n_batch = params.n_ubatch = size.batch
        params.n_threads = params.n_threads_batch = size.threads
        params.flash_attn_type = size.flash_attention
        params.no_perf = True
        context = lib.llama_init_from_model(self._model, params)
        if not context:
            lib.llama_model_free(self._model)
            raise EngineError(explain(path, list(errors), context=int(params.n_ctx)))
        lib.llama_set_abort_callback(context, self._abort, None)
        return context

    @property
    def context(self) -> Any:
        """The library's own context, for samplers."""
        return self._context

    def metadata(self) -> Mapping[str, str]:
        """What the GGUF says of itself; arrays are left out."""
        buffer = ctypes.create_string_buffer(1 << 20)
        found = {}
        for index in range(lib.llama_model_meta_count(self._model)):
            lib.llama_model_meta_key_by_index(self._model, index, buffer, len(buffer))
            key = buffer.value.decode("utf-8", "replace")
            lib.llama_model_meta_val_str_by_index(self._model, index, buffer, len(buffer))
            if not key.startswith("tokenizer.ggml.") or key.endswith("token_id"):
                found[key] = buffer.value.decode("utf-8", "replace")
        return found

    def facts(self) -> Mapping[str, Any]:
        """Counts the library derives: parameters, bytes of weights, trained context length, layers, embedding width."""
        return {
            "parameters": int(lib.llama_model_n_params(self._model)),
            "weight_bytes": int(lib.llama_model_size(self._model)),
            "trained_context": int(lib.llama_model_n_ctx_train(self._model)),
            "layers": int(lib.llama_model_n_layer(self._model)),
            "embedding": int(lib.llama_model_n_embd(self._model)),
        }

    def token_text(self, name: str) -> str:
        """The text of a special token: "bos" or "eos"; empty when the model has none."""
        token = int(getattr(lib, f"llama_vocab_{name}")(self.vocab))
        return "" if token < 0 else self.piece(token).decode("utf-8", "replace")

    def control_texts(self) -> list[str]:
        """The texts of all tokens that steer the model, so that they can be kept out of what people write."""
        control = lib.LLAMA_TOKEN_ATTR_CONTROL
        tokens = (t for t in range(self.vocab_size) if lib.llama_vocab_get_attr(self.vocab, t) & control)
        return [text for token in tokens if (text := self.piece(token).decode("utf-8", "replace"))]

    def is_control(self, token: int) -> bool:
        """Whether the token steers the model instead of standing for text."""
        return bool(lib.llama_vocab_get_attr(self.vocab, token) & lib.LLAMA_TOKEN_ATTR_CONTROL)

    def is_end(self, token: int) -> bool:
        """Whether the token ends an answer (end of text, of turn, of message)."""
        return bool(lib.llama_vocab_is_eog(self.vocab, token))

    def adds_bos(self) -> bool:
        """Whether a prompt has to begin with the beginning-of-text token."""
        return bool(lib.llama_vocab_get_add_bos(self.vocab))

    def tokenize(self, text: bytes, *, special: bool, begin: bool = False) -> list[int]:
        """Token ids of UTF-8 text; `special` reads control tokens, `begin` adds what the model wants at the start."""
        room = len(text) + 8
        tokens = (lib.llama_token * room)()
        count = lib.llama_tokenize(self.vocab, text, len(text), tokens, room, begin, special)
        return list(tokens[: max(count, 0)])

    def piece(self, token: int) -> bytes:
        """The bytes a token stands for; part of a character, sometimes."""
        known = self._pieces.get(token)
        if known is None:
            length = lib.llama_token_to_piece(self.vocab, token, self._buffer, len(self._buffer), 0, True)
            known = self._pieces[token] = self._buffer.raw[: max(length, 0)]
        return known

    def evaluate(self, tokens: Sequence[int]) -> bool:
        """Read at most `batch` tokens after what the context holds; False when `stopped` said so."""
        array = (lib.llama_token * len(tokens))(*tokens)
        status = lib.llama_decode(self._context, lib.llama_batch_get_one(array, len(tokens)))
        if status == ABORTED:
            return False
        if status != 0:
            raise EngineError(
                f"The model could not go on (llama.cpp error {status}): {'; '.join(errors) or 'no reason'}."
            )
        return True

    def forget(self, position: int) -> bool:
        """Drop what was evaluated from `position` on; False where the architecture cannot, and then all is dropped."""
        if lib.llama_memory_seq_rm(self._memory, SEQUENCE, position, -1):
            return True
        self.clear()
        return False

    def clear(self) -> None:
        """Drop all and put zeros in its place: what is only dropped is still multiplied, by 0, and must be finite."""
        lib.llama_memory_clear(self._memory, True)

    def state(self) -> bytes:
        """All that was evaluated, to be put back later with `restore`."""
        size = lib.llama_state_seq_get_size(self._context, SEQUENCE)
        data = (ctypes.c_uint8 * size)()
        return bytes(memoryview(data)[: lib.llama_state_seq_get_data(self._context, data, size, SEQUENCE)])

    def restore(self, state: bytes) -> bool:
        """Put what was evaluated then in the place of what is there; False when it does not fit any more."""
        self.clear()
        data = (ctypes.c_uint8 * len(state)).from_buffer_copy(state)
        return bool(lib.llama_state_seq_set_data(self._context, data, len(state), SEQUENCE))

    def open_adapter(self, path: str) -> Any:
        """Load an adapter's file for this model; EngineError with llama.cpp's reason when it refuses."""
        errors.clear()
        adapter = lib.llama_adapter_lora_init(self._model, os.fsencode(path))
        # A null pointer comes as an object that is false, not as None.
        if not adapter:
            raise EngineError(explain_adapter(list(errors)))
        return adapter

    def close_adapter(self, adapter: Any) -> None:
        """Give a loaded adapter's memory back; it must not be laid over the model."""
        lib.llama_adapter_lora_free(adapter)

    def lay(self, adapters: Sequence[tuple[Any, float]]) -> None:
        """Evaluate from now on with these loaded adapters at these scales, and no others."""
        count = len(adapters)
        pointers = (lib.llama_adapter_lora_p_ctypes * count)(*(adapter for adapter, _ in adapters))
        scales = (ctypes.c_float * count)(*(scale for _, scale in adapters))
        if lib.llama_set_adapters_lora(self._context, pointers, count, scales) != 0:
            raise EngineError("llama.cpp does not take these adapters together: use fewer of them.")

    def close(self) -> None:
        """Give everything back; adapters must have been closed before."""
        lib.llama_free(self._context)
        lib.llama_model_free(self._model)

    def logits(self) -> Any:
        """The last token's logits, a ctypes pointer to `vocab_size` float32."""
        return lib.llama_get_logits_ith(self._context, -1)
