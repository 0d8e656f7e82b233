"""Papers and pages that differ in what is filled in: cards, forms, tickets, chats, pages of text, watermarked photos.

Each takes a photo and two generators, as decorations do: ``design`` draws what all papers of a kind have, ``own`` what
is filled into this one.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from featmatch.evaluation import edits
from featmatch.evaluation.edits import Picture, Random, phrase
from featmatch.evaluation.lettering import (
    Box,
    colour,
    date,
    digits,
    draw_bars,
    fill_with_lines,
    font,
    write_by_hand,
    write_centred,
)

_BLACK = (25, 25, 30)


def id_card(photo: Picture, design: Random, own: Random) -> Picture:
    """A card with guilloche, labels, a face or a detail of the photo, names and numbers."""
    paper = colour(design, 190, 240)
    image = Image.new("RGB", (860, 540), paper)
    draw = ImageDraw.Draw(image)
    lines = colour(design, 150, 215)
    count, height = int(design.integers(20, 34)), design.uniform(15, 60)
    for line in range(count):
        way = [(x, 560 * line / count + height * math.sin(x / 120 + line / 5)) for x in range(-10, 880, 10)]
        draw.line(way, fill=lines, width=1)
    heading = colour(design, 0, 110)
    draw.text((40, 25), phrase(design, 16).upper()[:22], fill=heading, font=font(36))
    draw.text((40, 72), phrase(design, 20), fill=heading, font=font(20))
    left = bool(design.random() < 0.6)
    portrait = (40, 120, 260, 400) if left else (600, 120, 820, 400)
    if own.random() < 0.5:
        _draw_face(image, portrait, own)
    else:
        detail = edits.crop(photo, 0.35, own)
        image.paste(Image.fromarray(detail).resize((220, 280), Image.Resampling.LANCZOS), portrait[:2])
    draw.rectangle(portrait, outline=heading, width=2)
    across = 295 if left else 40
    for row in range(5):
        draw.text((across, 122 + 56 * row), phrase(design, 8), fill=heading, font=font(14))
        words = date(own) if row == 2 else digits(own, 8) if row == 4 else phrase(own, 9)[:16].upper()
        draw.text((across, 139 + 56 * row), words, fill=_BLACK, font=font(25))
    letters = "<ABCDEFGHKMNPRSTVXZ0123456789<<"
    for row in range(2):
        code = "".join(letters[k] for k in own.integers(len(letters), size=30))
        draw.text((40, 430 + 44 * row), ("ID" if row == 0 else "") + code, fill=_BLACK, font=font(34))
    return np.array(image)


def form(photo: Picture, design: Random, own: Random) -> Picture:
    """A printed form of boxes with labels, filled in by hand."""
    del photo
    image = Image.new("RGB", (820, 1100), (252, 252, 250))
    draw = ImageDraw.Draw(image)
    draw.rectangle((40, 40, 780, 100), fill=colour(design, 0, 120))
    write_centred(draw, (60, 50, 760, 92), phrase(design, 20).upper(), (255, 255, 255))
    ink = (30, 40, int(own.integers(60, 170)))
    top = 125
    while top < 960:
        tall = int(design.choice([52, 60, 70]))
        columns = int(design.choice([1, 1, 2, 3]))
        for column in range(columns):
            wide = 740 / columns
            box = (40 + wide * column, top, 34 + wide * (column + 1), top + tall)
            draw.rectangle(box, outline=(70, 70, 70), width=2)
            draw.text((box[0] + 6, top + 3), phrase(design, 9), fill=(60, 60, 60), font=font(13))
            _fill_in(image, (box[0] + 12, top + 15, box[2] - 8, top + tall - 4), own, ink)
        top += tall + int(design.choice([8, 8, 20]))
    draw.line((450, 1060, 780, 1060), fill=(70, 70, 70), width=2)
    draw.text((450, 1064), phrase(design, 10), fill=(60, 60, 60), font=font(13))
    draw.text((40, 1040), phrase(design, 30), fill=(60, 60, 60), font=font(12))
    write_by_hand(image, (480, 985, 740, 1058), own, ink, int(own.integers(5, 9)))
    return np.array(image)


def ticket(photo: Picture, design: Random, own: Random) -> Picture:
    """A ticket: the event is the design's; date, seat, name and code are its own."""
    del photo
    ground, ink = colour(design, 170, 255), colour(design, 0, 110)
    image = Image.new("RGB", (960, 400), ground)
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        centre = design.uniform(0, 640), design.uniform(0, 400), design.uniform(30, 120)
        draw.regular_polygon(centre, int(design.integers(3, 9)), int(design.integers(90)), colour(design, 140, 240))
    write_centred(draw, (40, 30, 640, 120), phrase(design, 14).upper()[:18], ink)
    draw.text((40, 130), phrase(design, 34), fill=ink, font=font(26))
    for column, words in enumerate((date(own), f"{own.integers(1, 60)}", digits(own, 3), f"{own.integers(5, 199)},-")):
        draw.text((40 + 155 * column, 210), phrase(design, 4), fill=ink, font=font(17))
        draw.text((40 + 155 * column, 232), words, fill=_BLACK, font=font(32))
    draw.text((40, 310), phrase(own, 14).upper()[:24], fill=_BLACK, font=font(28))
    for y in range(0, 400, 16):
        draw.line((690, y, 690, y + 8), fill=ink, width=2)
    number = digits(own, 12)
    draw_bars(draw, (730, 60, 920, 280), number)
    draw.text((730, 290), number, fill=_BLACK, font=font(24))
    draw.text((730, 330), phrase(design, 8), fill=ink, font=font(20))
    return np.array(image)


