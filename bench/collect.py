"""Fill a folder with documents of public test collections: python -m bench.collect CLONES FOLDER ENDING...

`collections.tsv` names the repositories, and the commits that docs/performance.md tells of. CLONES holds a clone of
each, whole or bare, at `owner+name` or `owner+name/repo`; one that is not there is left out. Every different file of
these endings comes to `FOLDER/ENDING/`, but those of less than 300 bytes, which are no documents.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

LIST = Path(__file__).with_name("collections.tsv")
LEAST = 300


def main(clones: str, folder: str, *endings: str) -> None:
    """Copy the files, and say how many came from where."""
    seen: set[str] = set()
    for line in LIST.read_text().splitlines():
        name, commit = line.split("\t")
        place = Path(clones) / name.replace("/", "+")
        clone = place / "repo" if (place / "repo").exists() else place
        if not clone.exists():
            print(f"{name}: not there")
            continue
        new = {
            blob: path
            for path, blob in listed(clone, commit)
            if path.suffix[1:].lower() in endings and blob not in seen
        }
        for blob, path in new.items():
            target = Path(folder) / path.suffix[1:].lower() / f"{name.split('/')[1]}-{blob[:6]}-{path.name}"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(git(clone, "cat-file", "blob", blob))
        seen |= set(new)
        print(f"{name}: {len(new)}")


def listed(clone: Path, commit: str) -> Iterator[tuple[Path, str]]:
    """Give the path and the object name of each file of a commit that is there and large enough."""
    for line in git(clone, "ls-tree", "-rlz", commit).decode().split("\0")[:-1]:
        what, _, path = line.partition("\t")
        _, kind, blob, size = what.split()
        if kind == "blob" and size.isdigit() and int(size) >= LEAST:  # of a shallow clone some are BAD
            yield Path(path), blob


def git(clone: Path, *words: str) -> bytes:
    """Return what git says."""
    return subprocess.run(["git", "-C", clone, *words], check=True, capture_output=True).stdout


if __name__ == "__main__":
    main(*sys.argv[1:])
