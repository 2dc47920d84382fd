// Everything the workbench knows how to do. To add something, write its file and name it here.
#include "core/architecture.h"
#include "core/blockformat.h"
#include "core/model.h"
#include "core/quantizer.h"
#include "core/rewrite.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

namespace quern {

extern const BlockFormat f32, f16, bf16, f64, i8, i16, i32, i64;
extern const BlockFormat q4_0, q4_1, q5_0, q5_1, q8_0, q8_1, q1_0, q2_0, tq1_0, tq2_0, mxfp4, nvfp4;
extern const BlockFormat q2_k, q3_k, q4_k, q5_k, q6_k, q8_k;
extern const BlockFormat iq1_s, iq1_m, iq2_xxs, iq2_xs, iq2_s, iq3_xxs, iq3_s, iq4_nl, iq4_xs;
extern const BlockFormat f8_e4m3, f8_e5m2, u8, u16, u32, u64, truth;
extern const std::span<const BlockFormat> affineFormats; // ours, of b bits and group g
extern const Quantizer nearest, hqq, gptq, descent, gptqDescent;
extern const Rewrite awq, smoothquant;
extern const Container ggufContainer, huggingFaceContainer;
extern const Architecture llama, qwen2, qwen3, gemma, gemma2, gemma3, phi3;
extern const Architecture gpt2, qwen2moe, qwen3moe; // from GGUF only

std::span<const BlockFormat* const> blockFormats()
{
    static const std::vector<const BlockFormat*> all = [] {
        std::vector<const BlockFormat*> formats {
            &f32,     &f16,     &bf16,    &f64,    &i8,    &i16,     &i32,   &i64,             // plain numbers of GGUF
            &q4_0,    &q4_1,    &q5_0,    &q5_1,   &q8_0,  &q8_1,    &q1_0,  &q2_0,            // blocks of one scale
            &tq1_0,   &tq2_0,   &mxfp4,   &nvfp4,                                              // ternary, 4-bit floats
            &q2_k,    &q3_k,    &q4_k,    &q5_k,   &q6_k,  &q8_k,                              // blocks of 256
            &iq1_s,   &iq1_m,   &iq2_xxs, &iq2_xs, &iq2_s, &iq3_xxs, &iq3_s, &iq4_nl, &iq4_xs, // codebooks
            &f8_e4m3, &f8_e5m2, &u8,      &u16,    &u32,   &u64,     &truth,                   // of safetensors
        };
        for (const BlockFormat& format : affineFormats)
            formats.push_back(&format);
        return formats;
    }();
    return all;
}

std::span<const Quantizer* const> quantizers()
{
    static constexpr std::array all {&nearest, &hqq, &gptq, &descent, &gptqDescent};
    return all;
}

std::span<const Rewrite* const> rewrites()
{
    static constexpr std::array all {&awq, &smoothquant};
    return all;
}

std::span<const Container* const> containers()
{
    static constexpr std::array all {&huggingFaceContainer, &ggufContainer};
    return all;
}

std::span<const Architecture* const> architectures()
{
    static constexpr std::array all {&llama,  &qwen2, &qwen3, &gemma,    &gemma2,
                                     &gemma3, &phi3,  &gpt2,  &qwen2moe, &qwen3moe};
    return all;
}

namespace {

template <typename Entry, typename Matches>
const Entry* first(std::span<const Entry* const> all, Matches matches)
{
    const auto it = std::ranges::find_if(all, matches);
    return it == all.end() ? nullptr : *it;
}

bool sameName(std::string_view a, std::string_view b)
{
    const auto upper = [](char c) { return std::toupper(static_cast<unsigned char>(c)); };
    return std::ranges::equal(a, b, {}, upper, upper);
}

} // namespace

const BlockFormat* findBlockFormat(std::string_view name)
{
    return first(blockFormats(), [&](auto* f) { return sameName(f->name, name); });
}

const BlockFormat* findBlockFormat(std::uint32_t id)
{
    return first(blockFormats(), [&](auto* f) { return f->id == id; });
}

const Quantizer* findQuantizer(std::string_view name)
{
    return first(quantizers(), [&](auto* q) { return q->name == name; });
}

const Rewrite* findRewrite(std::string_view name)
{
    return first(rewrites(), [&](auto* r) { return r->name == name; });
}

const Architecture* findArchitecture(std::string_view name)
{
    return first(architectures(), [&](auto* a) { return a->name == name; });
}

const Architecture* findHuggingFaceArchitecture(std::string_view name)
{
    return first(architectures(),
                 [&](auto* a) { return std::ranges::find(a->huggingFace, name) != a->huggingFace.end(); });
}

} // namespace quern
