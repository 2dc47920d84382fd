#include "core/parallel.h"

#include <omp.h>

#include <algorithm>

namespace quern {
namespace {

std::atomic<int> wanted = 0;

} // namespace

void setThreads(int threads)
{
    wanted = std::max(threads, 0);
}

int threads()
{
    const int n = wanted;
    return n > 0 ? n : std::max(omp_get_num_procs(), 1);
}

} // namespace quern
