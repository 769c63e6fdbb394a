"""Power cuts: the store on ext4 on a loop device, whose caches are thrown away as the power would.

EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH (linux/fs/ext4/ext4.h) stops the file system at once: what is not on
the device, journal included, never gets there. Needs root, loop devices and mkfs.ext4.

Mounts live in a mount namespace of this process, loop devices free themselves when it is gone: nothing is left behind,
however it ends.
"""

import ctypes
import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
NOLOGFLUSH = 2
NEWNS, PRIVATE, REC = 0x20000, 0x40000, 0x4000  # CLONE_NEWNS, MS_PRIVATE, MS_REC
MB = 2**20

libc = ctypes.CDLL(None, use_errno=True)


def missing() -> str:
    """What this host lacks for power cuts; empty if nothing."""
    if os.geteuid() != 0:
        return "not root"
    tools = [tool for tool in ("mkfs.ext4", "losetup") if not shutil.which(tool)]
    if tools:
        return f"no {tools[0]}"
    with tempfile.NamedTemporaryFile() as image:
        image.truncate(MB)
        found = subprocess.run(["losetup", "--find", "--show", image.name], capture_output=True, text=True, check=False)
        if found.returncode:
            return f"no loop devices ({found.stderr.strip()})"
        subprocess.run(["losetup", "--detach", found.stdout.strip()], check=True)
    return ""


class Disk:
    """A file system of its own, on an image in memory, mounted at `place`."""

    def __init__(self, image: Path, place: Path) -> None:
        self.place = str(place)
        with image.open("wb") as file:
            file.truncate(32 * MB)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0", str(image)], check=True)
        found = subprocess.run(["losetup", "--find", "--show", str(image)], stdout=subprocess.PIPE, text=True, check=True)
        self.device = found.stdout.strip()
        self.fd = os.open(self.device, os.O_RDWR | os.O_CLOEXEC)  # as long as it is open, detaching waits
        subprocess.run(["losetup", "--detach", self.device], check=True)
        place.mkdir(exist_ok=True)
        self.mount()

    def mount(self) -> None:
        check(libc.mount(self.device.encode(), self.place.encode(), b"ext4", 0, b""))

    def unmount(self) -> None:
        check(libc.umount2(self.place.encode(), 0))

    def stop(self) -> None:
        """Now nothing reaches the device any more."""
        fd = os.open(self.place, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(fd, SHUTDOWN, struct.pack("I", NOLOGFLUSH))
        finally:
            os.close(fd)

    def sync(self) -> None:
        fd = os.open(self.place, os.O_RDONLY | os.O_CLOEXEC)
        try:
            check(libc.syncfs(fd))
        finally:
            os.close(fd)


class Power:
    """The power of a store in `folder`/store; with `apart` its blobs have a file system of their own."""

    def __init__(self, folder: Path, apart: bool) -> None:
        check(libc.unshare(NEWNS))
        check(libc.mount(b"none", b"/", None, PRIVATE | REC, None))
        self.disks = [Disk(folder / "rows.img", folder / "store")]
        if apart:
            self.disks.append(Disk(folder / "blobs.img", folder / "store" / "blobs"))

    def sync(self) -> None:
        """Make all that was written durable."""
        for disk in self.disks:
            disk.sync()

    def cut(self) -> None:
        """Cut the power, and have it back. No process may have a file open in here."""
        for disk in self.disks:
            disk.stop()
        for disk in reversed(self.disks):
            disk.unmount()
        for disk in self.disks:
            disk.mount()


def check(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
