"""One file per screen, named as the user sees it."""
