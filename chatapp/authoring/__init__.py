"""For those who write plugins: making one, seeing each change at once, checking it, and installing it."""
