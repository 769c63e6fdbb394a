"""Who is calling: API keys, which own files.

A key is 256 random bits, so its SHA-256 needs no salt and no slow hash; only the hash is stored. The key in
LAZU_API_KEY opens the owner `default` as long as the setting stands; it is never stored at all.
"""

import hashlib
import hmac
import logging
import re
import secrets
import threading
from collections.abc import Iterator

import peewee

from lazu import clock, logs
from lazu.errors import InvalidApiKey
from lazu.store import rows
from lazu.store.rows import Key

PREFIX = "sk-lazu-"
DEFAULT = "default"

_BY_NAME = "SELECT * FROM key WHERE name = ? AND revoked_at IS NULL"
_BY_HASH = "SELECT * FROM key WHERE secret_sha256 = ? AND revoked_at IS NULL"

_BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


log = logging.getLogger(__name__)


class KeyProblem(Exception):
    """What was asked of a key can't be done; the message says why."""


class Keys:
    """The keys of the store; `fixed` is LAZU_API_KEY."""

    def __init__(self, fixed: str | None) -> None:
        self._fixed = _hash(fixed) if fixed else None
        self._noted: dict[int, int] = {}

    def prepare(self) -> None:
        """Have the owner of LAZU_API_KEY from the start."""
        if self._fixed:
            with rows.database.atomic():
                Key.insert(name=DEFAULT, created_at=clock.now()).on_conflict_ignore().execute()

    def authenticate(self, authorization: str | None) -> Key:
        """The active key of an Authorization header; raises `InvalidApiKey`, whatever is wrong with it."""
        match = _BEARER.fullmatch(authorization or "")
        if not match:
            raise InvalidApiKey
        secret = _hash(match[1])
        fixed = self._fixed is not None and hmac.compare_digest(secret, self._fixed)
        key = Key.one(_BY_NAME, DEFAULT) if fixed else Key.one(_BY_HASH, secret)
        if key is None:
            raise InvalidApiKey
        self._note(key)
        return key

    def create(self, name: str, quota: int | None = None) -> str:
        """A new key; gives its secret, which can't be shown again. Raises `KeyProblem`."""
        if not _NAME.fullmatch(name):
            raise KeyProblem("a key's name is 1 to 64 letters, digits and . _ @ -, the first a letter or digit")
        secret = _new_secret()
        try:
            with rows.database.atomic():
                Key.create(name=name, secret_sha256=_hash(secret), created_at=clock.now(), quota_bytes=quota)
        except peewee.IntegrityError as e:
            raise KeyProblem(f"there is a key called '{name}' already; 'flask keys rotate {name}' renews it") from e
        logs.audit("key-created", key=name, quota=quota)
        return secret

    def rotate(self, name: str) -> str:
        """A new secret for an active key, whose files stay; the old one is refused from now on. Raises `KeyProblem`."""
        secret = _new_secret()
        with rows.database.atomic():
            key = self.find(name)
            if key.revoked_at is not None:
                raise KeyProblem(f"the key '{name}' is revoked; create one with another name")
            Key.update(secret_sha256=_hash(secret)).where(Key.id == key.id).execute()
        logs.audit("key-rotated", key=name)
        return secret

    def limit(self, name: str, quota: int | None) -> None:
        """Let a key hold `quota` bytes: 0 for no limit, None for what the setting says. Raises `KeyProblem`."""
        with rows.database.atomic():
            Key.update(quota_bytes=quota).where(Key.id == self.find(name).id).execute()
        logs.audit("key-quota", key=name, quota="default" if quota is None else quota)

    def revoke(self, name: str) -> Key:
        """Refuse a key from now on; its files live until they expire. Revoking twice changes nothing."""
        with rows.database.atomic():
            key = self.find(name)
            if key.revoked_at is None:
                key.revoked_at = clock.now()
                key.save(only=[Key.revoked_at])
                logs.audit("key-revoked", key=name)
        return key

    def find(self, name: str) -> Key:
        """The key called `name`, active or revoked; raises `KeyProblem`."""
        key = Key.get_or_none(Key.name == name)
        if key is None:
            raise KeyProblem(f"there is no key called '{name}'; 'flask keys list' shows them")
        return key

    def all(self) -> Iterator[Key]:
        """Every key, by name."""
        return iter(Key.select().order_by(Key.name))

    def _note(self, key: Key) -> None:
        """Have it written down that `key` was used today, beside the request: one attempt a day and process."""
        today = clock.midnight(clock.now())
        if self._noted.get(key.id) == today:
            return
        self._noted[key.id] = today
        if key.last_used_at is None or clock.midnight(key.last_used_at) != today:
            threading.Thread(target=_write_use, args=(key.id, clock.now()), daemon=True).start()


def _write_use(key_id: int, now: int) -> None:
    """Write the last use of a key, on a connection of this thread's own.

    A request must neither wait for it nor fail by it: a commit takes milliseconds, and seconds when others write.
    """
    try:
        with rows.database:
            Key.update(last_used_at=now).where(Key.id == key_id).execute()
    except peewee.PeeweeException as e:
        log.warning("the last use of a key could not be written: %s", e)


def _new_secret() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
