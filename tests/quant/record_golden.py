#!/usr/bin/env python3
"""Records golden/TYPE.bin for quant_dequantize_test: blocks and what they mean.

Every file holds BLOCKS random blocks of one tensor type and then their values
as float32, computed by the reference decoder of ggml, the library that defined
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
}


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
            data += block
        values = (ctypes.c_float * (elements * BLOCKS))()
        decode = library["dequantize_row_" + name]
        decode(bytes(data), values, ctypes.c_int64(len(values)))
        (folder / f"{name}.bin").write_bytes(bytes(data) + bytes(values))


if __name__ == "__main__":
    main()
