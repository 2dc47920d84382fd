#include "widgets/pace.h"

#include <algorithm>
#include <cmath>

namespace {

constexpr double kMemory = 10; // seconds after which an old rate counts 1/e

}

void Pace::start(double now)
{
    *this = {};
    m_start = m_seen = now;
}

void Pace::report(double fraction, double now)
{
    const double passed = now - m_seen;
    if (passed <= 0 || fraction <= m_fraction)
        return;
    const double rate = (fraction - m_fraction) / passed;
    const double weight = m_fraction == 0 ? 1 : 1 - std::exp(-passed / kMemory);
    m_rate += weight * (rate - m_rate);
    m_fraction = fraction;
    m_seen = now;
}

std::optional<double> Pace::remaining(double now) const
{
    if (now - m_start < 2 || m_fraction < 0.02 || m_rate <= 0)
        return std::nullopt;
    return std::max((1 - m_fraction) / m_rate - (now - m_seen), 0.0);
}
