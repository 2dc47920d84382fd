#include "core/distortion.h"

#include "core/error.h"
#include "core/parallel.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace quern {
namespace {

// Floats are added up side by side in kLanes sums of kChunk / kLanes terms each, then in double: within 1e-6 of the
// exact sum, and the same on every machine, since the order is written down.
constexpr int kLanes = 16;
constexpr int kChunk = 16 * kLanes;

struct Sums {
    std::array<float, kLanes> error {}, weight {}, decoded {}, product {}, output {}, power {}, largest {};
};

// h is read only if Weighted.
template <bool Weighted>
void add(Sums& s, const float* w, const float* q, const float* h, int l)
{
    const float e = w[l] - q[l];
    s.error[l] += e * e;
    s.weight[l] += w[l] * w[l];
    s.decoded[l] += q[l] * q[l];
    s.product[l] += w[l] * q[l];
    s.largest[l] = std::max(s.largest[l], std::abs(e));
    if constexpr (Weighted) {
        s.output[l] += h[l] * (e * e);
        s.power[l] += h[l] * (w[l] * w[l]);
    }
}

double sum(const std::array<float, kLanes>& lanes)
{
    double total = 0;
    for (const float lane : lanes)
        total += lane;
    return total;
}

template <bool Weighted>
Distortion inFloat(const float* w, const float* q, const float* h, long n)
{
    Sums s;
    long i = 0;
    for (; i + kLanes <= n; i += kLanes)
        for (int l = 0; l < kLanes; ++l)
            add<Weighted>(s, w + i, q + i, Weighted ? h + i : nullptr, l);
    for (int l = 0; l < n - i; ++l)
        add<Weighted>(s, w + i, q + i, Weighted ? h + i : nullptr, l);
    return {.errorSquares = sum(s.error),
            .weightSquares = sum(s.weight),
            .decodedSquares = sum(s.decoded),
            .product = sum(s.product),
            .outputError = sum(s.output),
            .outputPower = sum(s.power),
            .largest = *std::ranges::max_element(s.largest),
            .count = n};
}

Distortion inDouble(const float* w, const float* q, const float* h, long n)
{
    Distortion d;
    for (long i = 0; i < n; ++i) {
        const double wi = w[i], qi = q[i], e = wi - qi, hi = h ? h[i] : 0.0;
        d.errorSquares += e * e;
        d.weightSquares += wi * wi;
        d.decodedSquares += qi * qi;
        d.product += wi * qi;
        d.outputError += hi * e * e;
        d.outputPower += hi * wi * wi;
        d.largest = std::max(d.largest, std::abs(e));
    }
    d.count = n;
    return d;
}

// False where squares of floats may have overflowed or vanished, or all weights are zero.
bool wellScaled(const Distortion& d, bool weighted)
{
    const auto within = [](double x) { return x > 1e-20 && x < 1e30; };
    return within(d.weightSquares) && d.decodedSquares < 1e30 && d.errorSquares < 1e30
        && (!weighted || (within(d.outputPower) && d.outputError < 1e30));
}

Distortion chunk(const float* w, const float* q, const float* h, long n)
{
    const Distortion d = h ? inFloat<true>(w, q, h, n) : inFloat<false>(w, q, h, n);
    return wellScaled(d, h != nullptr) ? d : inDouble(w, q, h, n);
}

} // namespace

void Distortion::merge(const Distortion& other)
{
    errorSquares += other.errorSquares;
    weightSquares += other.weightSquares;
    decodedSquares += other.decodedSquares;
    product += other.product;
    outputError += other.outputError;
    outputPower += other.outputPower;
    largest = std::max(largest, other.largest);
    count += other.count;
}

double Distortion::relative() const
{
    if (errorSquares == 0)
        return 0;
    return weightSquares > 0 ? std::sqrt(errorSquares / weightSquares) : std::numeric_limits<double>::infinity();
}

double Distortion::sqnr() const
{
    if (errorSquares == 0)
        return std::numeric_limits<double>::infinity();
    return 10.0 * std::log10(weightSquares / errorSquares);
}

double Distortion::rmse() const
{
    return count > 0 ? std::sqrt(errorSquares / static_cast<double>(count)) : 0.0;
}

double Distortion::cosine() const
{
    if (weightSquares == 0 && decodedSquares == 0)
        return 1;
    const double lengths = std::sqrt(weightSquares) * std::sqrt(decodedSquares);
    return lengths > 0 ? std::clamp(product / lengths, -1.0, 1.0) : 0.0;
}

double Distortion::rho() const
{
    if (outputError == 0)
        return 0;
    return outputPower > 0 ? outputError / outputPower : std::numeric_limits<double>::infinity();
}

Distortion distortion(const float* w, const float* q, const float* importance, long n)
{
    Distortion total;
    for (long i = 0; i < n; i += kChunk)
        total.merge(chunk(w + i, q + i, importance ? importance + i : nullptr, std::min<long>(kChunk, n - i)));
    return total;
}

Distortion distortion(const Tensor& original, const Tensor& stored, std::span<const float> importance,
                      Progress& progress)
{
    if (original.shape != stored.shape)
        fail(QUERN_TEXT("core", "Tensor %1 has %2 x %3 weights, but %4 x %5 in the other model."), original.name,
             original.rows(), original.cols(), stored.rows(), stored.cols());
    const long rows = original.rows(), cols = original.cols();
    const bool each = static_cast<long>(importance.size()) > cols; // matrix has its own
    const long rowsOfMatrix = std::max(rows / std::max(original.matrices(), 1L), 1L);
    const long slab = std::max(1L, (1L << 16) / std::max(cols, 1L)), slabs = (rows + slab - 1) / slab;
    std::vector<Distortion> parts(static_cast<std::size_t>(slabs));
    parallelFor(slabs, progress, [&](long s) {
        std::vector<float> w(static_cast<std::size_t>(cols)), q(w.size());
        for (long row = s * slab; row < std::min(rows, (s + 1) * slab); ++row) {
            decodeRows(original, row, 1, w.data());
            decodeRows(stored, row, 1, q.data());
            const float* h = importance.empty() ? nullptr : importance.data() + (each ? row / rowsOfMatrix * cols : 0);
            parts[static_cast<std::size_t>(s)].merge(distortion(w.data(), q.data(), h, cols));
        }
    });
    Distortion total;
    for (const Distortion& part : parts)
        total.merge(part);
    return total;
}

} // namespace quern
