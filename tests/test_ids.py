"""Ids: nobody guesses one, and their order is that of time."""

from lazu import ids


def test_every_random_character_of_an_id_may_be_any():
    """80 bits (docs/security.md): two ids of one millisecond have only their time in common."""
    made = [ids.new_ulid(1_779_587_764_000) for _ in range(1000)]
    columns = [set(column) for column in zip(*made, strict=True)]
    assert [len(column) for column in columns] == [1] * 10 + [32] * 16


def test_ids_sort_by_time():
    times = [0, 1, 31, 32, 1023, 1024, 1_779_587_764_000, 2**48 - 1]
    made = [ids.new_file_id(milliseconds) for milliseconds in times]
    assert made == sorted(made)
    assert all(map(ids.is_file_id, made))
