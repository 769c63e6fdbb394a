"""Messages (eml) as Markdown: who wrote what to whom, and the names of what is attached (RFC 5322, RFC 2045)."""

import email.policy
from collections.abc import Iterator
from email.message import EmailMessage, Message
from email.parser import BytesParser

from lazu.documents import encodings, markdown, web

_HEADERS = ("From", "To", "Cc", "Date", "Subject")


def blocks(data: bytes) -> Iterator[str]:
    """Give the message in `data` as blocks of Markdown."""
    message = BytesParser(EmailMessage, policy=email.policy.default).parsebytes(data)
    yield "\n".join(f"{name}: {markdown.line(str(message[name]))}" for name in _HEADERS if message[name])
    yield from _body(message)
    attached = [_named(part) for part in message.walk() if _is_attached(part)]
    if attached:
        yield "Attachments:"
        yield from (markdown.item(0, words) for words in attached)


def _body(message: EmailMessage) -> Iterator[str]:
    """Give the words of a message: of two forms of the same the plain one, unless it is empty."""
    for kind in ("plain", "html"):
        part = message.get_body((kind,))
        words = _decoded(part) if part else ""
        if words.strip():
            yield from web.blocks(words, titled=False) if kind == "html" else [words]
            return
    for part in message.walk():
        if part.get_content_type() == "message/rfc822":
            inner = part.get_payload(0)
            if isinstance(inner, EmailMessage):
                yield "Forwarded message:"
                yield "\n".join(f"{name}: {markdown.line(str(inner[name]))}" for name in _HEADERS if inner[name])
                yield from _body(inner)
            return


def _decoded(part: Message) -> str:
    """Return the words of a part in the charset that it declares, or else in the one that fits."""
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        return ""
    name = encodings.codec(part.get_content_charset(""))
    return data.decode(name, errors="replace") if name else encodings.declared(data)


def _is_attached(part: Message) -> bool:
    return not part.is_multipart() and (part.get_content_disposition() == "attachment" or bool(part.get_filename()))


def _named(part: Message) -> str:
    data = part.get_payload(decode=True)
    size = len(data) if isinstance(data, bytes) else 0
    return f"{markdown.line(part.get_filename() or 'unnamed')} ({part.get_content_type()}, {size} bytes)"
