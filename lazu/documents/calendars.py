"""Appointments that a message brings (iCalendar: RFC 5545), as lines that a person reads."""

import re
from collections.abc import Iterator

from lazu.documents import markdown

#: What becomes a block, and what is told of each; a reminder within it is its program's.
_KINDS = ("VEVENT", "VTODO", "VJOURNAL")
_LABELS = {
    "DTSTART": "Start", "DTEND": "End", "DUE": "Due", "DURATION": "Duration", "RRULE": "Repeats", "RDATE": "Also",
    "EXDATE": "Except", "RECURRENCE-ID": "In place of", "LOCATION": "Place", "ORGANIZER": "Organizer",
    "ATTENDEE": "Attendees", "STATUS": "Status", "COMMENT": "Comment", "URL": "Link",
}  # fmt: skip

#: What is asked of who gets it (RFC 5546).
_METHODS = {"REQUEST": "Invitation", "CANCEL": "Cancelled", "REPLY": "Answer"}

_LINE = re.compile(r'^([\w-]+)((?:;[^=;:"\n]+=(?:"[^"\n]*+"|[^";:\n])*+)*+):(.*)', re.MULTILINE)
_PARAMETER = re.compile(r';([^=;:"]+)=((?:"[^"]*+"|[^";:])*+)')
_MOMENT = re.compile(r"\b(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)(Z?))?\b")

#: A line that goes on in the next one, also within a letter: so it is of bytes.
_FOLD = re.compile(rb"\r?\n[ \t]")


def unfolded(data: bytes) -> bytes:
    """Return a calendar with its lines whole."""
    return _FOLD.sub(b"", data)


def blocks(text: str) -> Iterator[str]:
    """Give each appointment, and what is said of it as a block of its own; a calendar that has none, as it is."""
    title, found = _appointments(text)
    for told in found:
        lines = (f"{label}: {', '.join(told[name])}" for name, label in _LABELS.items() if name in told)
        yield "\n".join([": ".join([title, *told.get("SUMMARY", [])]), *lines])
        yield from told.get("DESCRIPTION", [])
    if not found:
        yield text


def _appointments(text: str) -> tuple[str, list[dict[str, list[str]]]]:
    """Return what a calendar's appointments are, and of each what is told of it, by name."""
    title, found = "Appointment", []
    open_: list[dict[str, list[str]]] = [{}]  # what has begun, each within the one before it
    for told, parameters, value in _LINE.findall(text.replace("\r", "")):
        name = told.upper()
        if name == "BEGIN":
            open_.append({})
            found += open_[-1:] * (value.strip().upper() in _KINDS)
        elif name == "END":
            del open_[max(len(open_) - 1, 1) :]
        elif name == "METHOD":
            title = _METHODS.get(value.strip().upper(), title)
        else:
            open_[-1].setdefault(name, []).append(_value(name, dict(_PARAMETER.findall(parameters)), value))
    return title, found


def _value(name: str, parameters: dict[str, str], raw: str) -> str:
    """Return a value as it is read. Whole days end before the day that is told."""
    said = {key.upper(): words.strip('"') for key, words in parameters.items()}
    if name in ("ORGANIZER", "ATTENDEE"):
        return _person(said, raw.strip())
    if name in ("DTSTART", "DTEND", "DUE", "RDATE", "EXDATE", "RECURRENCE-ID", "RRULE"):
        before = "before " * (name == "DTEND" and "T" not in raw)
        return f"{before}{_MOMENT.sub(_moment, raw.strip())} {said.get('TZID', '')}".rstrip()
    words = re.sub(r"\\(.)", lambda found: "\n" if found[1] in "nN" else found[1], raw)
    return words if name == "DESCRIPTION" else markdown.line(words)


def _person(said: dict[str, str], address: str) -> str:
    address = re.sub("^mailto:", "", address, flags=re.IGNORECASE)
    name, answer = said.get("CN", ""), said.get("PARTSTAT", "NEEDS-ACTION")
    who = f"{name} <{address}>" if name not in ("", address) else address
    return who if answer == "NEEDS-ACTION" else f"{who} ({answer})"


def _moment(found: re.Match[str]) -> str:
    year, month, day, hour, minute, second, universal = found.groups()
    return f"{year}-{month}-{day}" + (f" {hour}:{minute}:{second}{' UTC' * bool(universal)}" if hour else "")
