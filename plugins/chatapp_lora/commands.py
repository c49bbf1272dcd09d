"""`/lora` and what is below it."""

from __future__ import annotations
