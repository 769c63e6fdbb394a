"""A store opened in this process, past HTTP."""

from contextlib import contextmanager

import pytest

from lazu.errors import Doubt
from lazu.store.files import NewFile


def put(store, data):
    """A file of the key `alice`, which is there."""
    with store.contents.stage(100) as place:
        place.write(data)
        return store.files.create(store.keys.find("alice"), NewFile(place, "a.txt", "text/plain", "user_data", None))


@contextmanager
def first_answer_lost(store, meanwhile):
    """Within the `with` nobody hears of the first COMMIT, and `meanwhile` happens after it."""
    write, lost = store.engine.write, []

    def losing(work, frees=False):
        found = write(work, frees)
        if not lost:
            lost.append(work)
            meanwhile()
            raise Doubt("the answer to COMMIT was lost")
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store.engine, "write", losing)
        yield
