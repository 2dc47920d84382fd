#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets into the folder given: small valid files, from which mutation starts."""
import json
import pathlib
import struct
import sys

F32, F16, Q8_0, Q4_K, I64, F64 = 0, 1, 8, 12, 27, 28
UINT8, UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY, UINT64 = 0, 4, 5, 6, 7, 8, 9, 10


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def entry(key, kind, data):
    return text(key) + struct.pack("<I", kind) + data


def array(kind, items):
    return struct.pack("<IQ", kind, len(items)) + b"".join(items)


def gguf(entries, tensors, alignment=32, version=3):
    """tensors: (name, dimensions innermost first, type, data)"""
    directory, data = b"", b""
    for name, dimensions, kind, values in tensors:
        directory += text(name) + struct.pack(f"<I{len(dimensions)}Q", len(dimensions), *dimensions)
        directory += struct.pack("<IQ", kind, len(data))
        data += values + bytes(-len(values) % alignment)
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(entries)) + b"".join(entries) + directory
    return head + bytes(-len(head) % alignment) + data


def floats(*values):
    return struct.pack(f"<{len(values)}f", *values)


def gguf_seeds():
    family = entry("general.architecture", STRING, text("llama"))
    tokens = [
        entry("tokenizer.ggml.tokens", ARRAY, array(STRING, [text("a"), text("b")])),
        entry("tokenizer.ggml.scores", ARRAY, array(FLOAT32, [floats(0), floats(-1)])),
        entry("tokenizer.ggml.token_type", ARRAY, array(INT32, [struct.pack("<i", 1)] * 2)),
        entry("tokenizer.ggml.bos_token_id", UINT32, struct.pack("<I", 1)),
    ]
    yield "empty", gguf([], [])
    yield "plain", gguf([family], [("t", [4], F32, floats(1, 2, 3, 4))])
    yield "tokens", gguf([family, *tokens], [("token_embd.weight", [4, 2], F16, bytes(16))])
    yield "blocks", gguf([family], [("blk.0.attn_q.weight", [32, 2], Q8_0, bytes(68)),
                                    ("blk.0.ffn_up.weight", [256, 1], Q4_K, bytes(144))])
    yield "aligned", gguf([entry("general.alignment", UINT32, struct.pack("<I", 64))],
                          [("a", [1], F32, floats(1)), ("b", [1], F32, floats(2))], 64)
    yield "kinds", gguf([entry("flag", BOOL, b"\1"), entry("large", UINT64, struct.pack("<Q", 1 << 63)),
                         entry("bytes", ARRAY, array(UINT8, [b"x", b"y"])), entry("none", ARRAY, array(BOOL, []))],
                        [], version=2)


def safetensors_seeds():
    for name, header, data in [
        ("empty", {}, b""),
        ("one", {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, bytes(8)),
        ("two", {"__metadata__": {"format": "pt"},
                 "a": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]},
                 "b": {"dtype": "I64", "shape": [], "data_offsets": [8, 16]}}, bytes(16)),
    ]:
        head = json.dumps(header).encode()
        yield name, struct.pack("<Q", len(head)) + head + data


def imatrix_seeds():
    legacy = struct.pack("<ii1sii2f", 1, 1, b"a", 3, 2, 1.0, 2.0)
    yield "legacy", legacy
    yield "legacy-with-tail", legacy + struct.pack("<ii4s", 5, 4, b"wiki")
    yield "gguf", gguf([entry("general.type", STRING, text("imatrix")),
                        entry("imatrix.datasets", ARRAY, array(STRING, [text("wiki")])),
                        entry("imatrix.chunk_count", UINT32, struct.pack("<I", 5))],
                       [("a.counts", [1, 2], F32, floats(1, 0)), ("a.in_sum2", [2, 2], F32, floats(1, 2, 3, 4))])


    names = [entry("quern.calibration.version", UINT32, struct.pack("<I", 1)),
             entry("quern.hessian.weights", ARRAY, array(STRING, [text("b")])),
             entry("quern.hessian.same_as", ARRAY, array(STRING, [text("a")]))]
    bins = struct.pack("<1539q", *([0] * 769 + [4] + [0] * 769))
    sums = [(f"{weight}.{name}", size, F32, floats(*values)) for weight in "ab"
            for name, size, values in [("counts", [1], [2]), ("in_sum2", [2], [2, 8]), ("in_abs", [2], [2, 4]),
                                       ("in_max", [2], [1, 2])]]
    yield "quern", gguf([entry("general.type", STRING, text("imatrix")), *names],
                        [*sums, ("a.in_hist", [1539], I64, bins), ("a.out_hist", [1539], I64, bins),
                         ("a.hessian", [3], F32, floats(1, 2, 4))])


def evaluation_seeds():
    entries = [entry("general.type", STRING, text("quern.evaluation")),
               *[entry(f"quern.evaluation.{key}", UINT32, struct.pack("<I", value))
                 for key, value in [("version", 1), ("context", 6), ("chunks", 1)]]]
    tensors = {"figures": [7, 2, 0.1, 7, 0.01, 0, 1, 0.02, 0.01, 0, 0, 0.1, 1, 0], "divergences": [0.01, 0.03],
               "changes": [-0.1, 0.1], "hidden_errors": [0, 0.5]}
    for name, values in [("compared", tensors), ("alone", {"figures": tensors["figures"][:3]})]:
        yield name, gguf(entries, [(tensor, [len(values[tensor])], F64, struct.pack(f"<{len(values[tensor])}d",
                                                                                    *values[tensor]))
                                   for tensor in values])


