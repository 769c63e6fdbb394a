"""The parts that stand in place of a file id and carry the file, in the form that the upstream takes.

`native`: the file itself. `text`: its text, for servers that take no files. `images`: its text, and a PDF's pages as
pictures. Pictures go as they are to `native`; to the others turned upright, in a form that every server decodes, each
page of a scan.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, BinaryIO

from lazu import filenames
from lazu.errors import FileNotFound, UnsupportedFileType
from lazu.gateway.attachment import Attachment
from lazu.gateway.extracts import Extracts, Pictures
from lazu.gateway.references import CHAT_FILE, CHAT_IMAGE, FILE, IMAGE, MASK, SCREENSHOT, Reference
from lazu.gateway.splice import Holes, Slice

#: The pictures that model servers take, and the purpose `vision` does.
PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
#: Pictures that are converted for servers that take no files.
PDF, SVG, TIFF = "application/pdf", "image/svg+xml", "image/tiff"
CONVERTED = ("image/bmp", "image/x-ms-bmp", TIFF, "image/avif")
#: Other pictures that people have. What else libmagic calls `image/…` is rare, and some of it it tells by a byte or two
#: (g3fax, x-tga, x-sony-tim), so that it is nearly always other data.
OTHERS = {
    f"image/{name}"
    for name in """heic heic-sequence heif heif-sequence jp2 jpm jpx jxl jxr bpg vnd.adobe.photoshop vnd.djvu vnd.dwg
    vnd.microsoft.icon wmf x-canon-cr2 x-canon-crw x-eps x-exr x-fuji-raf x-icns x-olympus-orf x-paintnet x-pcx
    x-portable-bitmap x-portable-graymap x-portable-greymap x-portable-pixmap x-x3f x-xcf""".split()
}

NATIVE, IMAGES = "native", "images"

#: What a part has of its kind and its file. All else in it is the caller's: it stays, whatever kind takes its place.
_OWN = frozenset("type text file image_url file_id file_data file_url filename detail".split())

Part = dict[str, Any]


def pictures(mode: str) -> tuple[str, ...]:
    """Return the types that stand in parts for pictures, in requests for such an upstream."""
    return PICTURES if mode == NATIVE else (*PICTURES, *CONVERTED)


def check(reference: Reference, file: Attachment, mode: str) -> None:
    """Raise `UnsupportedFileType` if `file` can't stand where `reference` does, in requests for such an upstream."""
    kind = file.content_type
    shown = kind in pictures(mode)
    picture = kind in CONVERTED or kind in OTHERS
    if reference.kind == FILE and shown:
        raise UnsupportedFileType("This file is an image; name it in an input_image part.", reference.where)
    if shown or (reference.kind in (FILE, CHAT_FILE) and (mode == NATIVE or not picture)):
        return
    if picture:
        text = f"This picture is {kind}, which models don't take; save it as PNG, JPEG, GIF or WebP."
    else:
        right = "file" if reference.kind == CHAT_IMAGE else "input_file"
        kind = "application/octet-stream" if kind.startswith("image/") and kind != SVG else kind
        text = f"This file is {kind}, not an image (PNG, JPEG, GIF, WebP); name it in a part of type {right}."
    raise UnsupportedFileType(text, reference.where)


