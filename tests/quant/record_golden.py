#!/usr/bin/env python3
"""Records golden/TYPE.bin for quant_dequantize_test: blocks and what they mean.

Every file holds BLOCKS random blocks of one tensor type, for types with a
codebook blocks that name each of its entries once, and then their values as
float32, computed by the reference decoder of ggml, the library that defined
the types (MIT licence). Any build of its base library will do, for example
the one in npm's package @node-llama-cpp/linux-x64:

  npm pack @node-llama-cpp/linux-x64 && tar xzf node-llama-cpp-linux-x64-*.tgz
  tests/quant/record_golden.py package/bins/linux-x64/libggml-base.so
"""
import ctypes
import pathlib
import random
import struct
import sys

import record_grids

BLOCKS = 3
# name: (elements, bytes, offsets of the f16 fields)
TYPES = {
    "q4_0": (32, 18, [0]),
    "q4_1": (32, 20, [0, 2]),
    "q5_0": (32, 22, [0]),
    "q5_1": (32, 24, [0, 2]),
    "q8_0": (32, 34, [0]),
    "iq4_nl": (32, 18, [0]),
    "q2_K": (256, 84, [80, 82]),
    "q3_K": (256, 110, [108]),
    "q4_K": (256, 144, [0, 2]),
    "q5_K": (256, 176, [0, 2]),
    "q6_K": (256, 210, [208]),
    "iq4_xs": (256, 136, [0]),
    "iq1_s": (256, 50, [0]),
    "iq1_m": (256, 56, []),
    "iq2_xxs": (256, 66, [0]),
    "iq2_xs": (256, 74, [0]),
    "iq2_s": (256, 82, [0]),
    "iq3_xxs": (256, 98, [0]),
    "iq3_s": (256, 110, [0]),
    "mxfp4": (32, 17, []),
}


def put_other_scales(name, rng, block):
    """Scales that are not f16 fields: of any size, but finite."""
    if name == "iq1_m":  # the top nibbles of four words are an f16
        half, = struct.unpack("<H", struct.pack("<e", rng.gauss(0, 0.01)))
        for k in range(4):
            top = 48 + 2 * k + 1
            block[top] = block[top] & 15 | (half >> 4 * k & 15) << 4
    elif name == "mxfp4":
        block[0] = rng.choice([0, 1, 2, 3, rng.randrange(100, 150), 250])


def main():
    library = ctypes.CDLL(sys.argv[1])
    folder = pathlib.Path(__file__).parent / "golden"
    folder.mkdir(exist_ok=True)
    for name, (elements, size, halves) in TYPES.items():
        rng = random.Random(name)
        data = bytearray()
        for _ in range(BLOCKS):
            block = bytearray(rng.randbytes(size))
            for offset in halves:
                struct.pack_into("<e", block, offset, rng.gauss(0, 0.01))
            put_other_scales(name, rng, block)
            data += block
        for block in record_grids.blocks_of_all_entries(name):
            data += block
        values = (ctypes.c_float * (elements * (len(data) // size)))()
        decode = library["dequantize_row_" + name]
        decode(bytes(data), values, ctypes.c_int64(len(values)))
        (folder / f"{name}.bin").write_bytes(bytes(data) + bytes(values))


if __name__ == "__main__":
    main()
