#include "core/measure.h"

#include "core/error.h"

#include <algorithm>
#include <cmath>

namespace quern {
namespace {

using Value = std::optional<double>;

template <double (Distortion::*Ratio)() const>
Value ofDistortion(const Measured& m)
{
    return m.distortion ? Value(((*m.distortion).*Ratio)()) : std::nullopt;
}

Value outputError(const Measured& m)
{
    return m.distortion && m.distortion->outputPower > 0 ? Value(m.distortion->rho()) : std::nullopt;
}

// Beyond 6 standard deviations, of a million weights; a normal distribution has 0.002.
Value outliersPerMillion(const Measured& m)
{
    if (!m.stats || m.stats->count == m.stats->nonFinite)
        return std::nullopt;
    return static_cast<double>(m.stats->outliers) * 1e6 / static_cast<double>(m.stats->count - m.stats->nonFinite);
}

Value kurtosis(const Measured& m)
{
    return m.stats && m.stats->std > 0 ? Value(m.stats->kurtosis) : std::nullopt;
}

Value absMaxPerStd(const Measured& m)
{
    return m.stats && m.stats->std > 0 ? Value(m.stats->absMax / m.stats->std) : std::nullopt;
}

Value inputOutliers(const Measured& m)
{
    return m.inputOutliers;
}

Value bitsPerWeight(const Measured& m)
{
    if (!m.planned || m.tensor.count() == 0)
        return std::nullopt;
    return static_cast<double>(m.planned->methodBytes) * 8.0 / static_cast<double>(m.tensor.count());
}

Value storedBytes(const Measured& m)
{
    return m.planned ? Value(static_cast<double>(m.planned->storedBytes)) : std::nullopt;
}

constexpr Measure kMeasures[] = {
    {"relative_error", QUERN_TEXT("core", "Relative RMS error"), "", true, true, true,
     ofDistortion<&Distortion::relative>},
    {"sqnr", QUERN_TEXT("core", "SQNR"), QUERN_TEXT("core", "dB"), false, false, true, ofDistortion<&Distortion::sqnr>},
    {"output_error", QUERN_TEXT("core", "Relative output error (calibrated)"), "", true, true, true, outputError},
    {"outliers", QUERN_TEXT("core", "Outliers beyond 6 sigma"), QUERN_TEXT("core", "per million"), true, true, false,
     outliersPerMillion},
    {"kurtosis", QUERN_TEXT("core", "Excess kurtosis"), "", true, true, false, kurtosis},
    {"absmax_std", QUERN_TEXT("core", "Largest magnitude / std"), QUERN_TEXT("core", "sigma"), true, true, false,
     absMaxPerStd},
    {"input_outliers", QUERN_TEXT("core", "Input outlier score (calibrated)"), "", true, true, false, inputOutliers},
    {"bits_per_weight", QUERN_TEXT("core", "Bits per weight, planned"), QUERN_TEXT("core", "bit"), false, false, false,
     bitsPerWeight},
    {"bytes", QUERN_TEXT("core", "Size in the file, planned"), QUERN_TEXT("core", "bytes"), true, true, false,
     storedBytes},
};

} // namespace

std::span<const Measure> measures()
{
    return kMeasures;
}

const Measure* findMeasure(std::string_view name)
{
    const auto it = std::ranges::find(kMeasures, name, &Measure::name);
    return it == std::end(kMeasures) ? nullptr : it;
}

} // namespace quern
