"""The tools that come with the plugin, and the commands that take back what they wrote and measure their use."""

from __future__ import annotations

from chatapp_tools.calculating import calculate
from chatapp_tools.clock import date_and_time
from chatapp_tools.evaluating import eval_tools
from chatapp_tools.files import list_files, read_file, search_files
from chatapp_tools.running import run_command
from chatapp_tools.snippets import run_python
from chatapp_tools.undoing import undo
from chatapp_tools.writing import edit_file, write_file

TOOLS = (
    read_file, list_files, search_files, write_file, edit_file, run_command, calculate, date_and_time, run_python
)  # fmt: skip
"""Actions that the model is offered."""
COMMANDS = (undo, eval_tools)
"""Actions for the user only."""
