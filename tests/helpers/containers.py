"""Archives with chosen members: zip by the standard library, OLE2 by hand ([MS-CFB])."""

import io
import struct
import zipfile

FREE, END, TABLE = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


def zipped(*names, contents=()):
    """A zip archive of empty members, and of those with contents, in this order."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "")
        for name, content in contents:
            archive.writestr(name, content)
    return file.getvalue()


def ole2(*streams, within=()):
    """An OLE2 container with empty streams at its root, and a storage `ObjectPool` with those of `within`."""
    names = ["Root Entry", *streams, *(["ObjectPool", *within] if within else [])]
    entries = []
    for number, name in enumerate(names):
        right = number + 1 if name != "ObjectPool" and 0 < number < len(names) - 1 else FREE
        child = {"Root Entry": 1, "ObjectPool": number + 1}.get(name, FREE)
        kind = {"Root Entry": 5, "ObjectPool": 1}.get(name, 2)
        raw = name.encode("utf-16-le")
        entries.append(struct.pack("<64sHBB3I", raw, len(raw) + 2, kind, 1, FREE, right, child).ljust(128, b"\0"))
    directory = b"".join(entries)
    sectors = [directory[at : at + 512].ljust(512, b"\0") for at in range(0, len(directory), 512)]
    # Sector 0 is the table, the directory follows it backwards: its order is the table's alone.
    count = len(sectors)
    table = [TABLE, *(END if n == 1 else n - 1 for n in range(1, count + 1))]
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<5H", 0x3E, 3, 0xFFFE, 9, 6)
    header += bytes(6) + struct.pack("<9I", 0, 1, count, 0, 4096, END, 0, END, 0) + struct.pack("<I", 0)
    header = header.ljust(512, b"\xff")
    return header + struct.pack(f"<{len(table)}I", *table).ljust(512, b"\xff") + b"".join(reversed(sectors))
