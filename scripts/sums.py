"""Write the sums of what a release consists of, and sign them with an SSH key.

python scripts/sums.py dist [--key FILE]

`SHA256SUMS` lists every file of the folder by its SHA-256, as `sha256sum` does, and `SHA256SUMS.sig` is the
signature of that list in the namespace `gustibus`. Whoever has the public key checks both without
anything of gustibus: docs/releasing.md has the two commands.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from pathlib import Path

NAMESPACE = "gustibus"
SUMS, SIGNATURE = "SHA256SUMS", "SHA256SUMS.sig"


def sums(folder: Path) -> str:
    """A line for each file, in the order of their names.

    Raises:
        SystemExit: there is no such folder, or nothing in it.
    """
    if not folder.is_dir():
        sys.exit(f"folder: expected a folder, got {folder}")
    files = sorted(path for path in folder.iterdir() if path.name not in {SUMS, SIGNATURE})
    odd = [path.name for path in files if not path.is_file() or "\n" in path.name]
    if odd:
        sys.exit(f"folder: expected files alone, got {odd[0]!r}")
    if not files:
        sys.exit(f"folder: {folder} is empty; build the wheel first")
    return "".join(f"{_digest(path)}  {path.name}\n" for path in files)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sign(sums: Path, key: Path) -> None:
    """Sign the list; a signature of before is replaced.

    Raises:
        SystemExit: there is no such key, or it could not be used.
    """
    if not key.is_file():
        sys.exit(f"--key: expected the file of an SSH key, got {key}")
    sums.with_name(SIGNATURE).unlink(missing_ok=True)  # it would be asked about
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(sums)]
    try:
        subprocess.run(command, check=True)
    except FileNotFoundError:
        sys.exit("ssh-keygen is not here; it comes with OpenSSH")
    except subprocess.CalledProcessError as error:
        sys.exit(f"--key: {key} could not be used ({error.returncode})")


def main() -> None:
    """Write and sign."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="what the release consists of")
    parser.add_argument("--key", type=Path, help="private SSH key; without one nothing is signed")
    given = parser.parse_args()
    text = sums(given.folder)
    path = given.folder / SUMS
    path.with_name(SIGNATURE).unlink(missing_ok=True)  # of another list
    path.write_text(text, encoding="utf-8")
    if given.key is not None:
        sign(path, given.key)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
