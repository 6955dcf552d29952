"""Fuzzes a core that watches its memory: `python -m tests.fuzz.sanitized --seconds 600`.

The extension is compiled apart with AddressSanitizer, debug assertions and checks of overflow, and
takes the place of the usual one in the fuzzers of the exports and of the parsers. Python's own
objects come from the sanitizer's allocator too, so that a read past the end of an array or of bytes
is told as one past the end of the core's own memory is. A planted read past the end comes first: a
run that does not report it is worth nothing, and ends there.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "target" / "sanitized"
FUZZERS = {"exports": "tests.fuzz", "parsers": "tests.fuzz.parsers"}
FLAGS = (
    "-Zsanitizer=address -Cdebug-assertions=on -Coverflow-checks=on "
    "-Cforce-frame-pointers=yes -Cdebuginfo=line-tables-only"
)
#: Sizes that no memory holds are an error as they are without; what other libraries leak, define
#: twice or free otherwise than they took it is theirs.
WATCH = (
    "detect_leaks=0:allocator_may_return_null=1:detect_odr_violation=0:alloc_dealloc_mismatch=0:"
    "print_legend=0"
)
SLOWER = 5
"""Factor of the limits of time; a case takes two to four times as long."""
PLANTED = """
import ctypes, sys
import numpy as np
read = ctypes.CDLL(sys.argv[1]).value_at
read.restype, read.argtypes = ctypes.c_double, [ctypes.c_void_p, ctypes.c_size_t]
values = np.arange(1000.0)
print("within", read(values.ctypes.data, 999), flush=True)
print("past", read(values.ctypes.data, 1000), flush=True)
"""


class MissingError(Exception):
    """What the machine lacks, or what does not work on it."""


def main() -> int:
    """Builds, proves that the sanitizer works, and fuzzes; 1 where a case failed, 2 where it cannot."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.sanitized", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="of each fuzzer")
    parser.add_argument("--seed", type=int, default=0, help="number of the first case")
    parser.add_argument("--only", choices=sorted(FUZZERS), help="this fuzzer alone")
    options = parser.parse_args()
    try:
        runtime = sanitizer()
        where = environment(runtime, packed(compiled()))
        prove(where)
    except MissingError as error:
        print(f"cannot fuzz under a sanitizer: {error}")
        return 2
    failed = False
    for name in [options.only] if options.only else FUZZERS:
        print(f"{name}:", flush=True)
        command = [sys.executable, "-m", FUZZERS[name], "--seconds", str(options.seconds)]
        command += ["--seed", str(options.seed)]
        failed |= subprocess.run(command, cwd=ROOT, env=where, check=False).returncode != 0
    return int(failed)


def sanitizer() -> list[Path]:
    """The libraries that processes are started with: the runtime, and what it looks for at once.

    Of C++ it takes over how errors are thrown, which libraries that come later may do.

    Raises:
        MissingError: says what to install.
    """
    if not sys.platform.startswith("linux"):
        message = "it needs Linux, where a library can be loaded before all others"
        raise MissingError(message)
    for name in ("cargo", "gcc"):
        if shutil.which(name) is None:
            message = f"no {name} on the PATH"
            raise MissingError(message)
    names = ("libasan.so", "libstdc++.so.6")
    found = [Path(output("gcc", f"-print-file-name={name}")) for name in names]
    for path in found:
        if not path.is_absolute():
            message = (
                f"gcc has no {path} (Debian: libasan8, libstdc++6; Fedora: libasan, libstdc++)"
            )
            raise MissingError(message)
    return [path.resolve() for path in found]


def compiled() -> Path:
    """The extension under the sanitizer; compiled anew where a source changed.

    Raises:
        MissingError: the compiler refuses.
    """
    target = host()
    command = ["cargo", "build", "--release", "--quiet", "--target", target, "-p", "gustibus-py",
               "--features", "pyo3/extension-module"]  # fmt: skip
    settings = rust_environment() | {
        "CARGO_TARGET_DIR": str(FOLDER / "cargo"),
        "CARGO_PROFILE_RELEASE_LTO": "off",  # half the time, and as good
        "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
    }
    if subprocess.run(command, cwd=ROOT, env=settings, check=False).returncode != 0:
        message = f"{' '.join(command)} failed with RUSTFLAGS={FLAGS!r}"
        raise MissingError(message)
    library = FOLDER / "cargo" / target / "release" / "lib_core.so"
    if b"__asan_report_load8" not in library.read_bytes():
        message = f"{library} does not call the sanitizer"
        raise MissingError(message)
    return library


def packed(library: Path) -> Path:
    """A folder with the package as it is but for its extension, which is `library`."""
    folder = FOLDER / "python"
    shutil.rmtree(folder, ignore_errors=True)
    package = folder / "gustibus"
    package.mkdir(parents=True)
    for path in (ROOT / "python" / "gustibus").iterdir():
        if path.suffix != ".so" and path.name != "__pycache__":
            (package / path.name).symlink_to(path)
    shutil.copy(library, package / "_core.abi3.so")
    return folder


def environment(runtime: list[Path], package: Path) -> dict[str, str]:
    """What a process of the fuzzers is started with."""
    return dict(os.environ) | {
        "LD_PRELOAD": ":".join(map(str, runtime)),
        "ASAN_OPTIONS": WATCH,
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str(package),
        "GUSTIBUS_FUZZ_SLOWER": str(SLOWER),
    }


def prove(where: dict[str, str]) -> None:
    """Has a planted read past the end reported, and the extension under test loaded.

    Raises:
        MissingError: one of them fails.
    """
    planted = FOLDER / "libplanted.so"
    command = ["rustc", "--edition", "2024", "-O", "--crate-type", "cdylib", *FLAGS.split(),
               "-o", str(planted), str(Path(__file__).with_name("planted.rs"))]  # fmt: skip
    made = subprocess.run(
        command, env=rust_environment(), capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        message = f"{' '.join(command)} failed:\n{made.stderr}"
        raise MissingError(message)
    seen = python(where, PLANTED, str(planted))
    told = "heap-buffer-overflow" in seen.stderr and "value_at" in seen.stderr
    if seen.returncode == 0 or not told or seen.stdout.split() != ["within", "999.0"]:
        message = f"a planted read past the end was not reported:\n{seen.stdout}{seen.stderr}"
        raise MissingError(message)
    seen = python(where, "from gustibus import _core; print(_core.__file__)")
    if not seen.stdout.startswith(str(FOLDER)):
        message = f"the extension cannot be loaded:\n{seen.stdout}{seen.stderr}"
        raise MissingError(message)
    print("a planted read past the end of an array is reported")


def python(where: dict[str, str], code: str, *given: str) -> subprocess.CompletedProcess[str]:
    """Some code in a process of its own."""
    command = [sys.executable, "-c", code, *given]
    return subprocess.run(
        command, cwd=ROOT, env=where, capture_output=True, text=True, timeout=300, check=False
    )


def rust_environment() -> dict[str, str]:
    """For a stable compiler, which knows sanitizers and hides them."""
    return dict(os.environ) | {"RUSTC_BOOTSTRAP": "1", "RUSTFLAGS": FLAGS}


def host() -> str:
    """Name of this machine's target: flags must not reach what is compiled for the build itself."""
    found = re.search(r"^host: (\S+)$", output("rustc", "-vV"), re.MULTILINE)
    assert found is not None, "rustc tells its host"
    return found[1]


def output(*command: str) -> str:
    """What a command prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
