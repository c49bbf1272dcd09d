"""The child's side of Python snippets: puts walls around itself, then runs the code. Standard library only.

    python -I -S -B -u -X utf8 sandboxed.py SCRATCH MEGABYTES SECONDS        (the code is SCRATCH/snippet.py)

Walls, the outer ones where the system has them: limits of the process (everywhere); on Linux a user and network
namespace of its own, Landlock (files) and a seccomp filter (no process, no socket), which hold whatever the code does;
an audit hook (everywhere), which says in plain words what is not allowed but is no wall by itself.
"""

from __future__ import annotations

import ast
import contextlib
import os
import platform
import signal
import struct
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Mapping
from typing import Any

MOST_FILE = 50_000_000
"""Bytes of one file that a snippet may write."""
MOST_FRAMES = 5
"""Frames of a traceback that are told, the innermost."""
LIBRARIES = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/share/zoneinfo", "/etc/localtime", "/dev/urandom")
"""What a snippet may read beside Python's own library and its scratch folder."""

# landlock(7), linux/landlock.h
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_READ = 1 << 2 | 1 << 3
_FILES = ((1, (1 << 13) - 1), (2, 1 << 13), (3, 1 << 14), (5, 1 << 15))
"""The rights over files, by the version of Landlock that brought them."""

# linux/audit.h, linux/seccomp.h; the numbers of the calls are those of the kernel's tables
_X86_64 = (41, 42, 57, 58, 59, 62, 101, 129, 165, 200, 234, 248, 249, 250, 272, 297, 298, 302, 308, 310, 311, 321, 322,
           323, 425, 426, 434, 438)  # fmt: skip
_AARCH64 = (40, 97, 117, 129, 130, 131, 138, 198, 203, 217, 218, 219, 221, 240, 241, 261, 268, 270, 271, 280, 281, 282,
            425, 426, 434, 438)  # fmt: skip
"""What is refused: socket, connect, fork, vfork, execve, all that sends signals, ptrace, mount, the keyring, unshare,
perf_event_open, prlimit64, setns, process_vm_*, bpf, execveat, userfaultfd, io_uring_*, pidfd_*."""
_MACHINES: Mapping[str, tuple[int, int, tuple[int, ...]]] = {
    "x86_64": (0xC000003E, 56, _X86_64),
    "aarch64": (0xC00000B7, 220, _AARCH64),
}
"""By machine: its code, its call `clone`, and what is refused."""
_CLONE3 = 435
_CLONE_THREAD = 0x10000


def walled() -> bool:
    """Whether this system has walls that hold whatever the code does: Landlock and a filter of calls."""
    if sys.platform != "linux" or platform.machine() not in _MACHINES:
        return False
    return _landlock_version() > 0


def main() -> None:
    """Wall this process in and run the snippet; the exit code is 1 when it raised."""
    scratch, memory, seconds = os.path.realpath(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    with open(os.path.join(scratch, "snippet.py"), encoding="utf-8") as file:  # noqa: PTH118, PTH123
        code = file.read()
    os.chdir(scratch)
    readable = (*LIBRARIES, *sorted({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}))
    _limit(memory, seconds)
    if sys.platform == "linux":
        _die_with_parent()
        _own_namespaces()
        if walled():
            _wall_files([scratch, "/dev/null"], readable)
            _wall_calls()
    for name in [name for name in sys.modules if name.partition(".")[0] in ("ctypes", "_ctypes")]:
        del sys.modules[name]
    _watch(scratch, tuple(map(os.path.realpath, readable)))
    sys.exit(run(code))


def run(code: str) -> int:
    """Run the code as a notebook does: the value of a last expression is printed. 1 when it raised, else 0."""
    import linecache

    name = "snippet.py"
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    space: dict[str, Any] = {"__name__": "__main__"}
    try:
        tree = ast.parse(code, name)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, name, "exec"), space)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), name, "eval"), space)
            if value is not None:
                sys.stdout.write(f"{value!r}\n")
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001  (whatever it is, it is the snippet's result)
        space.clear()
        told = traceback.TracebackException.from_exception(error)
        # Not our own frames: the model looks for its mistake in them.
        own = [each for each in told.stack if each.filename != __file__]
        told.stack = traceback.StackSummary.from_list(own[-MOST_FRAMES:])
        sys.stderr.writelines(told.format(chain=False))
        return 1
    return 0


def _limit(memory: int, seconds: int) -> None:
    import resource

    os.nice(10)
    # The clock on the wall ends it first, unless it has several threads or nobody is left to look at the clock.
    limits = [(resource.RLIMIT_CPU, seconds + 5), (resource.RLIMIT_FSIZE, MOST_FILE), (resource.RLIMIT_NOFILE, 64),
              (resource.RLIMIT_CORE, 0)]  # fmt: skip
    if sys.platform == "linux":
        # macOS knows the name of this limit and refuses it.
        limits.append((resource.RLIMIT_AS, memory * 1_000_000))
    for which, limit in limits:
        hard = resource.getrlimit(which)[1]
        least = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(which, (least, least))


def _libc() -> Any:
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def _call(*arguments: Any) -> int:
    """A system call; OSError when it fails."""
    import ctypes

    found = _libc().syscall(*(ctypes.c_long(each) if isinstance(each, int) else each for each in arguments))
    if found < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(found)


def _die_with_parent() -> None:
    _libc().prctl(1, signal.SIGKILL, 0, 0, 0)


def _own_namespaces() -> None:
    """A network of its own with nothing in it, where the kernel lets users have one; the other walls hold without."""
    import resource

    user, network, messages = 0x10000000, 0x40000000, 0x08000000
    if _libc().unshare(user | network | messages) == 0:
        # Counted within the namespace, so that the user's other processes do not count.
        resource.setrlimit(resource.RLIMIT_NPROC, (32, 32))


def _landlock_version() -> int:
    try:
        return _call(_CREATE, None, 0, 1)
    except OSError:
        # The kernel lacks it, or it is switched off.
        return 0


def _wall_files(writable: Iterable[str], readable: Iterable[str]) -> None:
    import ctypes

    version = _landlock_version()
    every = sum(rights for since, rights in _FILES if version >= since)
    fields = [every, *([3] if version >= 4 else []), *([3] if version >= 6 else [])]
    rules = _call(_CREATE, ctypes.create_string_buffer(struct.pack(f"={len(fields)}Q", *fields)), len(fields) * 8, 0)
    for paths, rights in ((writable, every), (readable, _READ)):
        for path in paths:
            _allow(rules, path, rights)
    _libc().prctl(38, 1, 0, 0, 0)
    _call(_RESTRICT, rules, 0)
    os.close(rules)


def _allow(rules: int, path: str, rights: int) -> None:
    import ctypes

    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    # A rule for a file may only hold the rights that files have: read, write, truncate.
    rights &= -1 if os.path.isdir(path) else 1 << 1 | 1 << 2 | 1 << 14  # noqa: PTH112
    if _landlock_version() < 3:
        rights &= ~(1 << 14)
    rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, place))
    _call(_ADD, rules, 1, rule, 0)
    os.close(place)