def chat(photo: Picture, design: Random, own: Random) -> Picture:
    """A screen of an app in which two people write to one another."""
    del photo
    bar, ground, mine = colour(design, 0, 150), colour(design, 225, 250), colour(design, 190, 240)
    image = Image.new("RGB", (540, 960), ground)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 540, 96), fill=bar)
    draw.text((470, 6), f"{own.integers(24):02}:{own.integers(60):02}", fill=(255, 255, 255), font=font(18))
    draw.line((34, 46, 20, 60, 34, 74), fill=(255, 255, 255), width=4)
    draw.ellipse((50, 36, 100, 86), fill=colour(own, 60, 220))
    name = phrase(own, 7).title()[:16]
    draw.text((75, 61), name[0], fill=(255, 255, 255), font=font(28), anchor="mm")
    draw.text((114, 44), name, fill=(255, 255, 255), font=font(26))
    for dot in range(3):
        draw.ellipse((505, 46 + 12 * dot, 512, 53 + 12 * dot), fill=(255, 255, 255))
    top = 116.0
    while top < 800:
        lines = [phrase(own, int(own.integers(8, 26)))[:32] for _ in range(own.integers(1, 4))]
        wide, tall = max(draw.textlength(line, font(20)) for line in lines) + 92, 26 * len(lines) + 18
        left = 524 - wide if own.random() < 0.5 else 16
        draw.rounded_rectangle(
            (left, top, left + wide, top + tall),
            14,
            fill=mine if left > 16 else (255, 255, 255),
            outline=(205, 205, 205),
        )
        for place, line in enumerate(lines):
            draw.text((left + 14, top + 8 + 26 * place), line, fill=_BLACK, font=font(20))
        stamp = f"{own.integers(24):02}:{own.integers(60):02}"
        draw.text((left + wide - 46, top + tall - 20), stamp, fill=(130, 130, 130), font=font(13))
        top += tall + 14
    draw.rounded_rectangle((16, 890, 450, 944), 26, fill=(255, 255, 255), outline=(190, 190, 190))
    draw.text((40, 905), phrase(design, 9), fill=(150, 150, 150), font=font(20))
    draw.ellipse((468, 890, 522, 944), fill=bar)
    draw.polygon([(486, 904), (512, 917), (486, 930)], fill=(255, 255, 255))
    return np.array(image)


def text_page(photo: Picture, design: Random, own: Random) -> Picture:
    """A page of a book: type size, margins and the head of the page are the design's."""
    del photo
    image = Image.new("RGB", (720, 1000), (250, 248, 243))
    draw = ImageDraw.Draw(image)
    size, margin = int(design.integers(15, 20)), int(design.integers(50, 90))
    draw.text((360, 36), phrase(design, 24), fill=(60, 60, 60), font=font(size - 1), anchor="mm")
    top = margin + 20.0
    while top < 900:
        lines = int(own.integers(4, 13))
        bottom = min(top + 1.3 * size * lines, 940)
        draw.text((margin + 24, top), phrase(own, 3), fill=(20, 20, 20), font=font(size))
        fill_with_lines(draw, (margin, top + 1.3 * size, 720 - margin, bottom), size, own)
        top = bottom + size
    draw.text((360, 970), digits(own, 3), fill=(60, 60, 60), font=font(size), anchor="mm")
    return np.array(image)


def watermark(photo: Picture, design: Random, own: Random) -> Picture:
    """The photo below a watermark, which covers all of it."""
    del own
    photo = edits.scale(photo, 720 / max(photo.shape[:2]))
    height, width = photo.shape[:2]
    image = Image.fromarray(photo)
    layer = Image.new("L", (width, height))
    draw = ImageDraw.Draw(layer)
    words, size, step = phrase(design, 6)[:12], design.uniform(22, 34), int(design.integers(70, 110))
    for row, y in enumerate(range(-step, height + step, step)):
        for x in range(-400, width, 2 * step + 40):
            draw.text((x + 60 * (row % 3), y), words, fill=235, font=font(size))
        draw.line((-40, y + 250, width + 40, y - 250), fill=190, width=2)
    image.paste(Image.new("RGB", (width, height), (245, 245, 245)), (0, 0), layer)
    return np.array(image)


