"""How good the search and the answers are, in figures: `chatapp eval retrieval` and `chatapp eval answers`."""
