#pragma once

#include "core/progress.h"

#include <atomic>
#include <exception>
#include <utility>

namespace quern {

// How many threads parallelFor uses; 0 stands for all cores. Set by the program before work starts; process-wide.
void setThreads(int threads);
int threads(); // at least 1

// Runs body(i) for every i in [0, n) on threads() cores and returns when all are done.
// The only place with an OpenMP pragma, because an exception must not leave a parallel region:
// here the first one thrown stops the remaining iterations and is rethrown to the caller.
// Iterations start in order but finish in any; a body that sums must keep one sum per i and let the caller add
// them up in order, so that results do not depend on the number of threads.
template <typename Body>
void parallelFor(long n, Progress& progress, Body&& body)
{
    std::exception_ptr first;
    std::atomic<bool> stop = false;

#pragma omp parallel for schedule(dynamic) num_threads(threads())
    for (long i = 0; i < n; ++i) {
        if (stop.load(std::memory_order_relaxed))
            continue;
        try {
            progress.check();
            body(i);
        } catch (...) {
            if (!stop.exchange(true))
                first = std::current_exception();
        }
    }

    if (first)
        std::rethrow_exception(first);
}

} // namespace quern