def greeting_card(photo: Picture, design: Random, own: Random) -> Picture:
    """A card of few large shapes; the name on it is its own."""
    del photo
    ground, shapes = colour(design, 150, 255), colour(design, 90, 220)
    image = Image.new("RGB", (760, 540), ground)
    draw = ImageDraw.Draw(image)
    for _ in range(int(design.integers(2, 5))):
        x, y, radius = design.uniform(60, 700), design.uniform(40, 240), design.uniform(35, 80)
        draw.ellipse((x - radius, y - 1.2 * radius, x + radius, y + 1.2 * radius), fill=shapes)
        draw.line((x, y + 1.2 * radius, x + design.uniform(-40, 40), y + 1.2 * radius + 120), fill=shapes, width=3)
    write_centred(draw, (60, 230, 700, 340), phrase(design, 8).title(), colour(design, 0, 110))
    write_centred(draw, (120, 365, 640, 455), phrase(own, 6)[:10].title(), colour(design, 0, 110))
    return np.array(image)


def _fill_in(image: Image.Image, box: Box, own: Random, ink: tuple[int, int, int]) -> None:
    """Write words into a box until it is about full; a box may stay empty."""
    left, top, right, bottom = box
    if own.random() < 0.12:
        return
    end = left + (right - left) * own.uniform(0.45, 1)
    while left < end - 45:
        wide = min(own.uniform(70, 170), right - left)
        shift = own.uniform(-2, 3)
        write_by_hand(image, (left, top + shift, left + wide, bottom + shift), own, ink, max(round(wide / 28), 1))
        left += wide + own.uniform(8, 18)


def _draw_face(image: Image.Image, box: tuple[int, int, int, int], own: Random) -> None:
    """Draw a person before a plain ground."""
    width, height = box[2] - box[0], box[3] - box[1]
    face = Image.new("RGB", (width, height), colour(own, 140, 235))
    draw = ImageDraw.Draw(face)
    skin = tuple(int(value) for value in np.array([240, 200, 170]) * own.uniform(0.45, 1))
    hair, coat = colour(own, 10, 150), colour(own, 20, 200)
    middle, eyes = width / 2 + own.uniform(-8, 8), height * own.uniform(0.4, 0.46)
    wide, tall = own.uniform(48, 66), own.uniform(68, 88)
    top = height * 0.47
    long = own.uniform(0.0, 0.9) * tall
    draw.ellipse((middle - 1.25 * wide, top - 1.25 * tall, middle + 1.25 * wide, top + long), fill=hair)
    draw.rounded_rectangle((middle - 100, height - 60, middle + 100, height + 60), 40, fill=coat)
    draw.rectangle((middle - 22, top + 0.6 * tall, middle + 22, height - 40), fill=skin)
    draw.ellipse((middle - wide, top - tall, middle + wide, top + tall), fill=skin, outline=(90, 60, 50))
    apart, size = own.uniform(0.36, 0.5) * wide, own.uniform(5, 9)
    for side in (-1, 1):
        x = middle + side * apart
        draw.ellipse((x - 1.6 * size, eyes - size, x + 1.6 * size, eyes + size), fill=(250, 250, 250), outline=_BLACK)
        draw.ellipse((x - 0.7 * size, eyes - 0.7 * size, x + 0.7 * size, eyes + 0.7 * size), fill=_BLACK)
        lift = own.uniform(12, 20)
        draw.line(
            (x - 14, eyes - lift, x + 14, eyes - lift - own.uniform(-4, 4)), fill=hair, width=int(own.integers(2, 6))
        )
    draw.line(
        (middle, eyes + 6, middle - own.uniform(4, 12), eyes + 34, middle + 5, eyes + 36), fill=(110, 70, 60), width=2
    )
    mouth, smile = own.uniform(14, 30), own.uniform(2, 16)
    draw.arc(
        (middle - mouth, eyes + 50 - smile, middle + mouth, eyes + 50 + smile), 10, 170, fill=(150, 40, 50), width=4
    )
    if own.random() < 0.35:
        for side in (-1, 1):
            x = middle + side * apart
            draw.ellipse((x - 20, eyes - 17, x + 20, eyes + 17), outline=_BLACK, width=3)
    fringe = own.uniform(0.35, 0.75) * tall
    draw.chord(
        (middle - 1.1 * wide, top - 1.2 * tall, middle + 1.1 * wide, top - 0.2 * tall + fringe), 190, 350, fill=hair
    )
    image.paste(face, box[:2])
