#!/usr/bin/env python3
"""Writes quant/grid_iq1.cc, grid_iq2.cc and grid_iq3.cc.

The codebooks of the IQ formats are learnt from what the reference decoder of
ggml, the library that defined the formats, makes of blocks that name every
index once, with scales of one. See record_golden.py for where to get it:

  tests/quant/record_grids.py package/bins/linux-x64/libggml-base.so
"""
import ctypes
import pathlib
import struct
import sys

HALF_ONE, HALF_EIGHT, HALF_FOUR = 0x3C00, 0x4800, 0x4400
IQ2_LEVELS = {8: 0, 25: 1, 43: 2}
IQ3_XXS_LEVELS = {4: 0, 12: 1, 20: 2, 28: 3, 36: 4, 44: 5, 52: 6, 62: 7}
IQ3_S_LEVELS = {level: i for i, level in enumerate(range(1, 16, 2))}


def iq1_s(first):
    indices = range(first, first + 32)
    high = [sum((indices[4 * k + i] >> 8) << 3 * i for i in range(4)) for k in range(8)]
    return struct.pack("<H32B8H", HALF_ONE, *(i & 255 for i in indices), *high)


def iq2_xxs(first):
    words = []
    for k in range(8):
        words += [sum((first + 4 * k + i & 255) << 8 * i for i in range(4)), 0]
    return struct.pack("<H16I", HALF_EIGHT, *words)


def iq2_xs(first):
    return struct.pack("<H32H8x", HALF_EIGHT, *range(first, first + 32))


def iq2_s(first):
    indices = range(first, first + 32)
    high = [sum((indices[4 * k + i] >> 8) << 2 * i for i in range(4)) for k in range(8)]
    return struct.pack("<H32B32x8B8x", HALF_EIGHT, *(i & 255 for i in indices), *high)


def iq3_xxs(first):
    return struct.pack("<H64B32x", HALF_FOUR, *(first + i & 255 for i in range(64)))


def iq3_s(first):
    indices = range(first, first + 64)
    high = [sum((indices[8 * k + i] >> 8) << i for i in range(8)) for k in range(8)]
    return struct.pack("<H64B8B32x4x", HALF_ONE, *(i & 255 for i in indices), *high)


# file: [(name, type, maker of a block, entries, columns, code of a value)]
FILES = {
    "grid_iq1.cc": [("Iq1", "iq1_s", iq1_s, 2048, 8, lambda v: int(v - 0.125) + 1)],
    "grid_iq2.cc": [
        ("Iq2Xxs", "iq2_xxs", iq2_xxs, 256, 8, IQ2_LEVELS.__getitem__),
        ("Iq2Xs", "iq2_xs", iq2_xs, 512, 8, IQ2_LEVELS.__getitem__),
        ("Iq2S", "iq2_s", iq2_s, 1024, 8, IQ2_LEVELS.__getitem__),
    ],
    "grid_iq3.cc": [
        ("Iq3Xxs", "iq3_xxs", iq3_xxs, 256, 4, IQ3_XXS_LEVELS.__getitem__),
        ("Iq3S", "iq3_s", iq3_s, 512, 4, IQ3_S_LEVELS.__getitem__),
    ],
}


def entries_of(library, kind, block, entries, columns, code):
    decode = library["dequantize_row_" + kind]
    values = (ctypes.c_float * 256)()
    bits = 2 if columns == 8 else 3
    packed = []
    for first in range(0, entries, 256 // columns):
        decode(block(first), values, ctypes.c_int64(256))
        for i in range(256 // columns):
            entry = [code(v) for v in values[columns * i:columns * (i + 1)]]
            packed.append(sum(c << bits * j for j, c in enumerate(entry)))
    return packed, bits


def blocks_of_all_entries(type_name):
    """Blocks of a type that name each entry of its codebook once, if it has one."""
    for tables in FILES.values():
        for _, kind, block, entries, columns, _ in tables:
            if kind == type_name:
                return [block(first) for first in range(0, entries, 256 // columns)]
    return []


def main():
    library = ctypes.CDLL(sys.argv[1])
    folder = pathlib.Path(__file__).parents[2] / "quant"
    for file, tables in FILES.items():
        lines = ["// Written by tests/quant/record_grids.py: see grid.h.",
                 '#include "quant/grid.h"', "", "namespace mlad {"]
        for name, kind, block, entries, columns, code in tables:
            packed, bits = entries_of(library, kind, block, entries, columns, code)
            lines += ["namespace {", "",
                      f"constexpr std::array<uint16_t, {entries}> k{name}Codes = {{"]
            for i in range(0, entries, 9):
                row = ", ".join(f"0x{p:04X}" for p in packed[i:i + 9])
                lines.append(f"    {row}" + ("};" if i + 9 >= entries else ","))
            lines += ["", "}  // namespace", ""]
            lines += [f"constinit const GridTable<{entries}> k{name}Grid =",
                      f"    MakeGridTable<{bits}>(k{name}Codes);", ""]
        lines += ["}  // namespace mlad", ""]
        (folder / file).write_text("\n".join(lines))


if __name__ == "__main__":
    main()
