"""Where chunks, vectors and files are kept: LanceDB, in a child process of its own."""
