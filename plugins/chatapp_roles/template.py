"""The file that `/role new` writes."""

from __future__ import annotations

import json

TEMPLATE = """\
# A role of yours. The file's name is the role's: /role {name}

title = {title}
description = {description}

# What the model is told. Write it as you would brief a new colleague: what to do, in which order, what not to do, and
# how the answer should look; 60 to 150 words work well. {{date}}, {{cwd}}, {{language}}, {{os}} and {{shell}} are
# filled in, and so are the variables below. A brace that is meant as such is written twice.
prompt = \"\"\"
You are {article} {lower}. {description_text}
Begin with the answer. Keep to what is known, and say so when you are not sure.
\"\"\"

# Variables with their defaults: /role {name} topic="old maps" gives one another value.
# [variables]
# topic = "maps"

# How answers are drawn; what is left out is as in the settings, and /set still wins.
# [sampling]
# temperature = 0.3
# max_tokens = 800

# Exchanges that show how it should go; any number of them.
# [[examples]]
# user = "A question"
# assistant = "The answer as it should be."
"""


def new_file(name: str, description: str) -> str:
    """A commented role file; `description` is a sentence or empty."""
    title = name.replace("-", " ").replace("_", " ").capitalize()
    sentence = " ".join(description.split())
    sentence = sentence if not sentence or sentence.endswith((".", "!", "?")) else f"{sentence}."
    told = sentence or "Say here what you do."
    return TEMPLATE.format(
        name=name,
        title=_quoted(title),
        description=_quoted(sentence or "What this role does, in a sentence."),
        article="an" if title[:1] in "AEIOU" else "a",
        lower=title.lower(),
        # Inside the multi-line string: no quotation marks that could end it, no brace that could be a variable.
        description_text=_quoted(told)[1:-1].replace("{", "{{").replace("}", "}}"),
    )


def _quoted(text: str) -> str:
    # A JSON string is a TOML basic string, but for DEL.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
