"""One file per widget, named as the user sees it."""
