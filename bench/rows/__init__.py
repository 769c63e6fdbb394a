"""The rows of the table of aims: each is a function from a `Plan` to a `Result`, named as `bench/run NAME` takes it."""

from bench.rows import download, fsck, metadata, purge, responses, small, start, upload

ROWS = {
    "upload": upload.big,
    "upload-many": upload.many,
    "small-1": small.one_client,
    "small-8": small.eight_clients,
    "download": download.run,
    "metadata": metadata.run,
    "list": metadata.pages,
    "responses": responses.run,
    "purge": purge.run,
    "fsck": fsck.run,
    "start": start.run,
    "memory": upload.memory,
}
