#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

// The yardstick of the search for scales: the best of all.
namespace exact {

// The least weighted squared error that x = scale * code, codes integers in [low, high], can have with any scale of
// either sign. As scales shrink, codes change one by one at breakpoints, (k + 1/2) / |x|; between these the codes stay,
// and the best error with them is sum w x^2 - (sum w x q)^2 / sum w q^2.
inline double leastError(std::span<const float> x, std::span<const float> w, int low, int high)
{
    struct Step {
        double at, wx, w; // 1 / scale; what the sums change by: wx, and w times the change of q^2
    };
    double best = 0, squares = 0;
    for (const double sign : {1.0, -1.0}) {
        std::vector<Step> steps;
        for (std::size_t i = 0; i < x.size(); ++i) {
            const double value = sign * x[i], weight = w[i];
            if (value == 0 || weight == 0)
                continue;
            const int direction = value > 0 ? 1 : -1, last = value > 0 ? high : -low;
            for (int k = 0; k < last; ++k)
                steps.push_back({(k + 0.5) / std::abs(value), weight * value * direction, weight * (2 * k + 1)});
        }
        std::ranges::sort(steps, {}, &Step::at);
        double wxq = 0, wqq = 0;
        for (const Step& step : steps) {
            wxq += step.wx;
            wqq += step.w;
            best = std::max(best, wxq * wxq / wqq);
        }
    }
    for (std::size_t i = 0; i < x.size(); ++i)
        squares += double(w[i]) * x[i] * x[i];
    return squares - best;
}

} // namespace exact
