"""Room that is kept for deleting: SQLite needs some of it on a disk that is full."""

import os
from pathlib import Path

from lazu.store import disk


class Ballast:
    """A file that takes up `size` bytes, to be given up when a deletion finds no room."""

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.size = size

    def fill(self) -> None:
        """Have the file, whole, if there is ample room for it; otherwise nothing happens, another time will come."""
        if self._is_whole() or disk.free(self.path.parent) < 3 * self.size:
            return
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, self.size)
        except OSError as e:
            if e.errno not in disk.FULL:  # a quota of the file system may be full, of which `free` knows nothing
                raise
        finally:
            os.close(fd)

    def _is_whole(self) -> bool:
        """Whether all of it is there: whoever made it may have been killed, or found no room."""
        try:
            return os.stat(self.path).st_size >= self.size
        except FileNotFoundError:
            return False

    def spend(self) -> bool:
        """Give the room to whoever needs it now; false if there is none left."""
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        return True