def logits_seeds():
    tokens = struct.pack("<4i", 0, 1, 2, 0)
    yield "one", b"_logits_" + struct.pack("<3i", 4, 3, 1) + tokens + struct.pack("<2f4H", 1e-4, -16, 65535, 7, 0, 0)


def config_seeds():
    common = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
              "num_key_value_heads": 2, "head_dim": 4, "vocab_size": 16, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
              "max_position_embeddings": 32, "hidden_act": "silu", "tie_word_embeddings": True}
    yield "llama", {**common, "architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    yield "llama3", {**common, "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                                                "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}}
    yield "gemma", {**common, "sliding_window": 4, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0,
                    "query_pre_attn_scalar": 4, "layer_types": ["sliding_attention"],
                    "hidden_activation": "gelu_pytorch_tanh"}
    yield "phi", {**common, "original_max_position_embeddings": 16, "partial_rotary_factor": 1.0,
                  "rope_scaling": {"type": "longrope", "short_factor": [1.0, 1.0], "long_factor": [2.0, 2.0]}}


def tokenizer_seeds():
    vocabulary = {"a": 0, "b": 1, "ab": 2, "<0x0A>": 3, "\u2581": 4}
    model = {"type": "BPE", "vocab": vocabulary, "merges": ["a b"], "unk_token": None, "byte_fallback": False}
    added = [{"id": 5, "content": "<s>", "special": True, "lstrip": False, "rstrip": False, "normalized": False,
              "single_word": False}]
    yield "bytes", {"version": "1.0", "added_tokens": added, "model": model, "normalizer": None,
                    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
                    "decoder": {"type": "ByteLevel"}}
    yield "sentences", {"added_tokens": added, "model": {**model, "merges": [["a", "b"]], "byte_fallback": True},
                        "normalizer": {"type": "Sequence", "normalizers": [
                            {"type": "Prepend", "prepend": "\u2581"},
                            {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
                        "post_processor": {"type": "TemplateProcessing",
                                           "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                                                      {"Sequence": {"id": "A", "type_id": 0}}]}}
    yield "split", {"model": {**model, "ignore_merges": True}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": "\\p{N}{1,3}"}, "behavior": "Isolated", "invert": False},
        {"type": "Digits", "individual_digits": True}]}}


def tokens_seeds():
    def short(value):
        data = value.encode()
        return bytes([len(data)]) + data

    def seed(flags, split, tokens, merges, sample):
        return (bytes([flags, split, len(tokens)]) + b"".join(bytes([kind]) + short(t) + b"\x05" for t, kind in tokens)
                + bytes([len(merges)]) + b"".join(short(a) + short(b) for a, b in merges) + sample.encode())
    sample = "It's 12345 words,\r\n  ab aab\u3000\u4e00\u00e9e\u0301 \U0001f600~$ <s>IT'S\n\n"
    merges = [("a", "b"), ("\u0120", "ab"), ("1", "2"), ("I", "t")]
    tokens = [("ab", 1), ("\u0120ab", 1), ("12", 1)]
    for split in range(60):
        yield f"bytes{split}", seed(2, split, tokens, merges, sample)
    yield "special", seed(2 + 4 + 8, 0, [*tokens, ("<s>", 3), ("\n\n", 4)], merges, sample)
    yield "pieces", seed(1 + 16, 0, [("<unk>", 2), ("<s>", 3), ("</s>", 3), ("a", 1), ("b", 1), ("ab", 1), ("\u2581a", 1),
                                     ("\u2581", 1), ("<0x0A>", 6), ("b\u2581", 1)], [], sample)


def recipe_seeds():
    yield "preset", {"quern_recipe": 1, "name": "mine", "preset": "Q4_K_M", "rules": []}
    yield "rules", {"quern_recipe": 1, "name": "", "rules": [
        {"match": "blk.*.ffn_down.weight", "format": "Q6_K", "method": "nearest", "settings": {}},
        {"match": "/attn_[qk]/", "format": "Q8_0"}]}


def main():
    folder = pathlib.Path(sys.argv[1])
    for target, seeds, suffix in [("gguf", gguf_seeds, "gguf"), ("safetensors", safetensors_seeds, "safetensors"),
                                  ("imatrix", imatrix_seeds, "imatrix"), ("logits", logits_seeds, "kld"),
                                  ("evaluation", evaluation_seeds, "gguf"),
                                  ("config", config_seeds, "json"), ("tokenizer", tokenizer_seeds, "json"),
                                  ("tokens", tokens_seeds, "bin"), ("recipe", recipe_seeds, "json")]:
        (folder / target).mkdir(parents=True, exist_ok=True)
        for name, seed in seeds():
            data = seed if isinstance(seed, bytes) else json.dumps(seed, ensure_ascii=False).encode()
            (folder / target / f"{name}.{suffix}").write_bytes(data)


if __name__ == "__main__":
    main()