def _wall_calls() -> None:
    import ctypes

    machine, clone, refused = _MACHINES[platform.machine()]
    refuse, unknown, allow, kill = 0x00050001, 0x00050026, 0x7FFF0000, 0x80000000
    load, equal, most, bits, give = 0x20, 0x15, 0x35, 0x45, 0x06
    program = [(load, 0, 0, 4), (equal, 1, 0, machine), (give, 0, 0, kill), (load, 0, 0, 0)]
    # Calls of the old 32-bit form have numbers of their own.
    program += [(most, 0, 1, 0x40000000), (give, 0, 0, refuse)]
    for number in refused:
        program += [(equal, 0, 1, number), (give, 0, 0, refuse)]
    # glibc then makes its threads with `clone`, whose arguments a filter can see.
    program += [(equal, 0, 1, _CLONE3), (give, 0, 0, unknown)]
    program += [(equal, 0, 3, clone), (load, 0, 0, 16), (bits, 1, 0, _CLONE_THREAD), (give, 0, 0, refuse)]
    program += [(give, 0, 0, allow)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in program))
    head = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    _libc().prctl(38, 1, 0, 0, 0)
    if _libc().prctl(22, 2, head, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the filter of calls was refused")


_NETWORK = "A snippet has no network."
_PROCESS = "A snippet may start and end no processes."
_REFUSED = {
    "socket.connect": _NETWORK, "socket.bind": _NETWORK, "socket.sendto": _NETWORK, "socket.sendmsg": _NETWORK,
    "socket.getaddrinfo": _NETWORK, "socket.gethostbyname": _NETWORK, "socket.gethostbyaddr": _NETWORK,
    "subprocess.Popen": _PROCESS, "os.system": _PROCESS, "os.exec": _PROCESS, "os.fork": _PROCESS,
    "os.forkpty": _PROCESS, "os.posix_spawn": _PROCESS, "os.spawn": _PROCESS, "os.kill": _PROCESS,
    "os.killpg": _PROCESS, "pty.spawn": _PROCESS, "ctypes.dlopen": "A snippet may not load native code.",
    "sqlite3.enable_load_extension": "A snippet may not load native code.",
}  # fmt: skip
_READS = {"os.listdir": 1, "os.scandir": 1, "os.chdir": 1}
_WRITES = {
    "os.mkdir": 1, "os.rmdir": 1, "os.remove": 1, "os.rename": 2, "os.link": 2, "os.symlink": 2, "os.chmod": 1,
    "os.truncate": 1, "os.chown": 1, "os.utime": 1, "os.mkfifo": 1, "os.mknod": 1, "sqlite3.connect": 1,
}  # fmt: skip
"""How many paths there are among an event's arguments; see the table of audit events in Python's documentation."""


def _watch(scratch: str, readable: tuple[str, ...]) -> None:
    """Refuse with a sentence what the walls refuse without one."""
    real, join = os.path.realpath, os.path.join
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

    def check(path: Any, write: bool) -> None:
        if isinstance(path, int) or path in (None, ":memory:", "", b""):
            return
        place = real(join(scratch, os.fsdecode(path)))
        inside = (scratch,) if write else (scratch, *readable)
        if place != "/dev/null" and not any(place == each or place.startswith(f"{each}/") for each in inside):
            raise PermissionError(f"A snippet may use only files in its own folder, not {place}.")

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _REFUSED:
            raise PermissionError(_REFUSED[event])
        if event == "open":
            check(arguments[0], bool((arguments[2] or 0) & writing))
        elif event == "socket.__new__" and int(arguments[1]) != 1:
            raise PermissionError(_NETWORK)
        for path in arguments[: _READS.get(event, 0)]:
            check(path, False)
        for path in arguments[: _WRITES.get(event, 0)]:
            check(path, True)

    sys.addaudithook(hook)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main()
