"""The columns of the three kinds of tables."""

from __future__ import annotations

from typing import Any

REGISTRY = "collections"
"""The table of all collections."""


def registry() -> Any:
    """One row per collection; see `Collection`."""
    import pyarrow as pa

    return pa.schema(
        [
            ("id", pa.string()),
            ("name", pa.string()),
            ("model", pa.string()),
            ("asked", pa.string()),
            ("dimensions", pa.int32()),
            ("language", pa.string()),
            ("roots", pa.list_(pa.string())),
            ("created", pa.float64()),
            ("removed", pa.float64()),
            ("ann", pa.string()),
        ]
    )


def files() -> Any:
    """One row per file of a collection; see `Entry`."""
    import pyarrow as pa

    return pa.schema(
        [
            ("path", pa.string()),
            ("digest", pa.string()),
            ("size", pa.int64()),
            ("mtime_ns", pa.int64()),
            ("chunks", pa.int32()),
            ("title", pa.string()),
            ("reason", pa.string()),
        ]
    )


def chunks(dimensions: int) -> Any:
    """One row per chunk. `text` begins with the heading, as it was embedded: the full-text index reads it too.

    Chunks belong to a digest, not to a path: equal files share them, and a file that moves takes nothing with it.
    """
    import pyarrow as pa

    return pa.schema(
        [
            ("digest", pa.string()),
            ("ordinal", pa.int32()),
            ("text", pa.string()),
            ("heading", pa.string()),
            ("page", pa.int32()),
            ("first_line", pa.int32()),
            ("last_line", pa.int32()),
            ("vector", pa.list_(pa.float32(), dimensions)),
        ]
    )


def quoted(values: Any) -> str:
    """SQL strings for an ``IN (…)``."""
    return ", ".join("'" + str(value).replace("'", "''") + "'" for value in values)
