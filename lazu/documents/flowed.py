"""Plain text of mail whose paragraphs were folded for narrow screens (`format=flowed`, RFC 3676)."""

#: The line above a signature, which ends in a space all the same (§4.3).
_SIGNATURE = "-- "


def unfolded(text: str, joined: bool) -> str:
    """Return `text` with each paragraph on one line; `joined` has the spaces of its folds dropped (`delsp`)."""
    lines, open_at = list[list[str]](), -1  # the depth of quotation of a paragraph that goes on
    for line in text.splitlines():
        words = line.lstrip(">")
        depth, words = len(line) - len(words), words.removeprefix(" ")
        folded = words.endswith(" ") and words != _SIGNATURE
        piece = words[:-1] if folded and joined else words
        if open_at == depth and words != _SIGNATURE:
            lines[-1].append(piece)
        else:
            lines.append([">" * depth, " " if depth and words else "", piece])
        open_at = depth if folded else -1
    return "\n".join(map("".join, lines))
