"""What in a command line can do harm, marked before it is allowed.

Commands that only read and show, inside the allowed folders, are known by name; everything else is marked, so that a
permission for the whole conversation never covers it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from chatapp import Session, UsageError
from chatapp_tools.access import reach
from chatapp_tools.repositories import objection

if TYPE_CHECKING:
    from tree_sitter import Node

HARMLESS = frozenset(
    {
        "basename", "cal", "cat", "cmp", "comm", "cut", "date", "df", "dirname", "du", "echo", "exit", "expr",
        "false", "find", "git", "grep", "egrep", "fgrep", "head", "id", "ls", "md5sum", "nl", "nproc", "printf", "pwd",
        "realpath", "rev", "seq", "sha1sum", "sha256sum", "sleep", "sort", "stat", "tac", "tail", "test", "tr", "true",
        "uname", "uptime", "wc", "which", "whoami",
    }
)  # fmt: skip
"""They read and show; with none of the options in `CHANGES` they change and start nothing; of git see `objection`."""
_SEARCH = re.compile(r"-\w*[rRd].*|--(r|de|di).*")
CHANGES: Mapping[str, re.Pattern[str]] = {
    "date": re.compile(r"-\w*s.*|--s.*"),
    "du": re.compile(r"--f.*"),
    "egrep": _SEARCH,
    "fgrep": _SEARCH,
    "find": re.compile(r"-(exec|execdir|ok|okdir|delete|fprint\w*|fls)"),
    "git": re.compile(r"-O.*|--(ou|ext|text|no-index|open).*"),
    "grep": _SEARCH,
    "printf": re.compile(r"-v.*"),
    "sort": re.compile(r"-\w*o.*|--(o|com|f).*"),
    "wc": re.compile(r"--f.*"),
}
"""Options with which they write, set a variable, start a program, or read what nobody named; long ones may be cut."""
GIT_READS = frozenset({"status", "log", "diff", "show", "blame", "ls-files", "rev-parse", "shortlog", "describe"})
HARMFUL = frozenset(
    {
        "apk", "apt", "apt-get", "brew", "chattr", "chgrp", "chmod", "chown", "crontab", "dd", "dnf", "doas", "docker",
        "eval", "exec", "fdisk", "gem", "git", "halt", "init", "iptables", "kill", "killall", "launchctl", "ln", "mkfs",
        "mount", "mv", "nc", "nohup", "npm", "npx", "pacman", "parted", "passwd", "pip", "pip3", "pkill", "pnpm",
        "podman", "poweroff", "reboot", "rm", "rmdir", "rsync", "scp", "setsid", "shred", "shutdown", "snap", "source",
        "ssh", "su", "sudo", "swapoff", "systemctl", "tee", "truncate", "umount", "unlink", "useradd", "userdel",
        "usermod", "uv", "wipefs", "xargs", "yarn", "yum", "zypper", ".", "find", "sort",
    }
)  # fmt: skip
"""Of these the whole command is marked, with what it acts on; of others only the name."""
_STRUCTURE = frozenset(
    {
        "program", "list", "pipeline", "redirected_statement", "negated_command", "subshell", "compound_statement",
        "if_statement", "elif_clause", "else_clause", "while_statement", "for_statement", "do_group", "comment",
        "variable_name", "word", "number", "string", "raw_string",
    }
)  # fmt: skip
_PLAIN = frozenset({"word", "number", "raw_string", "string", "string_content", "concatenation"})
_RUNS = re.compile(r"`|\$[({\[]")
"""What the shell may run even where it stands in quotes, as the index of an array: ``test -v 'a[$(id)]'``."""
_SHELLS = re.compile(
    r"\b(curl|wget|fetch)\b.*\|\s*(sudo\s+)?(env\s+)?\S*\b(sh|bash|zsh|dash|fish|python3?|perl|node)\b", re.S
)


def dangers(session: Session, command: str, folder: Path) -> tuple[str, ...]:
    """The parts of the command line that can do harm, as they stand in it, each once; blocks on the file system.

    All of it where it cannot be understood for certain.
    """
    try:
        from tree_sitter import Language, Parser
        from tree_sitter_bash import language
    except ModuleNotFoundError:
        return (command,)
    root = Parser(Language(language())).parse(command.encode("utf-8", "replace")).root_node
    if root.has_error or not root.children or re.search(r"[\x00-\x08\x0b-\x1f\x7f]", command):
        return (command,)
    return tuple(dict.fromkeys(_Reading(session, folder).found(root)))


class _Reading:
    """Reads the tree of one command line that begins in a folder."""

    def __init__(self, session: Session, folder: Path) -> None:
        self._session, self._folder = session, folder

    def found(self, node: Node) -> Iterator[str]:
        """The dangerous parts below a node."""
        if node.type == "command":
            yield from self._command(node)
        elif node.type == "file_redirect":
            yield from self._redirect(node)
        elif node.type == "pipeline" and _SHELLS.search(_text(node)):
            yield _text(node)
        elif node.type == "test_command" or _sets_variable(node):
            plain = node.type == "test_command" and all(each.type in _TESTS for each in _below(node))
            yield from () if plain and not _RUNS.search(_text(node)) else (_text(node),)
        elif node.is_named and node.type not in _STRUCTURE:
            yield _text(node)
        elif node.type == "&":
            yield "&"
        else:
            for child in node.children:
                yield from self.found(child)

    def _command(self, node: Node) -> Iterator[str]:
        name_node = node.child_by_field_name("name")
        words = node.children_by_field_name("argument")
        others = [each for each in node.named_children if each != name_node and each not in words]
        name = _word(name_node) if name_node is not None else None
        if name_node is None or name is None or others:
            # A variable set beside it, or a name that is only known when it runs.
            yield _text(node)
            return
        arguments = [_word(each) for each in words]
        marked = [_text(each) for each, word in zip(words, arguments, strict=True) if not self._safe(each, word)]
        if name in HARMLESS and not _changes(name, arguments) and not (name == "git" and objection(self._folder)):
            yield from marked
            return
        base = name.rpartition("/")[2]
        if base in HARMFUL or base.partition(".")[0] == "mkfs":
            yield _text(node)
            return
        yield _text(name_node)
        yield from marked

    def _safe(self, node: Node, word: str | None) -> bool:
        """Whether an argument is plain and leads, as a path, to nothing outside or secret."""
        if word is None or (node.type in ("word", "concatenation") and re.search(r"[*?\[\]{}]", word)):
            return False
        return self._reachable(re.sub(r"^-+[\w-]*?(=|(?=[/~.]))", "", word))

    def _reachable(self, path: str) -> bool:
        try:
            return path.startswith("-") or not path or reach(self._session, path, self._folder).inside
        except UsageError:
            return False

    def _redirect(self, node: Node) -> Iterator[str]:
        target = node.child_by_field_name("destination")
        word = _word(target) if target is not None else None
        signs = {each.type for each in node.children if not each.is_named}
        if word == "/dev/null" or (signs <= {">&", "<&"} and word is not None and word.isdigit()):
            return
        if signs == {"<"} and word is not None and self._reachable(word):
            return
        yield _text(node)


_TESTS = frozenset(
    {"test_command", "unary_expression", "binary_expression", "negation_expression", "parenthesized_expression",
     "test_operator", "word", "string", "string_content", "raw_string", "number"}
)  # fmt: skip


def _below(node: Node) -> Iterator[Node]:
    for child in node.named_children:
        yield child
        yield from _below(child)


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")


def _word(node: Node) -> str | None:
    """The text a word stands for; None where that is only known when it runs."""
    if node.type == "command_name":
        return _word(node.named_children[0]) if len(node.named_children) == 1 else None
    if node.type not in _PLAIN or any(each.type not in _PLAIN for each in _below(node)):
        return None
    text = _text(node)
    return None if _RUNS.search(text) else re.sub(r"[\"'\\]", "", text)


def _sets_variable(node: Node) -> bool:
    """Whether a loop sets a variable that may mean something to the shell, as PATH does."""
    variable = node.child_by_field_name("variable")
    return node.type == "for_statement" and (variable is None or not re.fullmatch(r"[a-z]\w*", _text(variable)))


def _changes(name: str, arguments: list[str | None]) -> bool:
    if name == "git" and (not arguments or arguments[0] not in GIT_READS):
        return True
    options = CHANGES.get(name)
    return options is not None and any(word is not None and options.fullmatch(word) for word in arguments)
