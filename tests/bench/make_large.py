#!/usr/bin/env python3
"""Writes a GGUF model in BF16 with the tensors of a llama of 7 billion weights, the same bytes at each run.

    make_large.py FILE [--layers 32] [--width 4096] [--sparse]

--sparse: the data is a hole in the file, all weights are 0. Else weights are near to a normal distribution of standard
deviation 0.02: a MiB of them is drawn and repeated, each time from another place. --width: of another one, with as many
tokens. Its tokenizer knows bytes only.
"""
import argparse
import random
import struct

VOCABULARY, HEAD = 32000, 128
ALIGNMENT = 32
F32, BF16 = 0, 30
UINT32, INT32, FLOAT, STRING, ARRAY = 4, 5, 6, 8, 9
PIECE = 1 << 19  # weights


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


def entry(key, kind, value):
    packed = text(value) if kind == STRING else struct.pack({UINT32: "<I", FLOAT: "<f"}[kind], value)
    return text(key) + struct.pack("<I", kind) + packed


def array(key, kind, values):
    packed = b"".join(map(text, values)) if kind == STRING else struct.pack(
        f"<{len(values)}{'f' if kind == FLOAT else 'i'}", *values)
    return text(key) + struct.pack("<IIQ", ARRAY, kind, len(values)) + packed


def tokenizer():
    """SentencePiece's three special tokens, all bytes, and tokens that no text has."""
    unknown, control, unused, byte = 2, 3, 5, 6
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256))]
    kinds = [unknown, control, control] + [byte] * 256
    rest = VOCABULARY - len(tokens)
    return [
        entry("tokenizer.ggml.model", STRING, "llama"),
        array("tokenizer.ggml.tokens", STRING, tokens + [f"<unused{i}>" for i in range(rest)]),
        array("tokenizer.ggml.scores", FLOAT, [0.0] * VOCABULARY),
        array("tokenizer.ggml.token_type", INT32, kinds + [unused] * rest),
        entry("tokenizer.ggml.bos_token_id", UINT32, 1),
        entry("tokenizer.ggml.eos_token_id", UINT32, 2),
    ]


def feed_forward(width):
    """As Llama: 8/3 of the width, in steps of 256."""
    return (8 * width // 3 + 255) // 256 * 256


def metadata(layers, width):
    return [
        entry("general.architecture", STRING, "llama"),
        entry("general.name", STRING, "Large"),
        entry("llama.block_count", UINT32, layers),
        entry("llama.context_length", UINT32, 4096),
        entry("llama.embedding_length", UINT32, width),
        entry("llama.feed_forward_length", UINT32, feed_forward(width)),
        entry("llama.attention.head_count", UINT32, width // HEAD),
        entry("llama.attention.head_count_kv", UINT32, width // HEAD),
        entry("llama.attention.layer_norm_rms_epsilon", FLOAT, 1e-5),
        entry("llama.rope.dimension_count", UINT32, HEAD),
        *tokenizer(),
    ]


def tensors(layers, width):
    """Name, columns, rows (0 for vectors)."""
    hidden = feed_forward(width)
    yield "token_embd.weight", width, VOCABULARY
    yield "output_norm.weight", width, 0
    yield "output.weight", width, VOCABULARY
    for i in range(layers):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            yield f"blk.{i}.{name}.weight", width, width
        yield f"blk.{i}.ffn_gate.weight", width, hidden
        yield f"blk.{i}.ffn_up.weight", width, hidden
        yield f"blk.{i}.ffn_down.weight", hidden, width
        yield f"blk.{i}.attn_norm.weight", width, 0
        yield f"blk.{i}.ffn_norm.weight", width, 0


def drawn():
    """Weights in BF16: the upper halves of floats."""
    source = random.Random(1)
    weights = struct.pack(f"<{PIECE}f", *(source.gauss(0, 0.02) for _ in range(PIECE)))
    halves = bytearray(2 * PIECE)
    halves[0::2], halves[1::2] = weights[2::4], weights[3::4]
    return bytes(halves)


def write(out, layers, width, sparse):
    directory, sizes, offset = [], [], 0
    for name, cols, rows in tensors(layers, width):
        shape = (cols, rows) if rows else (cols,)
        size = 2 * cols * rows if rows else 4 * cols
        directory.append(text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, BF16 if rows else F32, offset))
        sizes.append((size, rows > 0))
        offset += size  # all are multiples of the alignment
    pairs = metadata(layers, width)
    out.write(b"GGUF" + struct.pack("<IQQ", 3, len(directory), len(pairs)) + b"".join(pairs) + b"".join(directory))
    out.write(bytes(-out.tell() % ALIGNMENT))
    if sparse:
        out.truncate(out.tell() + offset)
        return
    piece, place = drawn() * 2, random.Random(2)
    for size, matrix in sizes:
        if not matrix:
            out.write(struct.pack("<f", 1) * (size // 4))
            continue
        for first in range(0, size, 2 * PIECE):
            start = 2 * place.randrange(PIECE)
            out.write(piece[start:start + min(2 * PIECE, size - first)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--sparse", action="store_true")
    options = parser.parse_args()
    with open(options.file, "wb", buffering=1 << 20) as out:
        write(out, options.layers, options.width, options.sparse)


if __name__ == "__main__":
    main()
