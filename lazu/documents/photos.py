"""Pictures for model servers, which decode with small libraries: turned upright, and in a form that all of them know.

What every server decodes goes as it is, once it was seen to decode here. A TIFF is as many as it has pages, for that
is how scanners write; of what moves (GIF, WebP, PNG, AVIF) the first frame is decoded. Runs in the reader process only.
"""

import copy
import io
import struct
from collections.abc import Iterator
from itertools import count

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageCms,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from lazu.documents import refusals
from lazu.documents.refusals import PIXELS_LIMIT, Refused

#: Bytes for a picture: a pixel takes four, and four more while it is turned.
ROOM = 2 * 4 * PIXELS_LIMIT

_QUALITY = 90
#: Of a page among several: as of a PDF's.
_PAGE_QUALITY = 85

#: The tag that says what a frame of a TIFF is; its bits for a smaller copy of another and for a mask (TIFF 6.0, §8).
_NEW_SUBFILE, _NO_PAGE = 0x00FE, 0b101

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


def pictures(data: bytes, side: int, shown: int) -> Iterator[bytes]:
    """Give a line with a media type, how many pages the picture in `data` has, and of each of the first ones a picture.

    The line is empty, and all that comes, if it can go as it is. Of several pages, at most `shown` are shown, none with
    a side of more than `side` pixels; in place of one that can't be read stands an empty one.

    Raises `Refused` if it is larger than 50 megapixels, or can't be decoded.
    """
    try:
        picture = Image.open(io.BytesIO(data), formats=tuple(_KNOWN))
        pages = _pages(picture)
        if len(pages) > 1:
            yield b"image/jpeg\n"
            yield len(pages).to_bytes(4)
            yield from _sheets(picture, pages[:shown], side)
            return
        picture.seek(pages[0])
        kind, encoded = _whole(picture)
    except _DAMAGE as e:
        raise Refused(refusals.NO_PICTURE) from e
    yield f"{kind}\n".encode()
    if kind:
        yield (1).to_bytes(4)
        yield encoded


def _pages(picture: ImageFile.ImageFile) -> list[int]:
    """Return which frames are pages: of a TIFF all but smaller copies and masks, of others the first."""
    if not isinstance(picture, TiffImagePlugin.TiffImageFile):
        return [0]
    found = []
    for frame in count():
        try:
            picture.seek(frame)
            if not picture.tag_v2.get(_NEW_SUBFILE, 0) & _NO_PAGE:
                found.append(frame)
        except EOFError:
            break
        except _DAMAGE:
            found.append(frame)
            if picture.tell() != frame:  # nor is known where the next one begins
                break
    return found or [0]


def _sheets(picture: ImageFile.ImageFile, frames: list[int], side: int) -> Iterator[bytes]:
    """Give a JPEG of each of these frames; raises `Refused` if none can be read."""
    read, reason = False, refusals.NO_PICTURE
    for frame in frames:
        sheet = b""
        try:
            picture.seek(frame)
            sheet = _sheet(_loaded(picture), side)
            read = True
        except Refused as e:
            reason = e.reason
        except _DAMAGE:
            pass
        yield sheet
    if not read:
        raise Refused(reason)


def _loaded(picture: ImageFile.ImageFile) -> ImageFile.ImageFile:
    """Return `picture`, its pixels decoded."""
    if picture.width * picture.height > PIXELS_LIMIT:
        raise Refused(refusals.PIXELS)
    picture.load()
    return picture


def _sheet(picture: Image.Image, side: int) -> bytes:
    """Return a page as a JPEG, on white where it is transparent."""
    picture = _shades(picture)
    clear = picture.has_transparency_data
    sheet = picture.convert("RGBA" if clear else "L" if picture.mode in ("1", "L") else "RGB")
    sheet.thumbnail((side, side))
    if clear:
        below = Image.new("RGB", sheet.size, "white")
        below.paste(sheet, mask=sheet)
        sheet = below
    file = io.BytesIO()
    sheet.save(file, "JPEG", quality=_PAGE_QUALITY)
    return file.getvalue()


def _whole(picture: ImageFile.ImageFile) -> tuple[str, bytes]:
    """Return the media type and the bytes of the only page; both empty if the picture can go as it is."""
    turn = _turn(_loaded(picture))
    if picture.format in _PLAIN and turn is None and picture.mode != "CMYK":
        return "", b""
    return _encoded(picture if turn is None else picture.transpose(turn))


def _turn(picture: Image.Image) -> Image.Transpose | None:
    """Return what makes a picture upright; None for one that is, or whose EXIF can't be read."""
    try:
        return _TURNS.get(picture.getexif().get(_ORIENTATION, 1))
    except _DAMAGE:
        return None


def _encoded(picture: Image.Image) -> tuple[str, bytes]:
    """Return the media type and the bytes: a PNG where pixels are transparent or few colours are exact, else a JPEG."""
    file = io.BytesIO()
    picture = _shades(picture)
    if picture.has_transparency_data:
        picture.convert("RGBA").save(file, "PNG", compress_level=3)
    elif picture.mode in ("1", "P", "L"):
        picture.convert("RGB" if picture.mode == "P" else "L").save(file, "PNG", compress_level=3)
    else:
        picture.convert("RGB").save(file, "JPEG", quality=_QUALITY, subsampling=0)
        return "image/jpeg", file.getvalue()
    return "image/png", file.getvalue()


def _shades(picture: Image.Image) -> Image.Image:
    """Return a picture of 16 or 32 bits with 8, any other as it is."""
    if not picture.mode.startswith("I"):
        return picture
    return picture.convert("I").point(lambda value: value * (1 / 256)).convert("L")
