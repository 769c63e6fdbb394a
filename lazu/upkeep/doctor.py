"""Is this host fit to run Lazu: what `flask doctor` looks at, and the cure of what it finds.

It needs no store: it is run on hosts that can't hold one.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lazu import clock, config, filetypes, logs
from lazu.config import Settings
from lazu.errors import ApiError, CannotStart, StorageMoved, StoreError
from lazu.gateway import itself
from lazu.gateway.upstream import Upstream
from lazu.store import blobs, counts, disk, staged
from lazu.store.opening import DATABASE, SERVED, Store, audit_log, misplaced
from lazu.store.sqlite import engine as sqlite
from lazu.upkeep import stats
from lazu.upkeep.finding import FAIL, OK, WARN, Finding

#: Their SQLite can't share memory between processes, or their fsync and rename promise less than a disk's.
NETWORK = frozenset("nfs nfs4 cifs smb3 smbfs 9p afs ceph glusterfs fuse.sshfs fuse.rclone fuse.s3fs".split())
#: Gone with the machine, or with the container.
FLEETING = frozenset("tmpfs ramfs overlay".split())

#: What Lazu makes in its storage directory, but for its logs.
OURS = (f"{DATABASE}*", "blobs", "blobs/??", "ballast", SERVED, "full-*", "*.lock", "quarantine")

#: A file each for 1000 connections, SQLite's files, an upload or a blob and its shard.
OPEN_FILES = 6 * 1000 + 64

#: A clock before that is wrong: this program is younger (2025-01-01).
EPOCH = 1735689600


#: Where docs/deploy.md puts it; with it LAZU_BIND has no say.
SOCKET = Path("/etc/systemd/system/lazu.socket")


def examine(opened: Store | CannotStart) -> Iterator[Finding]:
    """Everything that was looked at; `opened` is the store, or why it could not be opened."""
    yield _sqlite()
    yield _libmagic()
    yield _open_files()
    yield _clock()
    yield _cron()
    try:
        settings = config.read().use()
    except CannotStart as e:
        yield Finding("settings", FAIL, str(e), "correct the variable, in the environment or in .env")
        return
    yield Finding("settings", OK, "readable")
    yield from _storage(settings)
    if told := misplaced(settings):
        yield Finding("nginx", WARN, *told)
    elif settings.accel_location and not settings.database_url:
        yield _nginx(settings.storage_dir)
    yield _audit(settings)
    yield _upstream(settings)
    engines = list(_engines(settings))
    yield from engines
    if isinstance(opened, CannotStart):
        yield _unopened(opened, engines)
    else:
        yield _store(opened, [each.check for each in engines if each.state == FAIL])
        yield from _rows(opened, any((each.check, each.state) == ("database", FAIL) for each in engines))


def _unopened(why: CannotStart, engines: list[Finding]) -> Finding:
    """Nothing above tells of a URL that is wrong while each engine that was asked is fit."""
    fit = engines and all(each.state != FAIL for each in engines)
    by_setting = fit and "LAZU_DATABASE_URL" in str(why)
    cure = "correct LAZU_DATABASE_URL or LAZU_BLOBS_URL" if by_setting else "see the lines above"
    return Finding("store", FAIL, str(why), cure)


def _store(store: Store, unfit: list[str]) -> Finding:
    if store.contents.failed:
        cure = "look at the disk (dmesg, smartctl), then 'flask fsck'; docs/operations.md, A corrupt blob"
        return Finding("store", FAIL, "stopped by a disk error: it takes nothing", cure)
    if unfit:
        return Finding("store", WARN, f"opens, without a fit {' and '.join(unfit)}", "see the lines above")
    return Finding("store", OK, "opens")


def _sqlite() -> Finding:
    version = sqlite.version()
    name = ".".join(map(str, version))
    if sqlite.sound(version):
        return Finding("sqlite", OK, name)
    return Finding("sqlite", FAIL, f"{name} can lose commits (the WAL-reset bug)", "pip install pysqlite3")


def _libmagic() -> Finding:
    found = filetypes.by_libmagic(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    if found == "image/png":
        return Finding("libmagic", OK, "knows a PNG")
    return Finding("libmagic", FAIL, f"takes a PNG for {found}", "install pylibmagic, which brings its own data")


def _open_files() -> Finding:
    limit = disk.open_files()
    if limit == -1 or limit >= OPEN_FILES:
        return Finding("open files", OK, "no limit" if limit == -1 else f"{limit:,} a process")
    found = f"{limit:,} a process: fewer clients at once"
    return Finding("open files", WARN, found, "ulimit -n 65536, or LimitNOFILE=65536 of systemd")


def _clock() -> Finding:
    now = clock.now()
    if now < EPOCH:
        return Finding("clock", FAIL, clock.shanghai(now), "set the clock, e.g. timedatectl set-ntp true")
    return Finding("clock", OK, clock.shanghai(now))


def _cron() -> Finding:
    """When 04:30 in Shanghai is for a cron without CRON_TZ."""
    now = clock.now()
    purge = clock.local(clock.midnight(now) + 4 * 3600 + 30 * 60)
    told = f"04:30 in Shanghai is {purge:%H:%M} in the zone of this host, {purge:%Z}"
    if clock.has_summer_time(now):
        cure = "take the hourly line of crontab.example, or the systemd timer"
        return Finding("cron", WARN, f"{told}, until summer time changes", cure)
    return Finding("cron", OK, f"{told}: '{purge.minute} {purge.hour} * * *'")


def _storage(settings: Settings) -> Iterator[Finding]:
    place = _existing(settings.storage_dir)
    yield _file_system(place)
    yield _device(settings.storage_dir)
    yield _owner(settings.storage_dir)
    free, floor = disk.free(place), settings.min_free_bytes
    found = f"{free:,} bytes, uploads stop at {floor:,}"
    if free < floor + staged.SMALLEST:
        yield Finding("free space", FAIL, found, "docs/operations.md, A full disk")
    elif free < 2 * floor:
        yield Finding("free space", WARN, found, "make room soon")
    else:
        yield Finding("free space", OK, found)


def _existing(path: Path) -> Path:
    """`path`, or the nearest folder above it that is there."""
    return path if os.path.exists(path) else _existing(path.parent)  # Path.exists raises for names it may not ask


def _file_system(place: Path) -> Finding:
    kind = disk.file_system(place)
    cure = "set LAZU_STORAGE_DIR to a local disk with ext4, XFS or Btrfs"
    if kind in NETWORK:
        return Finding("file system", FAIL, f"{kind}: no WAL and no O_TMPFILE over a network", cure)
    if kind in FLEETING:
        return Finding("file system", WARN, f"{kind}: may be gone with the machine or the container", cure)
    try:
        os.close(os.open(place, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as e:
        found = f"{kind}, O_TMPFILE in {place}: {e.strerror}"
        return Finding("file system", FAIL, found, f"{cure}, writable for this user")
    return Finding("file system", OK, f"{kind}, has O_TMPFILE")


def _device(storage: Path) -> Finding:
    """A blob gets its name by a hard link from the folder of all shards: they must be of one file system."""
    devices = blobs.devices(storage / "blobs")
    if not devices:
        return Finding("device", OK, "no blobs yet")
    if len(devices) > 1:
        return Finding("device", FAIL, "the shards lie on several file systems", "move blobs/ to one, whole")
    if storage.stat().st_dev not in devices:
        found = "database and blobs lie on different file systems"
        return Finding("device", WARN, found, "back up both; one is simpler")
    return Finding("device", OK, "database and blobs lie on one file system")


def _owner(storage: Path) -> Finding:
    """The server can't use what root has made there, by a server or a command: it fails at the start, or in parts."""
    there = sorted(path for name in OURS for path in storage.glob(name))
    closed = [path for path in there if not os.access(path, os.R_OK | os.W_OK) and path.exists()]
    cure = f"chown -R USER:GROUP {storage}, those that Lazu runs as; run nothing of Lazu as root"
    if closed:
        found = f"{closed[0]} can't be read and written by this user, {len(closed)} in all"
        return Finding("owner", FAIL, found, cure)
    if len({path.stat().st_uid for path in there if path.exists()}) > 1:
        return Finding("owner", WARN, "what Lazu made in its storage belongs to several users", cure)
    return Finding("owner", OK, "what Lazu made in its storage is this user's to read and write")


