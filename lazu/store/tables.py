"""The tables, as Peewee's models, and the file object that the API makes of a row.

They are bound to `database`, which the engine that is opened fills (`sqlite`, `postgresql`).
"""

import json
from collections.abc import Iterable
from functools import cache
from typing import Any, Self

import peewee

database: Any = peewee.DatabaseProxy()


class _Row(peewee.Model):
    class Meta:
        database = database
        legacy_table_names = False

    @classmethod
    def one(cls, condition: str, *values: object) -> Self | None:
        """The first row for which `condition` holds, the end of an SQL text, with `values` for its `?`; or None.

        For the look-ups of every request: Peewee takes 160 µs to build such a text each time, SQLite 5 to answer it.
        """
        rows = database.look_up(f"SELECT {columns(cls)} FROM {_name(cls)} WHERE {condition}", values)  # noqa: S608 - ours
        return cls.of(rows[0]) if rows else None

    @classmethod
    def of(cls, values: Iterable[object]) -> Self:
        """The row of which these are all `columns`: a dozen calls of `setattr` less than Peewee makes."""
        row = cls(__no_default__=True)
        row.__data__.update(zip(_fields(cls), values, strict=True))
        return row


@cache
def _fields(table: type[_Row]) -> list[str]:
    return [field.name for field in table._meta.sorted_fields]  # noqa: SLF001 - Peewee's way to ask a model


@cache
def names(table: type[_Row]) -> list[str]:
    """The names of the columns of a table, in the order of `columns`."""
    return [field.column_name for field in table._meta.sorted_fields]  # noqa: SLF001 - Peewee's way to ask a model


def _name(table: type[_Row]) -> str:
    name: str = table._meta.table_name  # noqa: SLF001
    return name


@cache
def columns(table: type[_Row]) -> str:
    """The columns of a table, for a text of SQL."""
    return ", ".join(f"{_name(table)}.{name}" for name in names(table))


class Key(_Row):
    """An API key: the owner of files. `secret_sha256` is None when only LAZU_API_KEY opens it."""

    id = peewee.AutoField()
    name = peewee.TextField(unique=True)
    secret_sha256 = peewee.TextField(null=True, unique=True)
    created_at = peewee.IntegerField()
    revoked_at = peewee.IntegerField(null=True)
    last_used_at = peewee.IntegerField(null=True)
    quota_bytes = peewee.IntegerField(null=True)


class File(_Row):
    """A file of a key: a name for the bytes of one blob, until `expires_at`."""

    id = peewee.TextField(primary_key=True)
    key = peewee.ForeignKeyField(Key)
    sha256 = peewee.TextField()
    bytes = peewee.IntegerField()
    filename = peewee.TextField()
    purpose = peewee.TextField()
    content_type = peewee.TextField()
    created_at = peewee.IntegerField()
    expires_at = peewee.IntegerField()

    def as_json(self) -> dict[str, Any]:
        """The file object of the API."""
        return {name: field.get("const") or self.__data__[name] for name, field in FILE_OBJECT.items()}


class Upload(_Row):
    """A file that comes in parts: the file that it is to become, and how it ended.

    It is pending until it is cancelled, or completed: then it knows its file, and by `completion`, a hash of the parts
    in their order, whether it is asked for the same again.
    """

    id = peewee.TextField(primary_key=True)
    key = peewee.ForeignKeyField(Key)
    bytes = peewee.IntegerField()
    filename = peewee.TextField()
    purpose = peewee.TextField()
    lifetime = peewee.IntegerField(null=True)
    created_at = peewee.IntegerField()
    expires_at = peewee.IntegerField()
    cancelled_at = peewee.IntegerField(null=True)
    file_id = peewee.TextField(null=True)
    completion = peewee.TextField(null=True)

    @property
    def status(self) -> str:
        """`pending`, `completed` or `cancelled`."""
        if self.file_id is not None:
            return "completed"
        return "pending" if self.cancelled_at is None else "cancelled"


class UploadPart(_Row):
    """A piece of an upload: it refers to one blob, as a file does."""

    upload_id: str

    id = peewee.TextField(primary_key=True)
    upload = peewee.ForeignKeyField(Upload)
    sha256 = peewee.TextField()
    bytes = peewee.IntegerField()
    created_at = peewee.IntegerField()


class Purge(_Row):
    """One run of the purge: when, and how many files, blobs and bytes it removed."""

    id = peewee.AutoField()
    started_at = peewee.IntegerField()
    finished_at = peewee.IntegerField()
    files = peewee.IntegerField()
    blobs = peewee.IntegerField()
    bytes = peewee.IntegerField()


def tuples(query: Any) -> list[tuple[Any, ...]]:
    """The result of a query as plain tuples."""
    return list(query.tuples())


#: The file object, field by field in its order: its JSON schema, whose `const` is the value where no column holds it.
#: docs/api.md and openapi.json are made from it (`scripts/reference`), lists and single objects too.
FILE_OBJECT: dict[str, dict[str, Any]] = {
    "id": {"type": "string", "pattern": "^file-lazu-[0-7][0-9A-HJKMNP-TV-Z]{25}$", "description": "a ULID"},
    "object": {"type": "string", "const": "file", "description": "what it is"},
    "bytes": {"type": "integer", "minimum": 1, "description": "its size"},
    "created_at": {"type": "integer", "description": "Unix seconds; also the time in the id"},
    "expires_at": {"type": "integer", "description": "Unix seconds; from then on it is gone for every endpoint"},
    "filename": {"type": "string", "minLength": 1, "description": "its cleaned name, at most 255 bytes of UTF-8"},
    "purpose": {"type": "string", "description": "what it is for"},
    "status": {"type": "string", "const": "processed", "description": "always so: a file that is there is whole"},
}


def _written(name: str, field: dict[str, Any]) -> str:
    start = f"{json.dumps(name)}:"
    if "const" in field:
        return f"'{start}{json.dumps(field['const'])}'"
    if "pattern" in field:  # of characters that stand for themselves
        return f"'{start}\"' || {name} || '\"'"
    return f"'{start}' || {name if field['type'] == 'integer' else f'json_quote({name})'}"


_MEMBERS = " || ',' || ".join(_written(*field) for field in FILE_OBJECT.items())
#: The object of a row of `file` as JSON, as SQL: a database writes a list faster than it gives the rows.
OBJECT_JSON = f"'{{' || {_MEMBERS} || '}}'".replace("' || '", "")
#: How each object begins; no value has this text in it, for there quotes are escaped.
OBJECT_START = '{"id":"'
