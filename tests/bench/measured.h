#pragma once

#include "core/tensor.h"

#include <benchmark/benchmark.h>

#include <random>

// What benchmarks of methods on whole matrices share.
namespace measured {

inline quern::Matrix normal(long rows, long cols, unsigned seed)
{
    std::mt19937 random(seed);
    std::normal_distribution<float> values(0.0F, 1.0F);
    return quern::Matrix::NullaryExpr(rows, cols, [&] { return values(random); });
}

// The clock, and what all cores together do. OMP_NUM_THREADS says how many there are.
inline void onAllCores(benchmark::internal::Benchmark* benchmark)
{
    benchmark->Unit(benchmark::kMillisecond)->UseRealTime()->MeasureProcessCPUTime();
}

} // namespace measured