def _nginx(storage: Path) -> Finding:
    """Lazu sends the bytes itself where nginx can't: each download takes a thread, and leaves a line in nginx's log."""
    if not (closed := blobs.closed(storage / "blobs")):
        return Finding("nginx", OK, "its group may enter the directories of the blobs")
    found = f"LAZU_ACCEL_LOCATION is set, and nginx can't enter {len(closed)} directories of the storage"
    return Finding("nginx", WARN, found, f"chmod 750 {storage} {storage}/blobs {storage}/blobs/??")


def _audit(settings: Settings) -> Finding:
    """One that LAZU_AUDIT_LOG names stops a start; without the other each line stands in the log."""
    path = audit_log(settings)
    # Else the storage is made when Lazu starts, or looked at by itself.
    why = logs.unwritable(path) if path.parent != settings.storage_dir or os.path.exists(path) else None
    if why is None:
        return Finding("audit log", OK, "can be written")
    cure = "give it, or its directory, to the user of Lazu, or correct LAZU_AUDIT_LOG"
    return Finding("audit log", FAIL, f"{path} can't be written: {why}", cure)


def _upstream(settings: Settings) -> Finding:
    """Files are served without it."""
    if settings.upstream_url is None:
        return Finding("upstream", OK, "none: /v1/responses answers 503")
    streams = _streams()
    if wrong := itself.look(settings, streams or [settings.bind], by_systemd=bool(streams)):
        return Finding("upstream", FAIL, *wrong)
    try:
        status = Upstream(settings).reach()
    except ApiError as e:
        return Finding("upstream", WARN, e.message, "is it running, at LAZU_UPSTREAM_URL?")
    if 300 <= status < 400:
        return Finding("upstream", WARN, f"answers with a redirect ({status})", "name its target in LAZU_UPSTREAM_URL")
    if status in (401, 403):
        return Finding("upstream", WARN, f"refuses LAZU_UPSTREAM_API_KEY ({status})", "set the key that it wants")
    if status == 404:
        return Finding("upstream", WARN, "has no /models there (404)", "is /v1 missing in LAZU_UPSTREAM_URL?")
    return Finding("upstream", OK, "can be reached")


