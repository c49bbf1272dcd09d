"""MCP servers as a source of tools, prompts and resources: this program as their client."""
