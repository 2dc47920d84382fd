#!/usr/bin/env python3
"""Reads the codebooks of the IQ formats out of ggml's own decoders and writes them as iq1grid.h, iq2grid.h, iq3grid.h.

    npm ci --prefix tests/judge
    core/formats/make_codebooks.py tests/judge/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/libggml-base.so

Every block that is decoded has a scale of one and no signs, and as indices the next few of the codebook.
"""
import ctypes
import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SPDX = "// Written by make_codebooks.py, which says how to renew it.\n"


def half(x):
    return struct.pack("<e", x)


def decoded(library, name, blocks, count):
    out = (ctypes.c_float * count)()
    function = getattr(library, "dequantize_row_" + name)
    function.argtypes = [ctypes.c_char_p, ctypes.POINTER(ctypes.c_float), ctypes.c_int64]
    function(blocks, out, count)
    return list(out)


def iq2_xxs(indices):  # x = d * (0.5 + s) / 4 * grid: d = 8, s = 0
    return half(8) + b"".join(bytes(indices[i:i + 4]) + bytes(4) for i in range(0, 32, 4))


def iq2_xs(indices):
    return half(8) + struct.pack("<32H", *indices) + bytes(8)


def iq2_s(indices):
    low = bytes(i & 255 for i in indices)
    high = bytes(sum((indices[4 * b + k] >> 8) << (2 * k) for k in range(4)) for b in range(8))
    return half(8) + low + bytes(32) + high + bytes(8)


def iq3_xxs(indices):  # x = d * (0.5 + s) / 2 * grid: d = 4, s = 0
    return half(4) + bytes(indices) + bytes(32)


def iq3_s(indices):  # x = d * (1 + 2 s) * grid
    low = bytes(i & 255 for i in indices)
    high = bytes(sum((indices[8 * b + k] >> 8) << k for k in range(8)) for b in range(8))
    return half(1) + low + high + bytes(32) + bytes(4)


def iq1_s(indices):  # x = d * (2 s + 1) * (grid + 1/8)
    low = bytes(i & 255 for i in indices)
    high = [sum((indices[4 * b + k] >> 8) << (3 * k) for k in range(4)) for b in range(8)]
    return half(1) + low + struct.pack("<8H", *high)


def codebook(library, name, block, entries, length, shift=0.0):
    per_block = 256 // length
    blocks = b"".join(block(list(range(first, first + per_block))) for first in range(0, entries, per_block))
    values = decoded(library, name, blocks, entries * length)
    values = [v - shift for v in values]
    assert all(v == int(v) for v in values), name
    return [[int(v) for v in values[i:i + length]] for i in range(0, len(values), length)]


def table(comment, name, entries, levels, bits):
    codes = [sum(levels.index(v) << (bits * k) for k, v in enumerate(entry)) for entry in entries]
    lines = [f"// {comment}", f"constexpr std::array<std::uint16_t, {len(codes)}> {name} {{"]
    for i in range(0, len(codes), 14):
        lines.append("    " + ", ".join(f"0x{c:04X}" for c in codes[i:i + 14]) + ",")
    return "\n".join(lines) + "\n};\n"


def write(file, *tables):
    with open(os.path.join(HERE, file), "w") as out:
        out.write(SPDX + "#pragma once\n\n#include <array>\n#include <cstdint>\n\n// clang-format off\n"
                  "namespace quern {\n\n" + "\n".join(tables) + "\n} // namespace quern\n")


def main():
    library = ctypes.CDLL(sys.argv[1])
    two, ternary = [8, 25, 43], [-1, 0, 1]
    write("iq2grid.h",
          *(table(f"{name.upper()}: eight magnitudes an entry, the first in the lowest two bits: 0 is 8, 1 is 25, 2 is 43.",
                  constant, codebook(library, name, block, entries, 8), two, 2)
            for name, constant, block, entries in (("iq2_xxs", "kIq2xxs", iq2_xxs, 256), ("iq2_xs", "kIq2xs", iq2_xs, 512),
                                                   ("iq2_s", "kIq2s", iq2_s, 1024))))
    write("iq3grid.h",
          table("IQ3_XXS: four magnitudes an entry, the first in the lowest three bits: k is 4 + 8 k, but 7 is 62.",
                "kIq3xxs", codebook(library, "iq3_xxs", iq3_xxs, 256, 4), [4, 12, 20, 28, 36, 44, 52, 62], 3),
          table("IQ3_S: four magnitudes an entry, the first in the lowest three bits: k is 2 k + 1.",
                "kIq3s", codebook(library, "iq3_s", iq3_s, 512, 4), list(range(1, 16, 2)), 3))
    write("iq1grid.h",
          table("IQ1_S, IQ1_M: eight values an entry, the first in the lowest two bits: k is k - 1.",
                "kIq1", codebook(library, "iq1_s", iq1_s, 2048, 8, shift=0.125), ternary, 2))


main()
