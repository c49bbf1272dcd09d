"""Sets up the virtual environment that the Makefile's commands use, and shows that something is happening.

Runs with the system's own Python, so it imports nothing that has to be installed. The long part is llama-cpp-python,
which is compiled (three to six minutes on two cores, once: pip keeps the wheel).
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

OLDEST = (3, 11)
STEP = re.compile(r"^\s*\[(\d+)/(\d+)\] \S")
WORK = re.compile(r"^\s*(Collecting|Downloading|Building wheels? for|Installing collected packages)\b(.*)")
# The multimodal library, the tools and the tests of llama.cpp are not used: without them half the files are compiled.
CMAKE_ARGS = "-DLLAVA_BUILD=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_TOOLS=OFF"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", type=Path, required=True)
    parser.add_argument("--extras", required=True)
    parser.add_argument("--stamp", required=True)
    options = parser.parse_args()
    if sys.version_info < OLDEST:
        sys.exit(f"chatapp needs Python 3.11 or newer and this is {sys.version.split()[0]}: make PYTHON=python3.11 …")
    if not (options.venv / "bin" / "python").exists():
        say("Making the virtual environment .venv")
        made = subprocess.run([sys.executable, "-m", "venv", str(options.venv)])
        if made.returncode:
            sys.exit("The virtual environment could not be made: install Python's venv package (python3-venv).")
    install(options.venv, options.extras)
    (options.venv / options.stamp).touch()


def install(venv, extras):
    """Run pip with the pinned versions; its output goes to a log, a line of progress to the terminal."""
    log = venv / "setup.log"
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    environment["CMAKE_ARGS"] = f"{CMAKE_ARGS} {os.environ.get('CMAKE_ARGS', '')}".strip()
    command = [str(venv / "bin" / "python"), "-m", "pip", "install", "--verbose", "--progress-bar", "off"]
    command += ["--constraint", "constraints.txt", "--editable", f".[{extras}]"]
    say(f"Installing chatapp[{extras}] (the first time, llama.cpp is compiled: some minutes)")
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
    try:
        watch(process, log)
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        sys.exit("Interrupted; run the same command again to go on.")
    if process.returncode:
        fail(log)


def watch(process, log):
    """Show the last thing pip did and the time: one line on a terminal, a line now and then elsewhere."""
    begun, shown = time.monotonic(), 0.0
    live = sys.stderr.isatty()
    while process.poll() is None:
        time.sleep(0.5)
        seconds = time.monotonic() - begun
        if live or seconds - shown >= 20:
            shown = seconds
            line = f"  {int(seconds) // 60}:{int(seconds) % 60:02d}  {latest(log)}"
            sys.stderr.write(f"\r\033[K{line[: shutil.get_terminal_size().columns - 1]}" if live else f"{line}\n")
            sys.stderr.flush()
    if live:
        sys.stderr.write("\r\033[K")


def latest(log):
    """What the log's last telling line says."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 20_000))
        lines = file.read().decode("utf-8", "replace").splitlines()
    for line in reversed(lines):
        step = STEP.match(line)
        if step:
            return f"Compiling llama.cpp, step {step[1]} of {step[2]}"
        work = WORK.match(line)
        if work:
            return (work[1] + work[2])[:90]
    return "Starting pip"


def fail(log):
    """Show the end of the log and what mostly helps."""
    text = log.read_text(encoding="utf-8", errors="replace")
    sys.stderr.write("\n".join(text.splitlines()[-25:]) + "\n")
    missing = not (shutil.which("c++") or shutil.which("g++") or shutil.which("clang++"))
    compiler = "a C/C++ compiler is missing (on Debian and Ubuntu: apt install build-essential)"
    sys.exit(f"Setting up failed: {compiler if missing else 'see above'}. The whole log is {log}.")


def say(text):
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
