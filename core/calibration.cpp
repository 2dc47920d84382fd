#include "core/calibration.h"

namespace quern {

std::vector<float> InputStats::importance(long matrix) const
{
    std::vector<float> h(static_cast<std::size_t>(sumSquares.cols()), 1.0F);
    const double n = counts.at(static_cast<std::size_t>(matrix));
    if (n > 0)
        for (long i = 0; i < sumSquares.cols(); ++i)
            h[static_cast<std::size_t>(i)] = static_cast<float>(sumSquares(matrix, i) / n);
    return h;
}

const InputStats* Calibration::find(std::string_view tensor) const
{
    const auto it = inputs.find(tensor);
    return it == inputs.end() ? nullptr : &it->second;
}

} // namespace quern
