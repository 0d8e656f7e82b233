"""What a process needs to decode files; it imports this while its parent is still busy with imports of its own."""

from __future__ import annotations

from PIL import Image

import featmatch.images.pixels  # noqa: F401

Image.preinit()  # Pillow's usual formats, which it would else load with the first file
