#include "core/prediction.h"

#include <Eigen/Core>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

namespace quern {
namespace {

// Sums are formed in double precision: divergences of good candidates are small differences of large ones.
using Row = Eigen::Map<const Eigen::ArrayXf>;

constexpr float kRange = 16; // nats below the most likely token: how far base files reach

Row row(std::span<const float> values)
{
    return {values.data(), static_cast<long>(values.size())};
}

struct Softmax {
    long top;      // the most likely token, the first of several
    float largest; // its logit
    double lnSum;  // ln of the sum of exp(logit - largest)

    double nll(float logit) const { return lnSum + static_cast<double>(largest) - static_cast<double>(logit); }
};

Softmax softmax(std::span<const float> logits)
{
    const Row x = row(logits);
    Softmax result {};
    result.largest = x.maxCoeff(&result.top);
    result.lnSum = std::log((x.cast<double>() - static_cast<double>(result.largest)).exp().sum());
    return result;
}

double logProbability(const StoredDistribution& stored, std::size_t token)
{
    return static_cast<double>(stored.scale * static_cast<float>(stored.codes[token]) + stored.lowest);
}

// Of f over all predictions.
template <typename F>
Mean mean(std::span<const Prediction> predictions, const F& f)
{
    const auto n = static_cast<double>(predictions.size());
    double sum = 0, squares = 0;
    for (const Prediction& p : predictions) {
        const double value = f(p);
        sum += value;
        squares += value * value;
    }
    const double value = sum / n, variance = squares / n - value * value;
    return {value, variance > 0 && n > 1 ? std::sqrt(variance / (n - 1)) : 0};
}

template <typename F>
std::vector<double> sorted(std::span<const Prediction> predictions, const F& f)
{
    std::vector<double> values(predictions.size());
    std::ranges::transform(predictions, values.begin(), f);
    std::ranges::sort(values);
    return values;
}

double nll(const Prediction& p)
{
    return p.nll;
}

double referenceNll(const Prediction& p)
{
    return p.referenceNll;
}

double divergence(const Prediction& p)
{
    return p.divergence;
}

// Of the probability of the token that follows.
double change(const Prediction& p)
{
    return std::exp(-p.nll) - std::exp(-p.referenceNll);
}

double correlation(std::span<const Prediction> predictions, const Mean& a, const Mean& b)
{
    const auto product = [&](const Prediction& p) { return (p.nll - a.value) * (p.referenceNll - b.value); };
    const double errors = a.error * b.error * static_cast<double>(predictions.size() - 1);
    return errors > 0 ? mean(predictions, product).value / errors : 0;
}

} // namespace

Prediction predicted(std::span<const float> logits, int next)
{
    return {.nll = softmax(logits).nll(logits[static_cast<std::size_t>(next)])};
}

Prediction predicted(std::span<const float> logits, std::span<const float> reference, int next)
{
    assert(logits.size() == reference.size());
    const auto at = static_cast<std::size_t>(next);
    const Softmax mine = softmax(logits), theirs = softmax(reference);
    const Row x = row(logits), y = row(reference);
    const auto below = y.cast<double>() - static_cast<double>(theirs.largest);
    const double gap = (below.exp() * (below - (x.cast<double>() - static_cast<double>(mine.largest)))).sum();
    return {.nll = mine.nll(logits[at]),
            .referenceNll = theirs.nll(reference[at]),
            .divergence = gap / std::exp(theirs.lnSum) - (theirs.lnSum - mine.lnSum),
            .sameTop = mine.top == theirs.top};
}

Prediction predicted(std::span<const float> logits, const StoredDistribution& reference, int next)
{
    assert(logits.size() == reference.codes.size());
    const Softmax mine = softmax(logits);
    double divergence = 0;
    for (std::size_t i = 0; i < logits.size(); ++i)
        if (const double p = logProbability(reference, i); p > -kRange)
            divergence += std::exp(p) * (p + mine.nll(logits[i]));
    const auto top = std::ranges::max_element(reference.codes) - reference.codes.begin();
    const auto at = static_cast<std::size_t>(next);
    return {.nll = mine.nll(logits[at]),
            .referenceNll = -logProbability(reference, at),
            .divergence = divergence,
            .sameTop = mine.top == top};
}

StoredDistribution stored(std::span<const float> logits, std::span<std::uint16_t> codes)
{
    const Softmax of = softmax(logits);
    const float lowest = std::max(row(logits).minCoeff(), of.largest - kRange), range = of.largest - lowest;
    const float codesPerNat = range > 0 ? 65535.0f / range : 0.0f;
    for (std::size_t i = 0; i < logits.size(); ++i)
        codes[i] = static_cast<std::uint16_t>(std::nearbyint(codesPerNat * std::max(logits[i] - lowest, 0.0f)));
    return {range / 65535.0f, static_cast<float>(-of.nll(lowest)), codes};
}

Mean exponential(const Mean& x)
{
    return {std::exp(x.value), std::exp(x.value) * x.error};
}

Histogram decades(std::span<const double> values, double smallest, int binsPerDecade)
{
    assert(smallest > 0 && binsPerDecade > 0);
    double least = std::numeric_limits<double>::infinity(), most = 0;
    for (const double value : values)
        if (value >= smallest && std::isfinite(value)) {
            least = std::min(least, value);
            most = std::max(most, value);
        }
    Histogram result;
    if (most > 0) {
        const double first = std::floor(std::log10(least) * binsPerDecade);
        const double last = std::max(std::ceil(std::log10(most) * binsPerDecade), first + 1);
        result.low = first / binsPerDecade;
        result.high = last / binsPerDecade;
        result.counts.resize(static_cast<std::size_t>(last - first));
    }
    for (const double value : values)
        if (value < smallest)
            ++result.below;
        else
            result.add(std::log10(value));
    return result;
}

double quantile(std::span<const double> ascending, double share)
{
    if (ascending.empty())
        return 0;
    const double place = share * static_cast<double>(ascending.size() - 1);
    const auto below = static_cast<std::size_t>(std::clamp(place, 0.0, static_cast<double>(ascending.size() - 1)));
    if (below + 1 >= ascending.size())
        return ascending.back();
    return std::lerp(ascending[below], ascending[below + 1], place - static_cast<double>(below));
}

PredictionSummary summary(std::span<const Prediction> predictions, bool compared)
{
    PredictionSummary all;
    all.tokens = static_cast<long>(predictions.size());
    all.compared = compared;
    if (predictions.empty())
        return all;
    all.lnPerplexity = mean(predictions, nll);
    all.perplexity = std::exp(all.lnPerplexity.value);
    if (!compared)
        return all;
    const Mean reference = mean(predictions, referenceNll);
    all.referencePerplexity = std::exp(reference.value);
    all.lnRatio = mean(predictions, [](const Prediction& p) { return p.nll - p.referenceNll; });
    all.correlation = correlation(predictions, all.lnPerplexity, reference);
    all.divergence = mean(predictions, divergence);
    all.divergences = sorted(predictions, divergence);
    all.change = mean(predictions, change);
    all.changeRms = std::sqrt(mean(predictions, [](const Prediction& p) { return change(p) * change(p); }).value);
    all.changes = sorted(predictions, change);
    all.sameTop = mean(predictions, [](const Prediction& p) { return p.sameTop ? 1.0 : 0.0; });
    return all;
}

} // namespace quern
