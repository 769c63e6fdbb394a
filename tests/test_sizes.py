"""Sizes, as people read them."""

from lazu.sizes import words


def test_a_size_is_never_told_as_nothing():
    assert [words(size) for size in (1, 300, 2**10, 1536, 64 * 2**20, 2**30, 2**40 - 1, 3 * 2**39)] == ["1 bytes", "300 bytes", "1 KB", "1.5 KB", "64 MB", "1 GB", "1023.9 GB", "1.5 TB"]
