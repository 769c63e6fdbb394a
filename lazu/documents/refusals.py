"""Why a file can't be read, in words for the person who sent it; the number is the reader process's exit status."""

BROKEN, LOCKED, EMPTY, BINARY, SLOW, LARGE, LONG, PAGES, PAGELESS, XFA = range(10, 20)

WORDS = {
    BROKEN: "The file is damaged: it could not be read as a PDF.",
    LOCKED: "The PDF is protected by a password. Upload a copy without one.",
    EMPTY: "The PDF has no text in it; its pages may be scanned pictures. Upload a copy with recognised text (OCR).",
    BINARY: "The file is neither text nor a PDF, so it has no text to give to the model.",
    SLOW: "The file takes too long to read. Upload a smaller or simpler one.",
    LARGE: "The file needs too much memory to read. Upload a smaller or simpler one.",
    LONG: "The file holds more than can be given to a model at once. Upload a part of it.",
    PAGES: "The PDF has more than 10,000 pages. Upload a part of it.",
    PAGELESS: "The PDF has no pages.",
    XFA: "The PDF is an XFA form, which only Adobe's programs can read. Print it there to a PDF, and upload that.",
}


class Refused(Exception):
    """The file can't be read; `reason` is one of the numbers above."""

    def __init__(self, reason: int) -> None:
        super().__init__(WORDS[reason])
        self.reason = reason
