#pragma once

#include "core/calibration.h"

#include <algorithm>

namespace quern {

// Whether H = E[x xᵀ] is known: of these inputs, null if nothing is known of them, or of any that a calibration, null
// if there is none, knows.
inline bool hasMoments(const InputStats* inputs)
{
    return inputs && !inputs->hessians.empty();
}
inline bool hasMoments(const Calibration* calibration)
{
    return calibration
        && std::ranges::any_of(calibration->inputs, [](const auto& input) { return hasMoments(&input.second); });
}

} // namespace quern
