"""Sizes in words, and the sizes that more than one room needs. MB is 2^20 bytes, everywhere in Lazu."""

MB = 2**20

#: What the files of one call may have together: as they are stored, and again as what is sent for them,
#: before base64 and JSON's escapes.
FILES_OF_A_CALL = 64 * MB
#: A JSON request body: of a call; of `/v1/uploads`, where 10,000 ids of parts take a third of it.
JSON_BODY, UPLOAD_BODY = 128 * MB, MB
#: How much of a body that nobody wants is read before the connection is let go, more than the largest file; and for how
#: many seconds.
DRAIN_BYTES, DRAIN_SECONDS = 640 * MB, 60


def words(size: int) -> str:
    """Bytes for a person: `512 MB`, `1.5 KB`, `300 bytes`; rounded down, so never more than the size is."""
    for unit, name in ((2**40, "TB"), (2**30, "GB"), (MB, "MB"), (2**10, "KB")):
        if size >= unit and (size % unit == 0 or size < 1024 * unit):
            tenths = size * 10 // unit
            return f"{tenths // 10} {name}" if tenths % 10 == 0 else f"{tenths / 10} {name}"
    return f"{size} bytes"
