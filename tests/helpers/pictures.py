"""Pictures, and what is seen on them."""

from PIL import Image


def held(orientation):
    """EXIF of a camera that was held so."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def near(pixel, colour):
    return all(abs(one - other) < 12 for one, other in zip(pixel, colour, strict=False))
