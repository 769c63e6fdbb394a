"""The rows of the table of aims: each is a function from a `Plan` to a `Result`, named as `bench/run NAME` takes it."""

from bench.rows import (
    documents,
    download,
    fsck,
    metadata,
    parts,
    purge,
    responses,
    small,
    start,
    streams,
    upload,
    workers,
)

ROWS = {
    "small-1": small.one_client,
    "small-8": small.eight_clients,
    "small-64": small.many_clients,
    "small-slow": small.slow_syncs,
    "workers": workers.run,
    "upload": upload.big,
    "upload-many": upload.many,
    "parts": parts.run,
    "download": download.run,
    "metadata": metadata.run,
    "list": metadata.pages,
    "responses": responses.run,
    "streams": streams.run,
    "documents": documents.run,
    "fsck": fsck.run,
    "start": start.run,
    "memory": upload.memory,
    "purge": purge.run,
}
