#include "core/preset.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace quern {
namespace {

// In the order of size; the numbers are llama.cpp's LLAMA_FTYPE.
constexpr std::array<Preset, 36> kPresets {{
    {"F32", 0, "F32", QUERN_TEXT("core", "32 bits: every value as it is.")},
    {"BF16", 32, "BF16", QUERN_TEXT("core", "16 bits with the range of F32: lossless for models trained in BF16.")},
    {"F16", 1, "F16", QUERN_TEXT("core", "16 bits: practically lossless; values beyond 65504 overflow.")},
    {"Q8_0", 7, "Q8_0", QUERN_TEXT("core", "8.5 bits: hard to tell from the original.")},
    {"Q6_K", 18, "Q6_K", QUERN_TEXT("core", "6.6 bits: very close to the original.")},
    {"Q5_K_M", 17, "Q5_K", QUERN_TEXT("core", "5.7 bits: small loss; sensitive tensors get 6.6 bits.")},
    {"Q5_K_S", 16, "Q5_K", QUERN_TEXT("core", "5.5 bits: small loss.")},
    {"Q5_1", 9, "Q5_1",
     QUERN_TEXT("core", "6 bits, blocks of 32 with a minimum: simple and fast; Q5_K is better for its size.")},
    {"Q5_0", 8, "Q5_0", QUERN_TEXT("core", "5.5 bits, blocks of 32: simple and fast; Q5_K is better for its size.")},
    {"Q4_K_M", 15, "Q4_K", QUERN_TEXT("core", "4.8 bits: the usual compromise between size and loss.")},
    {"Q4_K_S", 14, "Q4_K", QUERN_TEXT("core", "4.6 bits: somewhat smaller than Q4_K_M, somewhat more loss.")},
    {"Q4_1", 3, "Q4_1",
     QUERN_TEXT("core", "5 bits, blocks of 32 with a minimum: simple and fast; Q4_K is better for its size.")},
    {"Q4_0", 2, "Q4_0",
     QUERN_TEXT("core", "4.5 bits, blocks of 32: the simplest and fastest; Q4_K is better for its size.")},
    {"IQ4_NL", 25, "IQ4_NL",
     QUERN_TEXT("core", "4.5 bits on uneven levels, blocks of 32: fits rows that are no multiple of 256.")},
    {"IQ4_XS", 30, "IQ4_XS", QUERN_TEXT("core", "4.3 bits on uneven levels: the smallest of the 4 bit mixes.")},
    {"Q3_K_L", 13, "Q3_K", QUERN_TEXT("core", "4.3 bits: 3 bits where it hurts least, 5 elsewhere.")},
    {"Q3_K_M", 12, "Q3_K", QUERN_TEXT("core", "3.9 bits: noticeable loss.")},
    {"Q3_K_S", 11, "Q3_K", QUERN_TEXT("core", "3.5 bits: large loss.")},
    {"IQ3_M", 27, "IQ3_S", QUERN_TEXT("core", "3.7 bits from a codebook: better than Q3_K of that size.")},
    {"IQ3_S", 26, "IQ3_S", QUERN_TEXT("core", "3.5 bits from a codebook.")},
    {"IQ3_XS", 22, "IQ3_S", QUERN_TEXT("core", "3.3 bits from a codebook.")},
    {"IQ3_XXS", 23, "IQ3_XXS", QUERN_TEXT("core", "3.1 bits from a codebook; wants an importance matrix.")},
    {"Q2_K", 10, "Q2_K", QUERN_TEXT("core", "3 bits: very large loss.")},
    {"Q2_K_S", 21, "Q2_K", QUERN_TEXT("core", "2.8 bits: very large loss; wants an importance matrix.")},
    {"IQ2_M", 29, "IQ2_S", QUERN_TEXT("core", "2.7 bits from a codebook; wants an importance matrix.")},
    {"IQ2_S", 28, "IQ2_XS", QUERN_TEXT("core", "2.5 bits from a codebook; wants an importance matrix.")},
    {"IQ2_XS", 20, "IQ2_XS", QUERN_TEXT("core", "2.3 bits from a codebook; wants an importance matrix.")},
    {"IQ2_XXS", 19, "IQ2_XXS", QUERN_TEXT("core", "2.1 bits from a codebook; wants an importance matrix.")},
    {"IQ1_M", 31, "IQ1_M",
     QUERN_TEXT("core", "1.75 bits from a codebook: for very large models; wants an importance matrix.")},
    {"IQ1_S", 24, "IQ1_S",
     QUERN_TEXT("core", "1.56 bits from a codebook: for very large models; wants an importance matrix.")},
    {"TQ2_0", 37, "TQ2_0", QUERN_TEXT("core", "2.06 bits for three levels: only for models trained with them.")},
    {"TQ1_0", 36, "TQ1_0", QUERN_TEXT("core", "1.69 bits for three levels: only for models trained with them.")},
    {"Q2_0", 41, "Q2_0", QUERN_TEXT("core", "2.25 bits in blocks of 64: only for models trained with them.")},
    {"Q1_0", 40, "Q1_0", QUERN_TEXT("core", "1.125 bits, signs only: only for models trained with them.")},
    {"MXFP4_MOE", 38, "MXFP4", QUERN_TEXT("core", "4.25 bits for experts, Q8_0 for the rest.")},
    {"COPY", kKeepFileType, "", QUERN_TEXT("core", "Every tensor as it is.")},
}};

bool sameName(std::string_view a, std::string_view b)
{
    const auto upper = [](char c) { return std::toupper(static_cast<unsigned char>(c)); };
    return std::ranges::equal(a, b, {}, upper, upper);
}

// A preset of llama.cpp's that stands for its middle size.
std::string_view unabbreviated(std::string_view name)
{
    return sameName(name, "Q3_K") ? "Q3_K_M"
        : sameName(name, "Q4_K")  ? "Q4_K_M"
        : sameName(name, "Q5_K")  ? "Q5_K_M"
                                  : name;
}

// Parts of names that llama.cpp never quantizes: norms, routers, small projections and convolutions, positions,
// codebooks, parts of encoders for images and sound.
constexpr std::array<std::string_view, 37> kKept {
    "_norm.weight",
    "ffn_gate_inp.weight",
    "ffn_gate_tid2eid.weight",
    "altup",
    "laurel",
    "per_layer_model_proj",
    "ssm_conv1d",
    "shortconv.conv.weight",
    "indexer.k_proj.weight",
    "indexer.q_proj.weight",
    "time_mix_first.weight",
    "time_mix_w0.weight",
    "time_mix_w1.weight",
    "time_mix_w2.weight",
    "time_mix_v0.weight",
    "time_mix_v1.weight",
    "time_mix_v2.weight",
    "time_mix_a0.weight",
    "time_mix_a1.weight",
    "time_mix_a2.weight",
    "time_mix_g1.weight",
    "time_mix_g2.weight",
    "time_mix_decay_w1.weight",
    "time_mix_decay_w2.weight",
    "time_mix_lerp_fused.weight",
    "attn_rel_b.weight",
    ".position_embd",
    "sam.pos_embd",
    "sam.neck.",
    "sam.net_",
    ".rel_pos",
    ".patch_embd",
    ".patch_merger",
    "a.rvq.codebook",
    "mm.a.code_embd",
    "position_embd.weight",
    "token_types.weight",
};

// As ggml counts: dimensions of 1 outside do not make a matrix of a vector.
std::size_t dimensions(const Tensor& tensor)
{
    const auto first = std::ranges::find_if(tensor.shape, [](long n) { return n != 1; });
    return static_cast<std::size_t>(tensor.shape.end() - first);
}

} // namespace

std::span<const Preset> presets()
{
    return kPresets;
}

const Preset* findPreset(std::string_view name)
{
    const auto it = std::ranges::find_if(
        kPresets, [wanted = unabbreviated(name)](const Preset& preset) { return sameName(preset.name, wanted); });
    return it == kPresets.end() ? nullptr : &*it;
}

bool mayQuantize(const Tensor& tensor)
{
    const std::string_view name = tensor.name;
    return dimensions(tensor) >= 2 && name.ends_with("weight")
        && std::ranges::none_of(kKept,
                                [&](std::string_view part) { return name.find(part) != std::string_view::npos; });
}

} // namespace quern
