#pragma once

#include "core/calibrate.h"

#include <algorithm>

// How calibrate divides its work, which decides what it needs.
namespace quern::calibrating {

constexpr long kBatchTokens = 8192; // that go through a block at once
constexpr long kHeadTokens = 512;   // that go through the output matrix at once

// Chunks that are read at once.
inline long batchOf(const Chunks& chunks)
{
    return std::min(chunks.count(), std::max(1L, kBatchTokens / chunks.context));
}

} // namespace quern::calibrating
