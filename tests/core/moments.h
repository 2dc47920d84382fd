#pragma once

#include "core/hessian.h"
#include "core/modelmaker.h"
#include "core/rows.h"

#include <Eigen/Core>

#include <cmath>
#include <map>
#include <tuple>

// Matrices and second moments of inputs for tests of methods that use them.
namespace moments {

inline quern::Matrix normal(long rows, long cols, unsigned seed)
{
    modelmaker::Random random(seed);
    quern::Matrix x(rows, cols);
    for (long i = 0; i < x.size(); ++i)
        x.data()[i] = random.normal();
    return x;
}

// E[x x^T] of `tokens` inputs whose features depend on each other and differ in size, log-normally by `spread`.
inline quern::Matrix make(long n, long tokens, unsigned seed, float spread)
{
    const long rank = std::max(n / 8, 1L);
    quern::Matrix x = normal(tokens, n, seed) + normal(tokens, rank, seed + 1) * normal(rank, n, seed + 2) * 0.5F;
    const quern::Matrix sizes = normal(1, n, seed + 3);
    for (long j = 0; j < n; ++j)
        x.col(j) *= std::exp(spread * sizes(0, j));
    return x.transpose() * x / static_cast<float>(tokens);
}

// The same, made once: rows of data ask for it again and again.
inline const quern::Matrix& of(long n, long tokens, unsigned seed, float spread = 0.5F)
{
    static std::map<std::tuple<long, long, unsigned, float>, quern::Matrix> made;
    const auto key = std::tuple(n, tokens, seed, spread);
    const auto found = made.find(key);
    return found != made.end() ? found->second : made.emplace(key, make(n, tokens, seed, spread)).first->second;
}

inline quern::Hessian hessian(const quern::Matrix& h)
{
    std::vector<float> lower;
    for (long i = 0; i < h.rows(); ++i)
        lower.insert(lower.end(), h.row(i).data(), h.row(i).data() + i + 1);
    return quern::Hessian::of(h.rows(), std::move(lower));
}

// tr(E H E^T) of every row.
inline Eigen::VectorXd costs(const quern::Matrix& errors, const quern::Matrix& h)
{
    const Eigen::MatrixXd e = errors.cast<double>();
    return (e * h.cast<double>()).cwiseProduct(e).rowwise().sum();
}

inline quern::Matrix decoded(const quern::BlockFormat& format, std::span<const std::byte> blocks, long rows, long cols)
{
    quern::Matrix x(rows, cols);
    quern::decodeEach(format, blocks, rows, cols,
                      [&](long row, std::span<const float> values) { std::ranges::copy(values, x.row(row).data()); });
    return x;
}

} // namespace moments
