#include "core/coverage.h"

#include "core/error.h"

#include <numeric>

namespace quern {

void Coverage::add(const std::string& tensor, const InputStats& stats)
{
    const std::size_t experts = stats.counts.size();
    if (experts < 2)
        return;
    const double mean = std::accumulate(stats.counts.begin(), stats.counts.end(), 0.0) / static_cast<double>(experts);
    m_all += experts;
    for (std::size_t i = 0; i < experts; ++i) {
        const bool seen = stats.saw(static_cast<long>(i));
        if (seen && stats.counts[i] >= kFew * mean)
            continue;
        Lack& lack = seen ? m_few : m_none;
        if (lack.count++ == 0)
            lack.first = std::to_string(i) + " of " + toText(std::string_view(tensor));
    }
}

std::vector<std::string> Coverage::sentences() const
{
    std::vector<std::string> all;
    const auto tell = [&](const char* text, const Lack& lack) {
        if (lack.count > 0)
            all.push_back(sentence(text, lack.count, m_all, lack.first));
    };
    tell(QUERN_TEXT("core",
                    "%1 of %2 matrices of experts, for example number %3, saw no token of the calibration: all of "
                    "their weights count alike."),
         m_none);
    tell(QUERN_TEXT("core",
                    "%1 of %2 matrices of experts, for example number %3, saw less than 1 % of the tokens that the "
                    "experts beside them saw on average; their importance is a guess. A longer text reaches more."),
         m_few);
    return all;
}

} // namespace quern
