"""Why a file can't be read, in words for the person who sent it; the number is the reader process's exit status."""

from lazu.sizes import MB, words

#: Bytes of UTF-8 that a text may have: some 2 million tokens, more than any model takes.
TEXT_LIMIT = 8 * MB

#: Bytes of JPEG that the pages of a file may have; 20 pages of pure noise, the worst there is, fit.
PICTURES_LIMIT = 64 * MB

#: Pages that a PDF may have whose text is read.
PAGES_LIMIT = 10_000

#: Pixels that a picture may have.
PIXELS_LIMIT = 50 * 10**6

(
    BROKEN, LOCKED, EMPTY, BINARY, SLOW, LARGE, LONG, PAGES, PAGELESS, XFA, DEEP, NOTHING, WORD, POWERPOINT, OUTLOOK,
    PIXELS, NO_PICTURE, HEAVY,
) = range(10, 28)  # fmt: skip

WORDS = {
    BROKEN: "The file is damaged, or cut short: it could not be read.",
    LOCKED: "The file is protected by a password. Upload a copy without one.",
    EMPTY: "The PDF has no text in it; its pages may be scanned pictures. Upload a copy with recognised text (OCR).",
    BINARY: "The file is neither text nor a document that can be read, so it has no text to give to the model.",
    SLOW: "The file takes too long to read. Upload a smaller or simpler one.",
    LARGE: "The file needs too much memory to read. Upload a smaller or simpler one.",
    LONG: f"The file's text has more than {words(TEXT_LIMIT)}, which no model takes at once. Upload a part of it.",
    HEAVY: f"The pictures of the file have more than {words(PICTURES_LIMIT)} together. Upload a part of it.",
    PAGES: f"The PDF has more than {PAGES_LIMIT:,} pages. Upload a part of it.",
    PAGELESS: "The PDF has no pages.",
    XFA: "The PDF is an XFA form, which only Adobe's programs can read. Print it there to a PDF, and upload that.",
    DEEP: "The file is nested too deeply to read. Upload a simpler one.",
    NOTHING: "The document has no text in it.",
    WORD: "This is a Word document of the older form (.doc), which can't be read. Save it as .docx and upload that.",
    POWERPOINT: "This is a presentation of the older form (.ppt); it can't be read. Save it as .pptx and upload that.",
    PIXELS: f"The picture has more than {PIXELS_LIMIT // 10**6} megapixels. Upload a smaller one.",
    NO_PICTURE: "The picture is damaged or cut short: it can't be decoded.",
    OUTLOOK: "This is a message in Outlook's own form (.msg), which can't be read. Save it as .eml and upload that.",
}


class Refused(Exception):
    """The file can't be read; `reason` is one of the numbers above."""

    def __init__(self, reason: int) -> None:
        super().__init__(WORDS[reason])
        self.reason = reason
