"""Where file ids and the data of files stand in a request, and where ids can't.

The places are those of the OpenAI API's request types; `tests/test_places.py` holds them against the types of its SDK.
Ids in annotations, citations and results of `file_search` are history, which nobody resolves: they are not looked at.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from lazu import ids
from lazu.errors import FileNotFound, InvalidRequest

#: Keys that carry what a file id stands for; a part has one or the other.
DATA_KEYS = ("file_data", "file_url", "image_url")

#: Parts of the Responses API that may name a file. A mask has no type of its own.
FILE, IMAGE, SCREENSHOT, MASK = "input_file", "input_image", "computer_screenshot", "input_image_mask"
PARTS = (FILE, IMAGE, SCREENSHOT)

#: The parts of chat completions that may name a file.
CHAT_FILE, CHAT_IMAGE = "file", "image_url"

_DATA_URL = re.compile(r"\s*data:", re.IGNORECASE)


@dataclass(frozen=True)
class Spot:
    """An object within a request: `holder[key]`, and the JSON path of it."""

    holder: Any
    key: int | str
    where: str

    @property
    def value(self) -> dict[str, Any]:
        """The object."""
        value: dict[str, Any] = self.holder[self.key]
        return value

    def within(self, key: str) -> Iterator["Spot"]:
        """The objects in the list `value[key]`; a single object counts as a list of one."""
        inner, where = self.value.get(key), f"{self.where}.{key}".removeprefix(".")
        if isinstance(inner, dict):
            yield Spot(self.value, key, where)
        elif isinstance(inner, list):
            yield from (Spot(inner, n, f"{where}[{n}]") for n, entry in enumerate(inner) if isinstance(entry, dict))


@dataclass(frozen=True)
class Reference:
    """A file in a request: the part that has it, the kind of the part, and the JSON path of the id itself.

    A file that is `inline` came along: it has no id, and `where` is that of its data.
    """

    kind: str
    file_id: str
    where: str
    spot: Spot
    inline: bool = False

    @property
    def named(self) -> dict[str, Any]:
        """The object that has the file's id or data, and its name: in chat completions it lies within the part."""
        part = self.spot.value
        return part["file"] if self.kind == CHAT_FILE else part

    @property
    def data(self) -> tuple[dict[str, Any], str]:
        """The object in which the data of an inline file stands, and the name of it there."""
        name = self.where.rpartition(".")[2]
        return self.named["image_url"] if name == "url" else self.named, name


Find = Callable[[dict[str, Any]], Iterator[Reference]]


def responses(request: dict[str, Any]) -> Iterator[Reference]:
    """Every file in a request to `/v1/responses`, in order.

    Raises `InvalidRequest` where none can stand, `FileNotFound` for an empty id.
    """
    root = Spot([request], 0, "")
    for item in chain(root.within("input"), root.within("instructions")):
        for part in chain(item.within("content"), item.within("output")):
            yield from _part(part)
        yield from _tools(item)
    for prompt in root.within("prompt"):
        for variables in prompt.within("variables"):
            for part in chain.from_iterable(map(variables.within, variables.value)):
                yield from _part(part)
    yield from _tools(root)


def chat(request: dict[str, Any]) -> Iterator[Reference]:
    """Every file in a request to `/v1/chat/completions`, as `responses` gives them."""
    for message in Spot([request], 0, "").within("messages"):
        for part in message.within("content"):
            if part.value.get("file_id") is not None:
                text = "Chat completions name files as {'type': 'file', 'file': {'file_id': …}}."
                raise InvalidRequest(text, f"{part.where}.file_id")
            if isinstance(part.value.get("file"), dict):
                yield from _reference(CHAT_FILE, Spot(part.value, "file", f"{part.where}.file"), part)
            if part.value.get("type") == CHAT_IMAGE:
                yield from _reference(CHAT_IMAGE, part, part)


def nowhere(_: dict[str, Any]) -> Iterator[Reference]:
    """The file ids of a request that takes none."""
    return iter(())


def _part(part: Spot) -> Iterator[Reference]:
    kind = part.value.get("type")
    if kind in PARTS:
        yield from _reference(kind, part, part)
    elif part.value.get("file_id") is not None:
        known = ", ".join(PARTS)
        text = f"A part of this type can't name a file; those that can are {known}."
        raise InvalidRequest(text, f"{part.where}.file_id")


def _tools(holder: Spot) -> Iterator[Reference]:
    for tool in holder.within("tools"):
        for container in chain(tool.within("container"), tool.within("environment")):
            _no_files(container)
        for mask in tool.within(MASK):
            yield from _reference(MASK, mask, mask)
        yield from _tools(tool)


def _no_files(container: Spot) -> None:
    if container.value.get("file_ids"):
        text = "Files can't be put into a tool's container; name them in a message, as input_file."
        raise InvalidRequest(text, f"{container.where}.file_ids")


def _reference(kind: str, named: Spot, part: Spot) -> Iterator[Reference]:
    """The file that `named` refers to, if it does; `part` is the object that the file will replace."""
    file_id, where = _id_in(named.value, named.where)
    given = [key for key in DATA_KEYS if named.value.get(key)]
    if file_id is None:
        embedded = ((key, *_embedded(named.value[key], f"{named.where}.{key}")) for key in given)
        key, file_id, where = next((found for found in embedded if found[1] is not None), ("", None, ""))
        given = [other for other in given if other != key]
    if file_id is None:
        if brought := _brought(kind, named):
            yield Reference(kind, "", brought, part, inline=True)
        return
    for other in given:
        raise InvalidRequest(f"Send file_id or {other}, not both.", where)
    yield Reference(kind, file_id, where, part)


def _brought(kind: str, named: Spot) -> str | None:
    """The path of the data, of any type, that `named` brings along; None if it brings none. A URL is no data."""
    if kind in (FILE, CHAT_FILE):
        return None if named.value.get("file_data") is None else f"{named.where}.file_data"
    where, given = f"{named.where}.image_url", named.value.get("image_url")
    if isinstance(given, dict):
        where, given = f"{where}.url", given.get("url")
    return where if isinstance(given, str) and _DATA_URL.match(given) else None


def _id_in(named: dict[str, Any], where: str) -> tuple[str | None, str]:
    """The `file_id` in the object at `where`, None if there is none, and the path of the id."""
    file_id, where = named.get("file_id"), f"{where}.file_id"
    if file_id is not None and not isinstance(file_id, str):
        raise InvalidRequest("A file id must be a string.", where)
    if file_id == "":  # for a `Reference` it would mean that the file came along
        raise FileNotFound(file_id, where)
    return file_id, where


def _embedded(value: Any, where: str) -> tuple[str | None, str]:
    """The file id in place of the data of the file or picture at `where`, None if there is none, and its path."""
    if not isinstance(value, dict):
        return ids.as_data(value), where
    file_id, named = _id_in(value, where)
    if file_id is None:
        return ids.as_data(value.get("url")), f"{where}.url"
    if value.get("url"):
        raise InvalidRequest("Send file_id or url, not both.", named)
    return file_id, named


#: What would be right, for a request with an id in the wrong place.
FORMS: dict[Find, str] = {
    responses: "Name files as {'type': 'input_file', 'file_id': …}, pictures as {'type': 'input_image', 'file_id': …}, "
    "in the content of a message.",
    chat: "Name files as {'type': 'file', 'file': {'file_id': …}} in the content of a message.",
    nowhere: "This route takes no files.",
}
