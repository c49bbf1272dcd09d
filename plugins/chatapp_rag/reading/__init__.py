"""From files to chunks: found, then read and split in a child process; told apart by content, not by name."""
