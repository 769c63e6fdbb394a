"""Pictures reach a model server so that it can decode them; what no server could decode is refused at the call."""

import base64
import io
import json
import re
import struct

import pytest
from PIL import Image

from helpers.pictures import held, near
from helpers.samples import data_url
from lazu.documents import reading


@pytest.fixture
def shown(tmp_path):
    """A function that reads a picture and gives what is sent for it; None if that is the picture itself."""

    def read(data):
        path = tmp_path / "blob"
        path.write_bytes(data)
        kind, made = reading.picture(path)
        if not kind:
            return None
        total, [(start, size)] = reading.places(io.BytesIO(made))
        assert total == 1
        image = Image.open(io.BytesIO(made[start : start + size]))
        image.load()
        assert kind == f"image/{image.format.lower()}"
        return image

    return read


def drawn(form, mode="RGB", **options):
    """A picture of 40 by 20 pixels, red on the left and blue on the right."""
    image = Image.new("RGB", (40, 20), "red")
    image.paste("blue", (20, 0, 40, 20))
    image = image.convert(mode)
    if mode == "RGBA":
        image.putpixel((0, 0), (0, 0, 0, 0))
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF"])
def test_what_every_server_decodes_goes_as_it_is(shown, form):
    assert shown(drawn(form)) is None


def test_a_photo_is_turned_as_its_camera_was_held(shown):
    image = shown(drawn("JPEG", exif=held(6), quality=95))
    assert (image.format, image.size, image.getexif().get(0x0112)) == ("JPEG", (20, 40), None)
    assert near(image.getpixel((10, 5)), (255, 0, 0))
    assert near(image.getpixel((10, 35)), (0, 0, 255))


@pytest.mark.parametrize(
    ("form", "mode", "options", "expected"),
    [
        ("WEBP", "RGB", {"quality": 95}, "JPEG"),
        ("WEBP", "RGBA", {"lossless": True}, "PNG"),
        ("JPEG", "CMYK", {"quality": 95}, "JPEG"),
        ("BMP", "RGB", {}, "JPEG"),
        ("TIFF", "RGB", {"compression": "tiff_lzw"}, "JPEG"),
        ("TIFF", "1", {"compression": "group4"}, "PNG"),
        ("AVIF", "RGB", {"quality": 95}, "JPEG"),
    ],
)
def test_other_forms_are_encoded_anew(shown, form, mode, options, expected):
    image = shown(drawn(form, mode, **options))
    assert (image.format, image.size) == (expected, (40, 20))
    if mode != "1":
        assert near(image.convert("RGB").getpixel((5, 10)), (255, 0, 0))
        assert near(image.convert("RGB").getpixel((35, 10)), (0, 0, 255))


def test_sixteen_bits_keep_their_shades(shown):
    file = io.BytesIO()
    Image.new("I;16", (9, 9), 0x8000).save(file, "TIFF")
    assert shown(file.getvalue()).getpixel((4, 4)) == 0x80


def exif(tag, kind, value):
    """EXIF that says the camera was held sideways, and one more thing, of one of TIFF's types."""
    entries = sorted(
        [(0x0112, 3, 1, struct.pack("<HH", 6, 0)), (tag, kind, 1, value if len(value) == 4 else struct.pack("<I", 38))]
    )
    table = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in entries)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + table + bytes(4) + value


@pytest.mark.parametrize(
    "odd",
    [exif(0x010F, 5, struct.pack("<II", 1, 2)), exif(0x011A, 2, b"72\0\0"), exif(0x0128, 2, b"2\0\0\0")],
    ids=["maker as a fraction", "resolution as words", "unit as words"],
)
def test_a_photo_with_odd_exif_is_turned_all_the_same(shown, odd):
    assert shown(drawn("JPEG", exif=odd)).size == (20, 40)


def test_a_photo_whose_exif_cannot_be_read_is_upright(shown):
    assert shown(drawn("PNG", exif=b"Exif\0\0no TIFF at all")) is None


def test_a_photo_with_its_preview_behind_it_is_a_photo(shown):
    """As most cameras and telephones write them: Pillow would read the further pictures too, and import what for."""
    several = {"save_all": True, "append_images": [Image.new("RGB", (4, 2), "green")]}
    assert shown(drawn("MPO", **several)) is None
    assert shown(drawn("MPO", exif=held(6), **several)).size == (20, 40)


EVERY_MODE = [
    *(("TIFF", mode) for mode in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "I", "F", "I;16")),
    ("PNG", "I;16"), ("PNG", "P"), ("JPEG", "L"), ("GIF", "P"), ("BMP", "1"), ("WEBP", "RGBA"), ("AVIF", "RGBA"),
]  # fmt: skip