def _streams() -> list[str]:
    """Where systemd listens for Lazu; nothing without lazu.socket."""
    streams: list[str] = []
    for path in [SOCKET, *sorted(SOCKET.parent.glob(f"{SOCKET.name}.d/*.conf"))]:
        with suppress(OSError), open(path, encoding="utf-8") as unit:
            for given in re.findall(r"^ListenStream *= *(.*?) *$", unit.read(), re.MULTILINE):
                streams = [*streams, given] if given else []  # an empty one takes back those before (systemd.socket(5))
    return streams


def _engines(settings: Settings) -> Iterator[Finding]:
    """PostgreSQL and S3; imported here, because a store on one box has not even their libraries."""
    if settings.database_url:
        try:
            from lazu.upkeep import engines
        except ImportError:
            return  # why the store does not open tells it

        yield from engines.look(settings)


def _rows(store: Store, told: bool) -> Iterator[Finding]:
    """What the rows say of the store; one line if they can't be read, unless that was `told` already."""
    try:
        yield _purge(store)
        yield _dates()
    except StoreError as e:
        if not told:
            yield Finding("database", FAIL, str(e), "docs/operations.md, A damaged database")


def _purge(store: Store) -> Finding:
    overdue, last = stats.totals().overdue, counts.last_purge()
    told = f"last ran {clock.shanghai(last.finished_at)}" if last else "never ran"
    if overdue:
        return Finding("purge", WARN, f"{told}, {overdue:,} files overdue", "is the line of crontab.example installed?")
    try:
        with suppress(StoreError):  # of the object store: its own check says so
            store.contents.require_own()
    except StorageMoved as e:
        return Finding("purge", WARN, e.message, "docs/cluster.md, Backups")
    return Finding("purge", OK, told)


def _dates() -> Finding:
    """Ids and expiries come from the clock: one that was set back makes files that sort wrongly and live longer."""
    newest, now = counts.newest(), clock.now()
    if newest is not None and newest > now:
        found = f"a file was made at {clock.shanghai(newest)}, in the future"
        return Finding("history", WARN, found, "was the clock set back?")
    return Finding("history", OK, "no file is from the future")
