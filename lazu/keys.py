"""Who is calling: API keys, which own files.

A key is 256 random bits, so its SHA-256 needs no salt and no slow hash; only the hash is stored. The key in
LAZU_API_KEY opens the owner `default` as long as the setting stands; it is never stored at all.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator

import peewee

from lazu import clock, models
from lazu.errors import InvalidApiKey
from lazu.models import Key

PREFIX = "sk-lazu-"
DEFAULT = "default"

_BY_NAME = "SELECT * FROM key WHERE name = ? AND revoked_at IS NULL"
_BY_HASH = "SELECT * FROM key WHERE secret_sha256 = ? AND revoked_at IS NULL"

_BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


class KeyProblem(Exception):
    """What was asked of a key can't be done; the message says why."""


class Keys:
    """The keys of the store; `fixed` is LAZU_API_KEY."""

    def __init__(self, fixed: str | None) -> None:
        self._fixed = _hash(fixed) if fixed else None

    def prepare(self) -> None:
        """Have the owner of LAZU_API_KEY from the start."""
        if self._fixed:
            with models.database.atomic():
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
        return key

    def create(self, name: str, quota: int | None = None) -> str:
        """A new key; gives its secret, which can't be shown again. Raises `KeyProblem`."""
        if not _NAME.fullmatch(name):
            raise KeyProblem("a key's name is 1 to 64 letters, digits and . _ @ -, the first a letter or digit")
        secret = _new_secret()
        try:
            with models.database.atomic():
                Key.create(name=name, secret_sha256=_hash(secret), created_at=clock.now(), quota_bytes=quota)
        except peewee.IntegrityError as e:
            raise KeyProblem(f"there is a key called '{name}' already; 'flask keys rotate {name}' renews it") from e
        return secret

    def rotate(self, name: str) -> str:
        """A new secret for an active key, whose files stay; the old one is refused from now on. Raises `KeyProblem`."""
        secret = _new_secret()
        with models.database.atomic():
            key = self.find(name)
            if key.revoked_at is not None:
                raise KeyProblem(f"the key '{name}' is revoked; create one with another name")
            Key.update(secret_sha256=_hash(secret)).where(Key.id == key.id).execute()
        return secret

    def revoke(self, name: str) -> Key:
        """Refuse a key from now on; its files live until they expire. Revoking twice changes nothing."""
        with models.database.atomic():
            key = self.find(name)
            if key.revoked_at is None:
                key.revoked_at = clock.now()
                key.save(only=[Key.revoked_at])
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


def _new_secret() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
