"""What a picture is called while training: names, keywords, simple sentences, colours, in English and Portuguese."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from chatapp_images.training.data import Concept, Named
from chatapp_images.training.pictures import COLOURS
from chatapp_images.training.portuguese import THE, article, colour_words, coloured

PORTUGUESE = 0.35
"""Part of the captions that is Portuguese."""
KEYWORDS = 0.08
OWN_COLOUR = 0.06
"""Part of the captions that names the colour the picture has anyway."""
_ENGLISH_COLOURS = frozenset(COLOURS) | {"gray"}
_PLAIN, _SENTENCES = (
    0.5,
    ("an icon of {}", "a picture of {}", "a drawing of {}", "icon of {}", "draw {}", "the {0}", "a photo of {}"),
)
_FRASES = ("um desenho de {}", "uma imagem de {}", "um ícone de {}", "desenho de {}", "imagem de {}", "desenhe {}")


@dataclass(frozen=True, slots=True)
class Wording:
    """All that one concept may be called; `colour` is the colour it has, "" when that says nothing."""

    names: tuple[str, ...]
    portuguese: tuple[Named, ...]
    keywords: tuple[str, ...]
    keywords_portuguese: tuple[str, ...]
    colour: str = ""


def wordings(concepts: Sequence[Concept], colours: Mapping[str, str]) -> list[Wording]:
    """Each concept's wording. Keywords that several concepts share, or that name another one, are left out.

    `colours` gives the colour that the picture of an icon shows anyway.
    """
    taken = Counter(word for concept in concepts for word in _own(concept))
    shared = Counter(word for concept in concepts for word in {*concept.keywords, *concept.keywords_portuguese})
    return [_wording(concept, taken, shared, colours.get(concept.icon, "")) for concept in concepts]


def _own(concept: Concept) -> set[str]:
    return {*concept.names, concept.label, concept.label_portuguese, *(name.text for name in concept.portuguese)}


def _wording(concept: Concept, taken: Counter[str], shared: Counter[str], colour: str) -> Wording:
    own = _own(concept)
    names = list(concept.names)
    if concept.label not in names and (taken[concept.label] == 1):
        names.append(concept.label)
    known = [name.text for name in concept.portuguese]
    extra = concept.label_portuguese
    portuguese = list(concept.portuguese)
    if extra not in known and taken[extra] == 1:
        portuguese.append(Named(extra, ""))
    colours = _ENGLISH_COLOURS | colour_words()
    free = [
        [word for word in words if shared[word] == 1 and (word in own or not taken[word]) and word not in colours]
        for words in (concept.keywords, concept.keywords_portuguese)
    ]
    return Wording(tuple(names), tuple(portuguese), tuple(free[0]), tuple(free[1]), colour)


def with_article(name: str) -> str:
    """An English name after "a" or "an", or alone when it is a plural."""
    if name.endswith("s") and not name.endswith(("ss", "us", "is", "as")):
        return name
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def caption(wording: Wording, random: Random, colour: str = "") -> str:
    """One caption, drawn by `random`; with `colour`, an English colour's name, one that asks for it."""
    if not colour and wording.colour and random.random() < OWN_COLOUR:
        colour = wording.colour
    if not colour and random.random() < KEYWORDS:
        words = wording.keywords_portuguese if random.random() < PORTUGUESE else wording.keywords
        if words:
            return random.choice(words)
    return _portuguese(wording, random, colour) if random.random() < PORTUGUESE else _english(wording, random, colour)


def _pick(names: Sequence[str], random: Random) -> str:
    """Half the time the first name, which is the commonest."""
    return names[0] if random.random() < 0.5 else random.choice(names)


def nouns(wording: Wording) -> list[str]:
    """The English names that a colour may stand before."""
    return [name for name in wording.names if not _ENGLISH_COLOURS & set(name.split())] or list(wording.names)


def substantives(wording: Wording) -> list[Named]:
    """The Portuguese names that a colour may stand after."""
    words = colour_words() - {"rosa", "laranja"}
    return [name for name in wording.portuguese if name.gender and not words & set(name.text.split())]


def _english(wording: Wording, random: Random, colour: str) -> str:
    name = f"{colour} {_pick(nouns(wording), random)}" if colour else _pick(wording.names, random)
    if colour == "grey" and random.random() < 0.5:
        name = name.replace("grey", "gray")
    if random.random() < _PLAIN:
        return name
    if random.random() < 0.5:
        return with_article(name)
    template = random.choice(_SENTENCES)
    return template.format(name if template.startswith("the") else with_article(name))


def _portuguese(wording: Wording, random: Random, colour: str) -> str:
    choices = substantives(wording) if colour else wording.portuguese
    if not choices:
        return _english(wording, random, colour)
    named = choices[0] if random.random() < 0.5 else random.choice(choices)
    text = coloured(named.text, named.gender, colour) if colour else named.text
    if random.random() < _PLAIN or not named.gender:
        return text
    if random.random() < 0.4:
        return article(text, named.gender)
    if random.random() < 0.2:
        return f"{THE[named.gender]} {text}"
    return random.choice(_FRASES).format(text if random.random() < 0.5 else article(text, named.gender))


def vocabulary(wordings: Sequence[Wording]) -> tuple[list[str], list[str]]:
    """The English and the Portuguese texts whose words matter.

    Portuguese keywords are left out: a whole token for each would make the model too large.
    """
    english = [text for wording in wordings for text in (*wording.names, *wording.keywords)]
    portuguese = [name.text for wording in wordings for name in wording.portuguese]
    return [*english, *_SENTENCES, *COLOURS, "gray"], [*portuguese, *_FRASES, *sorted(colour_words()), *THE.values()]
