"""What LanceDB raises, in one sentence: its own texts are chains of places in its source and of nested values."""

from __future__ import annotations

import re

from chatapp import visible

CLASSES = re.compile(r"^(?:(?:\w+Error|lance error|LanceError\(\w+\)|External error): |\[Errno \d+\] )*")
"""What stands before the message."""
INNERMOST = (
    (re.compile(r"<Message>([^<]+)</Message>"), r"the server says {!r}"),
    (re.compile(r"status: (\d{3})"), "the server answered {}"),
    (re.compile(r"BadScheme()"), "an http:// endpoint needs allow_http = \"true\" in `storage_options`"),
    (re.compile(r"CredentialsNotLoaded()"), "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    (re.compile(r'(?:message|error): "([^"]+)"'), "{}"),
)  # fmt: skip
"""What is worth telling of the nested values of an object store, the most telling first."""


def brief(error: Exception) -> str:
    """What went wrong, without a full stop and in one line."""
    text = " ".join(str(error).split())
    if "{ source:" in text:
        for pattern, said in INNERMOST:
            if match := pattern.search(text):
                return visible(said.format(match[1])[:300]).rstrip(".")
    text = CLASSES.sub("", text) or type(error).__name__
    return visible(text.split(", /")[0][:300]).rstrip(".")
