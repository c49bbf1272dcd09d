"""How the guide is built: `make guide` turns the Markdown of this folder into `build/guide`, warnings being errors."""

from __future__ import annotations

project = "chatapp"
copyright = "the chatapp contributors"
extensions = ["myst_parser"]
exclude_patterns = ["examples/chatapp-*/*/**"]
html_theme = "furo"
html_title = "chatapp: writing plugins"
html_show_sphinx = False
# So that a link to a heading of a page is checked like any other.
myst_heading_anchors = 3
