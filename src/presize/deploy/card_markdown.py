"""Markdown and YAML in which names are nothing but names, whatever characters they have."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

# What Markdown gives a meaning within a line; a colon in an address or an emoji's name, too.
_SIGNS = re.compile(r"[#$&*<>@\[\\\]^_`|~]|:(?![\s]|$)")
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+"
)
_LONGEST = 120


def plain(value: object) -> str:
    """Return a text so that Markdown and HTML show it as it is, in one line, at most 120 signs."""
    text = " ".join(_UNSEEN.sub(" ", str(value)).split())
    if len(text) > _LONGEST:
        text = text[: _LONGEST - 1] + "…"
    # A sign written as its number is never taken for markup (CommonMark 0.31, section 2.5).
    return _SIGNS.sub(lambda sign: _written(sign[0]), text) or " "


def _written(sign: str) -> str:
    # A backslash is easier to read, and `_` and `#` are in many names.
    return f"\\{sign}" if sign in "_#" else f"&#{ord(sign)};"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table; the first column is text, the others are figures.

    Args:
        head: the names of the columns.
        rows: the cells; all that is not `Marked` is shown as it is.
    """
    lines = [_row(head), "|" + "|".join([" --- ", *[" ---: "] * (len(head) - 1)]) + "|"]
    return "\n".join([*lines, *(_row([_cell(c) for c in row]) for row in rows)])


class Marked(str):
    """Text that is Markdown already."""

    __slots__ = ()


def _cell(value: object) -> str:
    return value if isinstance(value, Marked) else plain(value)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def front_matter(facts: Mapping[str, Any]) -> str:
    """Return the metadata at the head of a card, in YAML; values of None are left out."""
    return "\n".join(["---", *_block({k: v for k, v in facts.items() if v is not None}), "---"])


def _block(value: Any) -> list[str]:
    """Return the lines of a mapping or a list, one level of depth below the other."""
    if isinstance(value, Mapping):
        lines = []
        for name, inner in value.items():
            if isinstance(inner, Mapping | list) and inner:
                lines += [f"{name}:", *(f"  {line}" for line in _block(inner))]
            else:
                lines.append(f"{name}: {_scalar(inner)}")
        return lines
    if isinstance(value, list):
        items = [_block(inner) or [_scalar(inner)] for inner in value]
        return [f"{'  ' if i else '- '}{line}" for item in items for i, line in enumerate(item)]
    return [_scalar(value)]


def _scalar(value: Any) -> str:
    """Return a value as JSON writes it, which is YAML, with what YAML cannot read escaped."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(sign: str) -> str:
    number = ord(sign)
    if 0xD800 <= number <= 0xDFFF:  # half a character, as in a file name that is no UTF-8
        return "\\uFFFD"
    return f"\\u{number:04X}" if number < 0x10000 else f"\\U{number:08X}"
