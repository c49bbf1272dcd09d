"""The terminal chat: a thin layer that shows a Session and sends it input, and holds no rule of its own.

The only package that imports Textual.
"""
