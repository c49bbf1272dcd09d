"""What the Portuguese captions need of the grammar: articles, and colours that agree with their noun."""

from __future__ import annotations

ARTICLES = {"m": "um", "f": "uma", "mp": "uns", "fp": "umas"}
THE = {"m": "o", "f": "a", "mp": "os", "fp": "as"}
_FORMS = {
    "red": ("vermelho", "vermelha", "vermelhos", "vermelhas"),
    "orange": ("laranja",),
    "yellow": ("amarelo", "amarela", "amarelos", "amarelas"),
    "green": ("verde", "verde", "verdes", "verdes"),
    "blue": ("azul", "azul", "azuis", "azuis"),
    "purple": ("roxo", "roxa", "roxos", "roxas"),
    "pink": ("rosa",),
    "brown": ("marrom", "marrom", "marrons", "marrons"),
    "black": ("preto", "preta", "pretos", "pretas"),
    "white": ("branco", "branca", "brancos", "brancas"),
    "grey": ("cinza",),
}
_PLACES = {"m": 0, "f": 1, "mp": 2, "fp": 3}
MEANINGS = {
    **{form: colour for colour, forms in _FORMS.items() for form in forms},
    "cor": "color",
    "um": "a",
    "uma": "a",
    "uns": "some",
    "umas": "some",
    "o": "the",
    "os": "the",
    "as": "the",
    "de": "of",
    "do": "of",
    "da": "of",
    "com": "with",
    "e": "and",
    "desenho": "drawing",
    "imagem": "picture",
    "icone": "icon",
    "rosto": "face",
    "cara": "face",
    "bola": "ball",
    "agua": "water",
    "caixa": "box",
    "papel": "paper",
}
"""English words for common Portuguese ones, without accents: where their word vectors start from."""


def coloured(noun: str, gender: str, colour: str) -> str:
    """The noun with the colour's adjective after it, in the noun's gender and number; `colour` is the English name."""
    forms = _FORMS[colour]
    return f"{noun} {forms[_PLACES[gender] if len(forms) > 1 else 0]}"


def article(noun: str, gender: str) -> str:
    """The noun after its indefinite article."""
    return f"{ARTICLES[gender]} {noun}"


def colour_words() -> frozenset[str]:
    """Every form of every colour's adjective."""
    return frozenset(form for forms in _FORMS.values() for form in forms)
