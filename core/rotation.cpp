#include "core/rotation.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace quern {
namespace {

// YaRN (Peng et al. 2023, arXiv 2309.00071) as llama.cpp applies it; with extrapolation 0 plain linear scaling.
struct Scaling {
    double interpolation = 1;   // positions are multiplied by it
    double extrapolation = 0;   // how much of the high frequencies stays as it was
    double fast = 32, slow = 1; // turns within the original context between which the two are mixed
    double originalContext = 0;
    double magnitude = 1;
};

// 0.1 ln(factor) + 1: eq. 22.
double sharpening(double factor, double multiplier = 1)
{
    return factor <= 1 ? 1 : 0.1 * multiplier * std::log(factor) + 1;
}

Scaling scalingOf(const FamilyKeys& keys, const Sizes& sizes)
{
    const std::string type = keys.text("rope.scaling.type", "linear");
    if (type != "none" && type != "linear" && type != "yarn" && type != "longrope")
        fail(QUERN_TEXT("core", "%1 is %2; none, linear, yarn and longrope can be run."),
             keys.name("rope.scaling.type"), type);
    Scaling scaling;
    const double factor = keys.number("rope.scaling.factor", keys.number("rope.scale_linear", 0));
    if (factor < 0)
        fail(QUERN_TEXT("core", "%1 is %2; a number above 0 is expected. The file may be damaged."),
             keys.name("rope.scaling.factor"), keys.shown("rope.scaling.factor"));
    if (factor > 0 && type != "none")
        scaling.interpolation = 1 / factor;
    scaling.originalContext
        = static_cast<double>(keys.integer("rope.scaling.original_context_length", 1, sizes.context));
    scaling.fast = keys.number("rope.scaling.yarn_beta_fast", 32);
    scaling.slow = keys.number("rope.scaling.yarn_beta_slow", 1);
    scaling.extrapolation = keys.number("rope.scaling.yarn_ext_factor", -1);
    if (scaling.extrapolation < 0)
        scaling.extrapolation = type == "yarn" ? 1 : 0;
    scaling.magnitude = keys.number("rope.scaling.attn_factor", 1);
    if (scaling.extrapolation == 0) {
        scaling.magnitude *= keys.number("rope.scaling.yarn_attn_factor", 1);
        return scaling;
    }
    const double stretch = 1 / scaling.interpolation;
    scaling.magnitude *= sharpening(stretch) / (1 + 0.1 * std::log(stretch));
    if (const double multiplier = keys.number("rope.scaling.yarn_log_multiplier", 0); multiplier != 0)
        scaling.magnitude /= sharpening(stretch, multiplier);
    return scaling;
}

// The pair that turns `turns` times within the original context.
double pairOf(double turns, const Scaling& scaling, double base, double dimensions)
{
    return dimensions * std::log(scaling.originalContext / (turns * 2 * std::numbers::pi)) / (2 * std::log(base));
}

std::vector<double> frequencies(long dimensions, double base, const Scaling& scaling, std::span<const float> factors)
{
    const auto n = static_cast<double>(dimensions);
    const double low = std::max(0.0, std::floor(pairOf(scaling.fast, scaling, base, n)));
    const double high = std::min(n - 1, std::ceil(pairOf(scaling.slow, scaling, base, n)));
    std::vector<double> result;
    for (std::size_t pair = 0; pair < static_cast<std::size_t>(dimensions / 2); ++pair) {
        const double factor = factors.empty() ? 1 : static_cast<double>(factors[pair]);
        const double frequency = std::pow(base, -2 * static_cast<double>(pair) / n) / factor;
        double kept = 0;
        if (scaling.extrapolation != 0)
            kept = scaling.extrapolation
                * (1 - std::clamp((static_cast<double>(pair) - low) / std::max(0.001, high - low), 0.0, 1.0));
        result.push_back(frequency * (scaling.interpolation * (1 - kept) + kept));
    }
    return result;
}

// What the frequencies of the pairs are divided by; empty if the model has no such tensor.
std::vector<float> factors(const Model& model, const char* name, long dimensions)
{
    const Tensor* tensor = model.find(name);
    if (!tensor)
        return {};
    if (tensor->shape != std::vector<long> {dimensions / 2})
        fail(QUERN_TEXT("core", "Tensor %1 has %2 weights; %3 are expected, one for each pair of a head's dimensions."),
             name, tensor->count(), dimensions / 2);
    std::vector<float> values(static_cast<std::size_t>(dimensions / 2));
    decodeRows(*tensor, 0, 1, values.data());
    for (const float value : values)
        if (!(value > 0) || !std::isfinite(value))
            fail(QUERN_TEXT("core", "Tensor %1 divides frequencies by %2; numbers above 0 are expected there."), name,
                 static_cast<double>(value));
    return values;
}

double baseOf(const FamilyKeys& keys, std::string_view key, double absent)
{
    const double base = keys.has(key) ? keys.positive(key) : absent;
    if (!(base > 1))
        fail(QUERN_TEXT("core", "%1 is %2; a number above 1 is expected. The file may be damaged."), keys.name(key),
             keys.shown(key));
    return base;
}

// YaRN multiplies once more, by its own stretch.
double magnitude(const Scaling& scaling, const FamilyKeys& keys)
{
    const double stretch = 1 / scaling.interpolation;
    const double magnitude = scaling.magnitude * (scaling.extrapolation != 0 ? 1 + 0.1 * std::log(stretch) : 1);
    if (!(magnitude > 0) || !std::isfinite(magnitude))
        fail(QUERN_TEXT("core", "The rotary scaling under %1 makes no sense: it would multiply by %2."),
             keys.name("rope.scaling"), magnitude);
    return magnitude;
}

} // namespace

void readRotations(Attention& attention, const Model& model, const Sizes& sizes, const Computation& family)
{
    const FamilyKeys keys(model);
    const long dimensions = keys.integer("rope.dimension_count", 2, sizes.headSize);
    if (dimensions > sizes.headSize || dimensions % 2 != 0)
        fail(QUERN_TEXT("core", "%1 is %2; an even number up to the size of a head, %3, is expected."),
             keys.name("rope.dimension_count"), dimensions, sizes.headSize);
    Scaling scaling = scalingOf(keys, sizes);
    const double base = baseOf(keys, "rope.freq_base", 10000);
    const std::vector<float> always = factors(model, "rope_freqs.weight", dimensions),
                             brief = factors(model, "rope_factors_short.weight", dimensions),
                             lengthy = factors(model, "rope_factors_long.weight", dimensions);
    Rotation& rotation = attention.rotation;
    rotation.halves = family.halves;
    rotation.magnitude = magnitude(scaling, keys);
    rotation.frequencies = frequencies(dimensions, base, scaling, always.empty() ? brief : always);
    if (always.empty() && !lengthy.empty())
        rotation.longFrequencies = frequencies(dimensions, base, scaling, lengthy);
    rotation.originalContext = static_cast<long>(scaling.originalContext);

    attention.localRotation = rotation;
    if (family.localBase > 0) { // local blocks are not stretched
        scaling.interpolation = 1;
        attention.localRotation.magnitude = magnitude(scaling, keys);
        attention.localRotation.frequencies
            = frequencies(dimensions, baseOf(keys, "rope.freq_base_swa", family.localBase), scaling, {});
        attention.localRotation.longFrequencies.clear();
    }
}

} // namespace quern
