"""A store opened in this process, past HTTP."""

from lazu.store.files import NewFile


def put(store, data):
    """A file of the key `alice`, which is there."""
    with store.contents.stage(100) as place:
        place.write(data)
        place.seal()
        return store.files.create(store.keys.find("alice"), NewFile(place, "a.txt", "text/plain", "user_data", None))
