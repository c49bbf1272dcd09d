"""The language a text is written in, as far as it is clear."""

from __future__ import annotations

import re
from typing import Final

_SAMPLE: Final = 20_000
_LEAST: Final = 40
"""Letters below which a guess is a coin toss."""
_PLAIN = re.compile(r"[^\w\s.,;:!?'’-]|_|\d+")
_CODES: Final = {
    "afr": "af", "ara": "ar", "aze": "az", "bel": "be", "ben": "bn", "bul": "bg", "cat": "ca", "ces": "cs", "cmn": "zh",
    "dan": "da", "deu": "de", "ell": "el", "eng": "en", "epo": "eo", "est": "et", "fin": "fi", "fra": "fr", "heb": "he",
    "hin": "hi", "hrv": "hr", "hun": "hu", "hye": "hy", "ind": "id", "ita": "it", "jpn": "ja", "kat": "ka", "kor": "ko",
    "lat": "la", "lav": "lv", "lit": "lt", "mar": "mr", "mkd": "mk", "nld": "nl", "nob": "no", "pes": "fa", "pol": "pl",
    "por": "pt", "ron": "ro", "rus": "ru", "slk": "sk", "slv": "sl", "spa": "es", "srp": "sr", "swe": "sv", "tam": "ta",
    "tel": "te", "tha": "th", "tur": "tr", "ukr": "uk", "urd": "ur", "vie": "vi", "zul": "zu",
}  # fmt: skip


def language_of(text: str) -> str:
    """The ISO 639-1 code of the language of a text; "" where it is too short, mixed or unknown.

    By kreuzberg's detector, which works on statistics of letters and needs no model.
    """
    from kreuzberg import ExtractionConfig, LanguageDetectionConfig, extract_bytes_sync

    sample = " ".join(_PLAIN.sub(" ", text[:_SAMPLE]).split())
    if sum(map(str.isalpha, sample)) < _LEAST:
        return ""
    detection = LanguageDetectionConfig(min_confidence=0.5)
    config = ExtractionConfig(use_cache=False, enable_quality_processing=False, language_detection=detection)
    found = extract_bytes_sync(sample.encode(), "text/plain", config=config).detected_languages
    return _CODES.get(found[0], "") if found else ""