@pytest.mark.parametrize(("form", "mode"), EVERY_MODE)
def test_pictures_of_every_form_and_mode_are_decoded_behind_the_seal(shown, form, mode):
    file = io.BytesIO()
    Image.new(mode, (40, 20)).save(file, form, exif=held(6))
    image = shown(file.getvalue())
    assert form == "GIF" if image is None else image.size == ((40, 20) if form == "BMP" else (20, 40))


PNG = drawn("PNG")
AVIF = bytearray(drawn("AVIF"))
AVIF[-40:] = b"\x55" * 40


@pytest.mark.parametrize(
    "data",
    [
        PNG[: len(PNG) // 2],
        b"GIF89a",
        drawn("JPEG")[:200],
        drawn("WEBP")[:60],
        bytes(AVIF),
        b"\0\0\0\x24ftypheic",
        b"words",
    ],
)
def test_a_broken_picture_is_refused(shown, data):
    with pytest.raises(reading.Unreadable, match="damaged or cut short"):
        shown(data)


def test_fifty_megapixels_pass_and_more_are_refused(shown):
    for size, passes in (((10_000, 5_000), True), ((10_000, 5_001), False)):
        file = io.BytesIO()
        Image.new("L", size).save(file, "TIFF", compression="packbits", exif=held(3))
        if passes:
            assert shown(file.getvalue()).size == size
        else:
            with pytest.raises(reading.Unreadable, match="50 megapixels"):
                shown(file.getvalue())


# Through the gateway


def url(double):
    """The media type and the bytes of the picture that the model server got."""
    head, _, data = double.last.json["input"][0]["content"][0]["image_url"].partition(",")
    return head, base64.b64decode(data)


def asked(client, name, data, part="input_image"):
    return client.ask({"type": part, "file_id": client.upload(name, data)})


@pytest.mark.parametrize("mode", ["text", "images"])
def test_a_photo_that_lies_on_its_side_is_sent_upright(front, double, mode):
    client = front(mode)
    photo = drawn("JPEG", exif=held(6))
    for _ in range(2):  # read, and from what is kept
        assert asked(client, "photo.jpg", photo)[0] == 200
        kind, data = url(double)
        assert (kind, Image.open(io.BytesIO(data)).size) == ("data:image/jpeg;base64", (20, 40))


@pytest.mark.parametrize("form", ["BMP", "TIFF", "AVIF", "WEBP"])
def test_forms_that_servers_lack_are_converted(front, double, form):
    assert asked(front("text"), f"scan.{form.lower()}", drawn(form))[0] == 200
    assert url(double)[0] == "data:image/jpeg;base64"


def test_a_native_upstream_gets_the_picture_as_it_was_sent(front, double):
    photo = drawn("JPEG", exif=held(6))
    assert asked(front("native"), "photo.jpg", photo)[0] == 200
    assert url(double) == ("data:image/jpeg;base64", photo)


HEIC = b"\0\0\0\x24ftypheic\0\0\0\0mif1heicmiaf" + bytes(40)


@pytest.mark.parametrize(
    ("name", "data", "part", "words"),
    [
        ("half.png", PNG[:40], "input_image", "damaged or cut short"),
        ("phone.heic", HEIC, "input_image", "save it as PNG, JPEG, GIF or WebP"),
        ("phone.heic", HEIC, "input_file", "save it as PNG, JPEG, GIF or WebP"),
        ("scan.tif", drawn("TIFF"), "input_file", "name it in an input_image part"),
    ],
)
def test_a_picture_that_no_server_could_show_is_refused_at_the_call(front, double, name, data, part, words):
    status, _, body = asked(front("text"), name, data, part)
    assert (status, body["error"]["code"], body["error"]["param"]) == (
        400,
        "unsupported_file_type",
        "input[0].content[0].file_id",
    )
    assert words in body["error"]["message"]
    assert double.received == []


@pytest.mark.parametrize(
    ("part", "words"),
    [("input_file", "neither text nor a document"), ("input_image", "application/octet-stream, not an image (PNG, JPEG, GIF, WebP); name it in")],
)
@pytest.mark.parametrize("data", [b"\0\1" * 40_000, b"\1\0" * 200, b"\x10" + bytes(400)], ids=["image/g3fax", "image/x-tga", "image/x-sony-tim"])
def test_data_that_libmagic_takes_for_a_picture_by_a_byte_or_two_is_not_called_one(front, double, data, part, words):
    status, _, body = asked(front("text"), "data.bin", data, part)
    assert (status, body["error"]["code"]) == (400, "unsupported_file_type")
    assert words in body["error"]["message"]
    assert double.received == []


# Pictures that come along


#: How a picture stands in a request: the route, and the request with it in an address that may be a data URL.
CAME = {
    "a message": ("responses", lambda at: {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": at, "detail": "low"}]}]}),
    "a tool's output": ("responses", lambda at: {"input": [{"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image", "image_url": at, "detail": "low"}]}]}),
    "a screenshot": ("responses", lambda at: {"input": [{"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot", "image_url": at}}]}),
    "a mask": ("responses", lambda at: {"input": "x", "tools": [{"type": "image_generation", "input_image_mask": {"image_url": at}}]}),
    "a chat": ("chat/completions", lambda at: {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": at, "detail": "low"}}]}]}),
}  # fmt: skip


def came(client, how, address):
    route, request = CAME[how]
    return client.post(f"/v1/{route}", {"model": "m", **request(address)})


def shown_by(double, how):
    """The picture that the model server got, where the rest of the request is as it was."""
    [address] = re.findall(r"data:[^\"]*", json.dumps(double.last.json))
    assert double.last.json == {"model": "m", **CAME[how][1](address)}
    head, _, data = address.partition(",")
    return head, base64.b64decode(data)


@pytest.mark.parametrize("how", CAME)
def test_a_picture_that_came_along_is_made_ready_like_a_stored_one(front, double, how):
    client, photo = front("text"), drawn("JPEG", exif=held(6))
    status, headers, _ = came(client, how, data_url("image/jpeg", photo))
    assert (status, headers["X-Lazu-Files"]) == (200, "inline;as=image")
    kind, data = shown_by(double, how)
    assert (kind, Image.open(io.BytesIO(data)).size) == ("data:image/jpeg;base64", (20, 40))
    assert came(client, how, data_url("image/png", drawn("WEBP")))[0] == 200  # what it is its content says
    assert shown_by(double, how)[0] in ("data:image/png;base64", "data:image/jpeg;base64")
    assert Image.open(io.BytesIO(shown_by(double, how)[1])).format != "WEBP"


@pytest.mark.parametrize("how", CAME)
@pytest.mark.parametrize("data", [PNG, drawn("GIF"), drawn("JPEG"), PNG[:40]], ids=["png", "gif", "jpeg", "a cut one"])
def test_a_picture_that_came_along_and_needs_nothing_goes_on_unread(front, double, how, data):
    """At each turn of a talk it comes again, and a reader takes a process."""
    status, headers, _ = came(front("text"), how, data_url("image/x", data))
    assert (status, headers["X-Lazu-Files"]) == (200, None)
    assert shown_by(double, how) == ("data:image/x;base64", data)


@pytest.mark.parametrize("how", CAME)
def test_a_picture_that_came_along_and_can_not_be_shown_is_refused_at_its_place(front, double, how):
    client = front("images")
    for data, code, words in (
        (drawn("WEBP")[:40], "unsupported_file_type", "damaged or cut short"),
        (HEIC, "unsupported_file_type", "save it as PNG, JPEG, GIF or WebP"),
        (b"words", "unsupported_file_type", "not an image"),
        (b"", "invalid_request", "The file is empty"),
    ):
        status, _, body = came(client, how, data_url("image/png", data))
        assert (status, body["error"]["code"]) == (400, code)
        assert words in body["error"]["message"]
        assert re.search(r"\.image_url(\.url)?$", body["error"]["param"])
    for address in ("data:image/png;base64,%%%", "DATA:image/svg+xml,plain"):
        assert "must be a data URL with base64." in came(client, how, address)[2]["error"]["message"]
    assert double.received == []


@pytest.mark.parametrize(
    ("mode", "address"),
    [("text", "https://example.org/p.webp"), ("text", ""), ("native", data_url("image/webp", b"?"))],
)
@pytest.mark.parametrize("how", CAME)
def test_the_address_of_a_picture_passes_as_it_is_and_so_does_all_to_a_native_upstream(
    front, double, how, mode, address
):
    assert came(front(mode), how, address)[0] == 200
    assert double.last.json == {"model": "m", **CAME[how][1](address)}


def test_a_chat_may_name_the_data_alone(front, double):
    tiff = drawn("TIFF")
    part = {"type": "image_url", "image_url": " DATA:image/webp;base64," + base64.b64encode(tiff).decode()}
    assert front("text").post("/v1/chat/completions", {"messages": [{"role": "user", "content": [part]}]})[0] == 200
    [made] = double.last.json["messages"][0]["content"]
    assert made["image_url"]["url"].startswith("data:image/jpeg;base64,/9j/")
