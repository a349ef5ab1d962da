#!/usr/bin/env python3
"""Fail if an object file defines a weak symbol.

The kernels are compiled once per instruction set. A weak symbol in one of these objects
(an inline function of a header, a template instance) may be the copy that the linker
keeps for the whole program, and then code for any CPU calls into, say, AVX-512.

    check_weak_symbols.py [--nm NM] OBJECT...
"""

import argparse
import subprocess
import sys

# nm's letters for symbols of which the linker keeps one copy: weak functions, weak
# objects, and GNU's "unique" ones. In lower case, w and v are undefined, hence
# harmless, and left out by --defined-only.
WEAK = {"W", "V", "u"}


def weak_symbols(nm: str, path: str) -> list[str]:
    """Return the names of the weak symbols that the object file defines."""
    command = [nm, "--defined-only", "--demangle", path]
    listing = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    symbols = [line.split(maxsplit=2) for line in listing.stdout.splitlines()]
    if not symbols:
        raise SystemExit(f"{path}: no symbols at all; is it an object file?")
    return [name for _, kind, name in symbols if kind in WEAK]


def main() -> int:
    parser = argparse.ArgumentParser(description="Fail on objects with weak symbols.")
    parser.add_argument("--nm", default="nm", help="the nm to use")
    parser.add_argument("objects", nargs="+", metavar="OBJECT")
    options = parser.parse_args()

    found = [
        f"{path}: weak symbol {name}"
        for path in options.objects
        for name in weak_symbols(options.nm, path)
    ]
    print("\n".join(found) or f"no weak symbol in {len(options.objects)} objects")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
