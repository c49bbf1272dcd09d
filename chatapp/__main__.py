"""`python -m chatapp` is the command `chatapp`."""

from __future__ import annotations

from chatapp.cli import main

if __name__ == "__main__":
    main()
