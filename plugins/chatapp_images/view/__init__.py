"""How pictures look in the terminal chat. Nothing here is imported before a picture is shown."""
