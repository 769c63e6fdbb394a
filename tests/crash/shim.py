"""The door to shim.c: builds it, and arms it in a process that was started with it."""

import ctypes
import os
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")
COUNT, BEFORE, AFTER, TORN, PAUSE = range(5)
#: Calls that can be torn in the middle; the others happen or do not.
WRITES = ("write", "pwrite", "writev", "pwritev", "sendfile", "copy_file_range")


def build(folder: Path) -> Path:
    """Compile the shim into `folder`; gives the library to put into LD_PRELOAD."""
    library = folder / "shim.so"
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", str(SOURCE), "-o", str(library), "-ldl"], check=True)
    return library


class Shim:
    """The shim of this process, which must have been started with it in LD_PRELOAD."""

    def __init__(self) -> None:
        self.library = ctypes.CDLL(os.environ["LD_PRELOAD"])
        self.library.crash_arm.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_int]
        self.library.crash_disarm.restype = ctypes.c_long
        self.library.crash_only.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
        for name in ("crash_call", "crash_tail"):
            getattr(self.library, name).argtypes = [ctypes.c_long]
            getattr(self.library, name).restype = ctypes.c_char_p

    def arm(self, folder: str, at: int, mode: int) -> None:
        """Count the calls that change something inside `folder`; unless `mode` is COUNT die (or pause) at number `at`, from 1."""
        self.library.crash_arm(os.path.realpath(folder).encode(), at, mode)

    def only(self, call: str, tail: str) -> None:
        """Count nothing but `call` on paths that end with `tail`."""
        self.library.crash_only(call.encode(), tail.encode())

    def locks(self) -> None:
        """Count flock too: it changes nothing, but is where two processes meet."""
        self.library.crash_locks(1)

    def disarm(self) -> list[tuple[str, str]]:
        """Stop counting; gives the boundaries met: the call, and the end of the path it was made on."""
        count = self.library.crash_disarm()
        return [
            (self.library.crash_call(n).decode(), self.library.crash_tail(n).decode()) for n in range(1, count + 1)
        ]
