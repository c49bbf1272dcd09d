"""The peer: a bare script on llama-cpp-python, as its README has it. Prints the answer, then figures as JSON on stderr.

usage: bare.py MODEL PROMPT MAX_TOKENS
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time

from llama_cpp import Llama


def main() -> None:
    """Load, stream one answer, say how fast."""
    model, prompt, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    # As many threads as chatapp takes: what is compared is the way to the tokens, not the number of threads.
    llm = Llama(model, n_ctx=4096, n_threads=len(os.sched_getaffinity(0)), verbose=False)
    messages = [{"role": "user", "content": prompt}]
    first = last = 0.0
    tokens = 0
    for chunk in llm.create_chat_completion(messages, max_tokens=count, temperature=0.0, stream=True):
        text = chunk["choices"][0]["delta"].get("content")
        if text:
            last = time.perf_counter()
            first = first or last
            tokens += 1
            sys.stdout.write(text)
            sys.stdout.flush()
    figures = {
        "tokens_per_second": (tokens - 1) / (last - first),
        "tokens": tokens,
        "peak_kilobytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }
    sys.stderr.write(json.dumps(figures) + "\n")


main()
