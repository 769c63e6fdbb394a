"""Pictures for model servers, which decode with small libraries: turned upright, and in a form that all of them know.

What every server decodes goes as it is, once it was seen to decode here. Runs in the reader process only.
"""

import copy
import io
import struct
from collections.abc import Iterator

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageCms,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from lazu.documents import refusals
from lazu.documents.refusals import Refused

#: Pixels that a picture may have; each takes four bytes, and four more while it is turned.
MAX_PIXELS = 50_000_000
ROOM = 2 * 4 * MAX_PIXELS

_QUALITY = 90

#: What stb_image, which llama.cpp decodes with, knows. WebP it does not.
_PLAIN = {"PNG", "JPEG", "GIF"}

#: What is read, by plugins that are imported before the seal.
_KNOWN = {
    plugin.format: plugin
    for plugin in (
        PngImagePlugin.PngImageFile, JpegImagePlugin.JpegImageFile, GifImagePlugin.GifImageFile,
        WebPImagePlugin.WebPImageFile, BmpImagePlugin.BmpImageFile, TiffImagePlugin.TiffImageFile,
        AvifImagePlugin.AvifImageFile,
    )
}  # fmt: skip

#: The tag of EXIF that says how the camera was held: 1 is upright. How others are turned (EXIF 2.32, §4.6.4).
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip

#: What Pillow raises for damaged pictures, by their form: RuntimeError is that of AVIF.
_DAMAGE = (
    OSError, SyntaxError, ValueError, EOFError, struct.error, IndexError, KeyError, TypeError, OverflowError,
    RuntimeError,
)  # fmt: skip

Image.preinit()  # else the first `open` imports; and GIF `copy`, and LAB `ImageCms`
assert copy
assert ImageCms
# A JPEG with more pictures behind the first, as most cameras write, is one: Pillow would import what reads the others.
Image.register_open("JPEG", JpegImagePlugin.JpegImageFile, Image.OPEN["JPEG"][1])
Image.MAX_IMAGE_PIXELS = None  # the bound is ours
AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # the sealed reader starts no thread


def pieces(data: bytes) -> Iterator[bytes]:
    """Give the picture in `data`: a line with its media type, and its bytes; an empty line if it can go as it is.

    Raises `Refused` if it is larger than 50 megapixels, or can't be decoded.
    """
    try:
        picture = Image.open(io.BytesIO(data), formats=tuple(_KNOWN))
        if picture.width * picture.height > MAX_PIXELS:
            raise Refused(refusals.PIXELS)
        picture.load()
        turn = _turn(picture)
        if picture.format in _PLAIN and turn is None and picture.mode != "CMYK":
            yield b"\n"
            return
        kind, encoded = _encoded(picture if turn is None else picture.transpose(turn))
    except _DAMAGE as e:
        raise Refused(refusals.NO_PICTURE) from e
    yield f"{kind}\n".encode()
    yield encoded


def _turn(picture: Image.Image) -> Image.Transpose | None:
    """Return what makes a picture upright; None for one that is, or whose EXIF can't be read."""
    try:
        return _TURNS.get(picture.getexif().get(_ORIENTATION, 1))
    except _DAMAGE:
        return None


def _encoded(picture: Image.Image) -> tuple[str, bytes]:
    """Return the media type and the bytes: a PNG where pixels are transparent or few colours are exact, else a JPEG."""
    file = io.BytesIO()
    if picture.mode.startswith("I"):
        picture = picture.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if picture.has_transparency_data:
        picture.convert("RGBA").save(file, "PNG", compress_level=3)
    elif picture.mode in ("1", "P", "L"):
        picture.convert("RGB" if picture.mode == "P" else "L").save(file, "PNG", compress_level=3)
    else:
        picture.convert("RGB").save(file, "JPEG", quality=_QUALITY, subsampling=0)
        return "image/jpeg", file.getvalue()
    return "image/png", file.getvalue()