class Builder:
    """The parts of one request; `sent` counts the bytes that go in place of its files, as the model gets them.

    As JSON they become 4/3 of that in base64, twice that at most as text, which has no controls but tabs and line ends.
    """

    def __init__(self, extracts: Extracts, mode: str) -> None:
        self.holes = Holes()
        self.sent = 0
        self._extracts = extracts
        self._mode = mode

    def parts(self, reference: Reference, file: Attachment) -> tuple[str, list[Part]]:
        """Make the parts of `file`, after a word for them; raises `UnsupportedFileType`, FileNotFoundError."""
        word, made = self._made(reference, file)
        # Once, and behind the whole file: servers allow few of `prompt_cache_breakpoint` and `cache_control`.
        kept = {key: value for key, value in reference.spot.value.items() if key not in _OWN}
        bare = [{key: value for key, value in part.items() if key not in kept} for part in made]
        bare[-1].update(kept)
        return word, bare

    def _made(self, reference: Reference, file: Attachment) -> tuple[str, list[Part]]:
        shown = file.content_type in pictures(self._mode)
        if self._mode == NATIVE and shown:
            return "image", [self._picture(reference, _whole(file), file.content_type)]
        if self._mode == NATIVE:
            return "file", [self._file(reference, file)]
        if shown:
            return self._seen(reference, file)
        if self._mode == IMAGES and file.content_type == PDF:
            return "pages", list(self._pages(reference, file))
        charset, part = self._text(reference, file)
        return f"text;charset={charset}" if charset else "text", [part]

    def _data(self, reference: Reference, content: Slice, content_type: str) -> str:
        return f"data:{content_type};base64,{self._cut(reference, content)}"

    def _cut(self, reference: Reference, content: Slice) -> str:
        self.sent += content.size
        return self.holes.cut(replace(content, open=partial(_open, reference, content)))

    def _file(self, reference: Reference, file: Attachment) -> Part:
        data = {"file_data": self._data(reference, _whole(file), file.content_type)}
        part = reference.spot.value
        if reference.kind == CHAT_FILE:
            return {**part, "file": {"filename": file.filename, **_rest(part["file"]), **data}}
        return {"filename": file.filename, **_rest(part), **data}

    def _picture(self, reference: Reference, content: Slice, content_type: str) -> Part:
        url = self._data(reference, content, content_type)
        if reference.kind == CHAT_FILE:
            return {"type": "image_url", "image_url": {"url": url}}
        if reference.kind == CHAT_IMAGE:
            given = reference.spot.value["image_url"]
            kept = {key: value for key, value in given.items() if key != "file_id"} if isinstance(given, dict) else {}
            return {**reference.spot.value, "image_url": {**kept, "url": url}}
        if reference.kind == FILE:
            return {"type": "input_image", "image_url": url, "detail": _detail(reference)}
        part = {**_rest(reference.spot.value), "image_url": url}
        if reference.kind == IMAGE:
            part["detail"] = _given_detail(reference) or "auto"
        return part

    def _seen(self, reference: Reference, file: Attachment) -> tuple[str, list[Part]]:
        """Return the picture of `file`, or pictures of its first pages behind a part that says how many there are."""
        found = self._extracts.picture(file.content, _detail(reference) if file.content_type == TIFF else "auto")
        if found is None:
            return "image", [self._picture(reference, _whole(file), file.content_type)]
        if found.total == 1:
            return "image", [self._picture(reference, found.slices[0], found.media_type)]
        if reference.kind in (MASK, SCREENSHOT):
            raise UnsupportedFileType(
                f"This picture has {found.total} pages, and only one can stand here: upload that."
            )
        return "pages", list(self._sheets(reference, file, found))

    def _text(self, reference: Reference, file: Attachment) -> tuple[str | None, Part]:
        """Return the text of `file` as a part, and the name of its encoding where that was guessed."""
        text, charset = self._extracts.text(file.content, file.content_type)
        return charset, _words(reference, f"[File: {_name(reference, file)}]\n\n{self._cut(reference, text)}")

    def _pages(self, reference: Reference, file: Attachment) -> Iterator[Part]:
        refused = ""  # not the error: its trace holds this frame and those that called it, a cycle
        try:
            words = [self._text(reference, file)[1]]
        except UnsupportedFileType as e:  # a scan has no text, but pages
            words, refused = [], e.message
        found = self._extracts.pages(file.content, _detail(reference))
        if refused and not any(found.slices):
            raise UnsupportedFileType(refused)
        yield from words
        yield from self._sheets(reference, file, found)

    def _sheets(self, reference: Reference, file: Attachment, found: Pictures) -> Iterator[Part]:
        yield _words(reference, f"[File: {_name(reference, file)}, pictures of {_shown(found.total, found.slices)}]")
        for picture in filter(len, found.slices):
            yield self._picture(reference, picture, found.media_type)


def _whole(file: Attachment) -> Slice:
    return Slice(file.content.open, file.content.size)


def _detail(reference: Reference) -> str:
    """Return the size of the pictures of a file's pages, as the part that names the file has it."""
    detail = _given_detail(reference)
    return detail if detail in ("low", "high") else "auto"


def _given_detail(reference: Reference) -> Any:
    """Return the `detail` of a part; chat completions have it within `image_url`, some clients everywhere."""
    part = reference.spot.value
    within = part.get("image_url")
    return part.get("detail") or (within.get("detail") if isinstance(within, dict) else None)


def _shown(total: int, pictures: list[Slice]) -> str:
    """Of which pages there are pictures, in words."""
    shown = f"all {total} pages" if len(pictures) == total else f"the first {len(pictures)} of {total} pages"
    lost = [str(number) for number, picture in enumerate(pictures, 1) if not picture]
    return f"{shown} but page {', '.join(lost)}, which can't be read" if lost else shown


def _open(reference: Reference, content: Slice) -> BinaryIO:
    """Open `content` when its turn to be sent has come; raises `FileNotFound` if the file was deleted since."""
    try:
        return content.open()
    except FileNotFoundError as e:
        raise FileNotFound(reference.file_id, reference.where) from e


def _name(reference: Reference, file: Attachment) -> str:
    """Return the file's name in this request: that of its part, cleaned as for an upload, else that of the file."""
    given = reference.named.get("filename")
    return filenames.clean(given, file.filename) if isinstance(given, str) else file.filename


def _words(reference: Reference, text: str) -> Part:
    return {"type": "text" if reference.kind in (CHAT_FILE, CHAT_IMAGE) else "input_text", "text": text}


def _rest(part: Part) -> Part:
    """`part` without the id and without inline data, which is null; a filename that is null goes too."""
    return {
        key: value
        for key, value in part.items()
        if key not in ("file_id", "file_data", "file_url", "image_url") and (key != "filename" or value)
    }
