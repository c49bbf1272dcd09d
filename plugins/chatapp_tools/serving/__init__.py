"""This application's tools for other programs: an MCP server over standard input and output."""
