"""Measures chatapp on this machine: prints each figure beside its target, and writes them as JSON.

usage: python -m tests.bench.run [--out FILE] [--model NAME|FILE] [--only WORD]
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from chatapp.models import open_store
from chatapp.paths import paths
from tests.bench import (
    bench_adapters,
    bench_documents,
    bench_engine,
    bench_experts,
    bench_images,
    bench_interface,
    bench_serving,
    bench_training,
)
from tests.bench.figure import Figure

MODEL = "qwen2.5-coder-0.5b-instruct"
MEASUREMENTS = (
    bench_engine.speed,
    bench_engine.cold_start,
    bench_engine.beside_a_busy_worker,
    bench_interface.interface,
    bench_documents.ingest,
    bench_documents.large,
    bench_adapters.switching_adapters,
    bench_adapters.writing_under_adapters,
    bench_experts.changing_experts,
    bench_training.training,
    bench_serving.serving,
    bench_serving.serving_many,
    bench_images.painting,
    bench_images.answering_beside_painting,
    bench_images.typing_beside_painting,
)


def main() -> int:
    """Run them one after another; 1 when a target is missed."""
    parser = argparse.ArgumentParser(description="Measure chatapp on this machine.")
    parser.add_argument("--out", type=Path, default=Path("bench.json"), help="where the JSON goes")
    parser.add_argument("--model", default=MODEL, help="a model's name, or a GGUF file")
    parser.add_argument("--only", default="", help="only the measurements with this word in their name")
    options = parser.parse_args()
    model = Path(options.model)
    model = model if model.suffix == ".gguf" else open_store(paths()).path(options.model)
    figures: list[Figure] = []
    for measure in MEASUREMENTS:
        if options.only not in measure.__name__:
            continue
        sys.stderr.write(f"measuring {measure.__name__.replace('_', ' ')} …\n")
        result: Any = measure(model)
        for figure in asyncio.run(result) if inspect.iscoroutine(result) else result:
            sys.stdout.write(figure.line() + "\n")
            sys.stdout.flush()
            figures.append(figure)
    report = {"machine": machine(), "model": options.model, "figures": [each.as_json() for each in figures]}
    options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0 if all(each.met is not False for each in figures) else 1


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "llama-cpp-python": metadata.version("llama-cpp-python"),
        "textual": metadata.version("textual"),
    }


if __name__ == "__main__":
    sys.exit(main())
