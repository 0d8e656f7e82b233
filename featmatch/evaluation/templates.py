"""The kinds of pictures of which many share a design, and show another content: templates and their fillings."""

from __future__ import annotations

from typing import NamedTuple

from featmatch.evaluation import documents, flat
from featmatch.evaluation.decorations import Decoration


class Template(NamedTuple):
    """A kind of picture.

    Attributes:
        draw: photo, design, own -> picture.
        shared: whether two fillings share a printed part, so that a person would call them one template. Pages of text
            share no more than a head and a type face, flags and codes little more than that they are such.
    """

    draw: Decoration
    shared: bool = True


TEMPLATES: dict[str, Template] = {
    "ID card": Template(documents.id_card),
    "watermark": Template(documents.watermark),  # kinds that show photos stand first, so that each has its own
    "form": Template(documents.form),
    "ticket": Template(documents.ticket),
    "chat": Template(documents.chat),
    "text page": Template(documents.text_page, shared=False),
    "greeting card": Template(documents.greeting_card),
    "QR code": Template(flat.qr_code, shared=False),
    "bar code": Template(flat.bar_code),
    "chess": Template(flat.chess),
    "sudoku": Template(flat.sudoku),
    "sign": Template(flat.sign),
    "flag": Template(flat.flag, shared=False),
    "emoji": Template(flat.emoji),
}
