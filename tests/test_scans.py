"""A TIFF with several pages, as scanners write them, reaches a model server page by page, and the model is told which."""

import base64
import io
import struct

import pytest
from PIL import Image

from helpers.pictures import held, near
from helpers.samples import data_url
from lazu.documents import reading


@pytest.fixture
def pages(tmp_path):
    """A function that reads a picture of several pages and gives their number and the first ones; None if unreadable."""

    def read(data, detail="auto"):
        path = tmp_path / "blob"
        path.write_bytes(data)
        _, made = reading.picture(path, detail)
        total, places = reading.places(io.BytesIO(made))
        return total, [Image.open(io.BytesIO(made[at : at + size])) if size else None for at, size in places]

    return read


def scan(*images, **options):
    """A TIFF with these pages."""
    file = io.BytesIO()
    images[0].save(file, "TIFF", save_all=True, append_images=images[1:], **options)
    return file.getvalue()


def sheet(colour, size=(40, 20), mode="RGB"):
    return Image.new(mode, size, colour)


def test_every_page_of_a_scan_is_shown(pages):
    total, shown = pages(scan(sheet("red"), sheet("lime", (20, 40)), sheet(0, mode="1"), compression="tiff_lzw"))
    assert (total, [image.size for image in shown]) == (3, [(40, 20), (20, 40), (40, 20)])
    for image, colour in zip(shown, [(255, 0, 0), (0, 255, 0), (0, 0, 0)], strict=True):
        assert near(image.convert("RGB").getpixel((9, 9)), colour)


def test_of_a_long_scan_the_first_pages_are_shown_and_none_is_too_wide(pages):
    total, shown = pages(scan(*[sheet(1, (3000, 1500), "1")] * 23, compression="group4"))
    assert (total, len(shown), {image.size for image in shown}) == (23, 20, {(1536, 768)})
    assert pages(scan(*[sheet(1, (3000, 1500), "1")] * 2), "low")[1][0].size == (768, 384)


def test_pages_of_fifty_megapixels_are_shown_and_a_larger_one_is_not(pages):
    large = sheet(0, (10_000, 5_000), "RGBA")
    total, shown = pages(scan(sheet("red"), large, large, sheet(0, (10_000, 5_001), "1"), compression="tiff_lzw"))
    assert (total, [image and image.size for image in shown]) == (4, [(40, 20), (1536, 768), (1536, 768), None])


def test_what_is_clear_on_a_page_is_white(pages):
    assert near(pages(scan(sheet((0, 0, 0, 0), mode="RGBA"), sheet("red")))[1][0].getpixel((9, 9)), (255, 255, 255))


def test_a_page_that_lies_on_its_side_is_turned(pages):
    assert [image.size for image in pages(scan(sheet("red"), sheet("red"), exif=held(6)))[1]] == [(20, 40), (20, 40)]


def frames(data):
    """Where the directories of a TIFF (little-endian) begin."""
    found, (at,) = [], struct.unpack_from("<I", data, 4)
    while at:
        found.append(at)
        (entries,) = struct.unpack_from("<H", data, at)
        (at,) = struct.unpack_from("<I", data, at + 2 + 12 * entries)
    return found


@pytest.mark.parametrize("role", [1, 4], ids=["smaller copy", "mask"])
def test_a_smaller_copy_and_a_mask_are_no_pages(pages, role):
    data = bytearray(scan(sheet("red"), sheet("blue"), tiffinfo={0x00FE: role}))
    entry = frames(data)[0] + 2
    assert struct.unpack_from("<H", data, entry) == (0x00FE,)
    struct.pack_into("<I", data, entry + 8, 0)  # the first is a picture
    total, [image, *_] = pages(bytes(data))
    assert total == 1
    assert near(image.getpixel((9, 9)), (255, 0, 0))


def test_a_page_that_cannot_be_read_is_empty_and_the_others_are_shown(pages):
    data = scan(sheet("red"), sheet("lime"), sheet("blue"), compression="tiff_lzw")
    _, second, third = frames(data)
    total, shown = pages(data[: second + 2] + b"\xff" * 24 + data[second + 26 :])
    assert (total, [image and image.size for image in shown]) == (3, [(40, 20), None, (40, 20)])
    total, shown = pages(data[:third])
    assert (total, [image and image.size for image in shown]) == (3, [(40, 20), (40, 20), None])


RED_AND_BLUE = scan(sheet("red"), sheet("blue"))


@pytest.mark.parametrize("mode", ["text", "images"])
def test_a_scan_is_given_page_by_page_and_the_model_is_told(front, double, mode):
    client = front(mode)
    scanned = client.upload("scan.tif", RED_AND_BLUE)
    words = {"type": "input_text", "text": "What is it?"}
    for _ in range(2):  # read, and from what is kept
        status, headers, _ = client.ask(words, {"type": "input_image", "file_id": scanned, "detail": "high"}, words)
        assert (status, headers["X-Lazu-Files"]) == (200, f"{scanned};as=pages")
        before, told, *pages, after = double.last.json["input"][0]["content"]
        assert (before, after) == (words, words)
        assert told == {"type": "input_text", "text": "[File: scan.tif, pictures of all 2 pages]"}
        for page, colour in zip(pages, [(255, 0, 0), (0, 0, 255)], strict=True):
            assert (page["type"], page["detail"], page["image_url"][:23]) == (
                "input_image",
                "high",
                "data:image/jpeg;base64,",
            )
            assert near(Image.open(io.BytesIO(base64.b64decode(page["image_url"][23:]))).getpixel((9, 9)), colour)


def test_a_scan_in_a_chat_is_given_page_by_page(front, double):
    client = front("text")
    for part in (
        {"type": "file", "file": {"file_id": client.upload("scan.tif", RED_AND_BLUE)}},
        {"type": "image_url", "image_url": {"url": client.upload("scan.tif", RED_AND_BLUE), "detail": "low"}},
        {"type": "file", "file": {"filename": "scan.tif", "file_data": base64.b64encode(RED_AND_BLUE).decode()}},
    ):
        assert (
            client.post("/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": [part]}]})[0]
            == 200
        )
        told, *pages = double.last.json["messages"][0]["content"]
        assert told == {"type": "text", "text": "[File: scan.tif, pictures of all 2 pages]"}
        assert [page["type"] for page in pages] == ["image_url", "image_url"]


def test_a_scan_that_came_as_a_data_url_is_given_page_by_page(front, double):
    part = {"type": "input_image", "image_url": data_url("image/tiff", RED_AND_BLUE), "detail": "low"}
    assert front("text").ask(part)[1]["X-Lazu-Files"] == "inline;as=pages"
    told, *pages = double.last.json["input"][0]["content"]
    assert told["text"] == "[File: upload, pictures of all 2 pages]"
    assert [(page["type"], page["detail"]) for page in pages] == [("input_image", "low")] * 2


def test_a_scan_is_refused_where_only_one_picture_can_stand(front, double):
    client = front("text")
    mask = {"type": "image_generation", "input_image_mask": {"file_id": client.upload("mask.tif", RED_AND_BLUE)}}
    status, _, body = client.post("/v1/responses", {"model": "m", "input": "x", "tools": [mask]})
    assert (status, body["error"]["param"]) == (400, "tools[0].input_image_mask.file_id")
    assert "has 2 pages" in body["error"]["message"]
    assert double.received == []
