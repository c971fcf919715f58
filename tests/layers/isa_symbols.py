#!/usr/bin/env python3
"""Checks the symbols of objects that are compiled for one instruction set.

The linker keeps one copy of every inline function and template instance. If it
keeps the copy of an object compiled for AVX-512, the program crashes on a CPU
without it, far from any kernel. So these objects may define nothing but their
table, functions of the namespace mlad::avx2, mlad::avx512 or mlad::amx, and
local symbols;
and no static initialiser, which would run on every CPU.

  isa_symbols.py NM ARCHIVE      the archive with the objects avx2_*, avx512_*, amx_*
"""
import re
import subprocess
import sys

ISA_OBJECT = re.compile(r"^(avx2|avx512|amx)_\w+\.cc\.o$")
TABLES = {"avx2": "mlad::kAvx2Kernels", "avx512": "mlad::kAvx512Kernels"}  # AMX has none of its own


def defined_symbols(nm, archive):
    """(object, kind, name) of every symbol that the archive defines."""
    text = subprocess.run([nm, "--defined-only", "--demangle", archive],
                          check=True, capture_output=True, text=True).stdout
    current = ""
    for line in text.splitlines():
        if line.endswith(".o:"):
            current = line[:-1]
        elif line.strip():
            _, kind, name = line.split(" ", 2)
            yield current, kind, name


def is_allowed(isa, kind, name):
    if name.startswith("_GLOBAL__sub_I_"):
        return False  # a static initialiser
    if kind.islower() and kind not in "uvw":
        return True  # local
    if kind in "uvwVW":
        return False  # merged with other objects' copies
    return name == TABLES.get(isa) or name.startswith(f"mlad::{isa}::")


def main():
    nm, archive = sys.argv[1:]
    objects, bad = set(), []
    for name, kind, symbol in defined_symbols(nm, archive):
        match = ISA_OBJECT.match(name)
        if match is None:
            continue
        objects.add(name)
        if not is_allowed(match.group(1), kind, symbol):
            bad.append(f"{name}: {kind} {symbol}")
    print(f"{len(objects)} objects compiled for one instruction set")
    for line in bad:
        print(line)
    if bad:
        print("Against the rules of kernels/kernel_tables.h.")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
