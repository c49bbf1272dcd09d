"""Conversations on disk: one SQLite file (WAL) with full-text search, private to the user."""

from chatapp.archive.search import MARK_END, MARK_START, Hit
from chatapp.archive.store import Archive, Summary

__all__ = ["MARK_END", "MARK_START", "Archive", "Hit", "Summary"]
