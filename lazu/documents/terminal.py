"""What is meant for a terminal, as it shows it: colours and movements are no words, and what is typed over is gone."""

import re

#: Colours and movements (ECMA-48, §5.4).
_SEQUENCE = r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]"
_SEQUENCES = re.compile(_SEQUENCE)
_SIGN = re.compile(rf"{_SEQUENCE}|.", re.DOTALL)

#: A line, or what stands between carriage returns, in which something is typed over.
_LINE = re.compile(r"[^\r\n]+")

#: The line is erased from here on, as a shell does behind a backspace.
_ERASED = ("\x1b[K", "\x1b[0K")


def shown(text: str) -> str:
    """Return `text` without its sequences, and without the backspaces of lines in which they take letters back."""
    if "\x08" in text:
        text = _LINE.sub(_typed, text)
    return _SEQUENCES.sub("", text) if "\x1b" in text else text


def _typed(line: re.Match[str]) -> str:
    """Return a line in which each backspace has gone back by one letter, over which the next one was typed."""
    if "\x08" not in line[0]:
        return line[0]
    letters, place = list[str](), 0
    for sign in _SIGN.findall(line[0]):
        if sign == "\x08":
            place = max(place - 1, 0)
        elif len(sign) == 1:
            letters[place : place + 1] = sign
            place += 1
        elif sign in _ERASED:
            del letters[place:]
    return "".join(letters)
