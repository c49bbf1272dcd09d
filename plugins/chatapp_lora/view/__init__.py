"""What the terminal chat shows of training. Textual is imported with these modules only."""
