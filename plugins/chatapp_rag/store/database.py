"""The LanceDB connection and its tables; in the child process only."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from chatapp import EngineError, UsageError
from chatapp_rag.collection import Collection, Entry
from chatapp_rag.store import schema
from chatapp_rag.store.failing import brief

SLICE = 500
"""Most values in one SQL list: longer ones make the planner slow."""


def connect(uri: str, options: Mapping[str, str], key: str, host: str) -> Any:
    """Open the database at `uri`: a folder, ``s3://…`` with `options`, or ``db://…`` with an API `key`.

    EngineError says why it cannot be reached.
    """
    import lancedb

    # Another process of ours may write to the same place: always look at the newest version.
    fresh: dict[str, Any] = {"read_consistency_interval": timedelta(0)}
    if uri.startswith("db://"):
        fresh |= {"api_key": key, "host_override": host or None}
    elif "://" in uri:
        fresh |= {"storage_options": dict(options)}
    try:
        if "://" not in uri:
            Path(uri).mkdir(parents=True, exist_ok=True)
        opened = lancedb.connect(uri, **fresh)
        opened.table_names(limit=1)
    except Exception as error:
        # The library raises whatever its storage layer raises.
        raise EngineError(f"The document store at {uri} cannot be opened: {brief(error)}.") from error
    return opened


class Database:
    """The tables of one LanceDB database, opened when first asked for."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._open: dict[str, Any] = {}
        self._listed: tuple[int, list[Collection]] | None = None

    def collections(self) -> list[Collection]:
        """Every collection, removed ones too, in the order they were made."""
        registry = self._registry()
        version = registry.version
        # Each search asks, and reading a table takes longer than asking for its version.
        if self._listed is None or self._listed[0] != version:
            rows = registry.search().limit(None).to_list()
            found = [Collection(**{**row, "roots": tuple(row["roots"] or ())}) for row in rows]
            self._listed = version, sorted(found, key=lambda each: each.created)
        return list(self._listed[1])

    def collection(self, identity: str) -> Collection:
        """The collection with that id; UsageError when it is gone."""
        for each in self.collections():
            if each.id == identity:
                return each
        raise UsageError("That collection is gone; `rag list` shows which there are.")

    def create(self, name: str, model: str, asked: str, dimensions: int) -> Collection:
        """A new, empty collection; its tables are there before its row, so that a row always has tables."""
        made = Collection(secrets.token_hex(6), name, model, asked, dimensions, created=time.time())
        self._connection.create_table(f"{made.id}-chunks", schema=schema.chunks(dimensions))
        self._connection.create_table(f"{made.id}-files", schema=schema.files())
        self._registry().add([_row(made)])
        return made

    def change(self, identity: str, changes: Mapping[str, Any]) -> Collection:
        """Change a collection's row."""
        made = replace(self.collection(identity), **changes)
        table = self._registry()
        table.merge_insert("id").when_matched_update_all().execute([_row(made)], timeout=timedelta(minutes=1))
        return made

    def drop(self, identity: str) -> None:
        """Delete a collection for good; its row first, so that what is half deleted is not listed."""
        self._registry().delete(f"id = '{identity}'")
        for kind in ("files", "chunks"):
            self._open.pop(f"{identity}-{kind}", None)
            self._connection.drop_table(f"{identity}-{kind}", ignore_missing=True)

    def entries(self, identity: str) -> list[Entry]:
        """Every file of a collection."""
        return [Entry(**row) for row in self.files(identity).search().limit(None).to_list()]

    def put(self, identity: str, entries: Iterable[Entry]) -> None:
        """Write the rows of files, in place of those with the same paths."""
        import pyarrow as pa

        data = pa.Table.from_pylist([asdict(entry) for entry in entries], schema=schema.files())
        merge = self.files(identity).merge_insert("path")
        merge.when_matched_update_all().when_not_matched_insert_all().execute(data)

    def forget(self, identity: str, paths: Iterable[str]) -> None:
        """Delete the rows of files; their chunks go with the next sweep."""
        for part in sliced(paths):
            self.files(identity).delete(f"path IN ({schema.quoted(part)})")

    def files(self, identity: str) -> Any:
        """The table of a collection's files."""
        return self._table(f"{identity}-files")

    def chunks(self, identity: str) -> Any:
        """The table of a collection's chunks."""
        return self._table(f"{identity}-chunks")

    def _registry(self) -> Any:
        if schema.REGISTRY not in self._open:
            self._open[schema.REGISTRY] = self._connection.create_table(
                schema.REGISTRY, schema=schema.registry(), exist_ok=True
            )
        return self._open[schema.REGISTRY]

    def _table(self, name: str) -> Any:
        if name not in self._open:
            try:
                self._open[name] = self._connection.open_table(name)
            except (FileNotFoundError, ValueError) as error:
                raise EngineError(f"The document store lacks a table of this collection: {brief(error)}.") from error
        return self._open[name]


def sliced(values: Iterable[str]) -> Iterable[list[str]]:
    """The values in lists short enough for a query."""
    every = list(values)
    return (every[start : start + SLICE] for start in range(0, len(every), SLICE))


def _row(collection: Collection) -> dict[str, Any]:
    return {**asdict(collection), "roots": list(collection.roots)}
