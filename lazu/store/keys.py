"""Who is calling: API keys, which own files.

A key is 256 random bits, so its SHA-256 needs no salt and no slow hash; only the hash is stored. The key in
LAZU_API_KEY opens the owner `default` as long as the setting stands; it is never stored at all. Clients read their key
from a variable of the same name, so it may hold the secret of another key: then it opens that key, or nothing once that
key is revoked or its secret renewed. For this the hashes of renewed secrets are kept too.
"""

import hashlib
import hmac
import logging
import re
import secrets
import threading
from contextlib import suppress

from lazu import clock, logs
from lazu.errors import ApiError, InvalidApiKey, StoreError
from lazu.store import list_rows, rows
from lazu.store.contents import Engine
from lazu.store.list_rows import Paging, Piece
from lazu.store.tables import File, Key

PREFIX = "sk-lazu-"
DEFAULT = "default"

_BEARER = re.compile(r"bearer +(\S(?:.*\S)?) *", re.IGNORECASE)
#: Hashes of secrets whose owner is remembered.
_REMEMBERED = 10_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")

_CHANGE = "change it in .env or in the environment, and restart Lazu"

log = logging.getLogger(__name__)


class KeyProblem(Exception):
    """A command about a key can't be carried out; the message says why."""


class Keys:
    """The keys of the store; `fixed` is LAZU_API_KEY."""

    def __init__(self, engine: Engine, fixed: str | None) -> None:
        self._engine = engine
        self._setting = _hash(fixed) if fixed else None
        self._is_default: bool | None = None
        self._noted: dict[int, int] = {}
        self._seen: dict[str, int] = {}

    def prepare(self) -> None:
        """Have the owner of LAZU_API_KEY: `default`, unless that is or was the secret of a key of its own."""
        if self._setting:
            is_default = not rows.was_secret(self._setting)
            if is_default and not rows.find_key(DEFAULT):
                self._engine.write(lambda: rows.add_key(DEFAULT, None))
            self._is_default = is_default

    def tell(self) -> None:
        """Say in the log that LAZU_API_KEY opens nothing, if it is so; before `prepare` nobody knows."""
        if self._setting is None or self._is_default is None:
            return
        if not (rows.key_of(rows.by_name(DEFAULT) if self._is_default else rows.by_secret(self._setting))):
            log.warning("LAZU_API_KEY opens nothing: it was revoked or renewed; 'flask keys create' makes another key")

    def authenticate(self, authorization: str | None) -> Key:
        """The active key of an Authorization header; raises `InvalidApiKey`, whatever is wrong with it."""
        return self._admitted(rows.key_of(self._named(authorization)))

    def authenticate_for(self, authorization: str | None, file_id: str) -> tuple[Key, File | None]:
        """The same, and its unexpired file of this id, which has the form of one; both by one question."""
        key, file = rows.key_and_file(self._named(authorization), file_id, clock.now()) or (None, None)
        return self._admitted(key), file

    def authenticate_list(self, authorization: str | None, paging: Paging) -> tuple[Key, Piece | None]:
        """The same, and a piece of its unexpired files; both by one question."""
        key, piece = list_rows.key_and_piece(self._named(authorization), paging, clock.now()) or (None, None)
        return self._admitted(key), piece

    def _named(self, authorization: str | None) -> rows.Named:
        secret = self._secret(authorization)
        return rows.by_name(DEFAULT) if secret is None else rows.by_secret(secret)

    def _secret(self, authorization: str | None) -> str | None:
        """The hash of the secret in a header, None if it opens `default`; raises `InvalidApiKey` if there is none."""
        match = _BEARER.fullmatch(authorization or "")
        if not match:
            raise InvalidApiKey
        secret = _hash(_utf8(match[1]))
        if self._setting is None or not hmac.compare_digest(secret, self._setting):
            return secret
        if self._is_default is None:
            self.prepare()  # the database was away at the start
        return None if self._is_default else secret

    def _admitted(self, key: Key | None) -> Key:
        if key is None:
            raise InvalidApiKey
        self._note(key)
        return key

    def owner(self, authorization: str | None) -> int | None:
        """Whose request it is, as far as shares of the server go: the id of a key, None for everybody without one.

        Costs little when the key was here before; says nothing about whether it may do anything.
        """
        match = _BEARER.fullmatch(authorization or "")
        secret = _hash(match[1]) if match else ""
        if secret and secret not in self._seen:
            with suppress(ApiError, StoreError):
                self._engine.connect()
                self._remember(secret, self.authenticate(authorization).id)
            self._engine.disconnect()  # this request may wait long for a slot
        return self._seen.get(secret)

    def _remember(self, secret: str, key_id: int) -> None:
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        self._seen[secret] = key_id

    def create(self, name: str, quota: int | None = None) -> str:
        """A new key; gives its secret, which can't be shown again. Raises `KeyProblem`."""
        if not _NAME.fullmatch(name):
            raise KeyProblem("a key's name is 1 to 64 letters, digits and . _ @ -, the first a letter or digit")
        secret = _new_secret()
        if not self._engine.write(lambda: rows.add_key(name, _hash(secret), quota)):
            raise KeyProblem(f"there is a key called '{name}' already; {self._cure(self.find(name))}")
        logs.audit("key-created", key=name, quota=quota)
        return secret

    def _cure(self, taken: Key) -> str:
        if taken.revoked_at is not None:
            return "it is revoked; choose another name"
        if self._is_setting(taken):
            return f"its secret is LAZU_API_KEY: {_CHANGE}"
        return f"'flask keys rotate {taken.name}' renews it"

    def _is_setting(self, key: Key) -> bool:
        """Whether LAZU_API_KEY is the secret of `key`, unless that is revoked."""
        secret = None if self._is_default else self._setting
        return self._setting is not None and key.revoked_at is None and key.secret_sha256 == secret

    def rotate(self, name: str) -> str:
        """A new secret for an active key, whose files stay; the old one is refused from now on. Raises `KeyProblem`."""
        key, secret = self.find(name), _new_secret()
        if self._is_setting(key):
            raise KeyProblem(f"the secret of '{name}' is LAZU_API_KEY: {_CHANGE}")
        if not self._engine.write(lambda: rows.renew_key(key, _hash(secret))):
            raise KeyProblem(f"the key '{name}' is revoked; create one with another name")
        logs.audit("key-rotated", key=name)
        return secret

    def limit(self, name: str, quota: int | None) -> None:
        """Let a key hold `quota` bytes: 0 for no limit, None for what the setting says. Raises `KeyProblem`."""
        key = self.find(name)
        self._engine.write(lambda: rows.update_key(key, quota_bytes=quota))
        logs.audit("key-quota", key=name, quota="default" if quota is None else quota)

    def revoke(self, name: str) -> Key:
        """Refuse a key from now on; its files live until they expire. Revoking twice changes nothing."""
        key = self.find(name)
        # A full disk must not keep a key alive.
        if self._engine.write(lambda: rows.update_active_key(key, revoked_at=clock.now()), frees=True):
            logs.audit("key-revoked", key=name)
        else:
            self._engine.confirm(lambda: self.find(name).revoked_at is not None)
        return key

    def find(self, name: str) -> Key:
        """The key called `name`, active or revoked; raises `KeyProblem`."""
        key = rows.find_key(name)
        if key is None:
            raise KeyProblem(f"there is no key called '{name}'; 'flask keys list' shows them")
        return key

    def _note(self, key: Key) -> None:
        """Have it written down that `key` was used today, beside the request: one attempt a day and process."""
        today = clock.midnight(clock.now())
        if self._noted.get(key.id) == today:
            return
        self._noted[key.id] = today
        if key.last_used_at is None or clock.midnight(key.last_used_at) != today:
            with suppress(RuntimeError):  # no thread left: nobody needs to know
                threading.Thread(target=self._write_use, args=(key, clock.now()), daemon=True).start()

    def _write_use(self, key: Key, now: int) -> None:
        """Write the last use of a key, on a connection of this thread's own.

        A request must neither wait for it nor fail by it: a commit takes milliseconds, and seconds when others write.
        """
        try:
            with self._engine.connected():
                self._engine.write(lambda: rows.update_key(key, last_used_at=now))
        except (ApiError, OSError, StoreError) as e:  # the storage was moved away, no descriptor is left
            log.warning("the last use of a key could not be written: %s", e)


def _new_secret() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def _utf8(header: str) -> str:
    """Decode a header, which WSGI gives as Latin-1, as the UTF-8 that the client sent (PEP 3333)."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
