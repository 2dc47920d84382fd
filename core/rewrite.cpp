#include "core/rewrite.h"

namespace quern {

FoldSummary summaryOf(std::span<const FoldReport> reports)
{
    FoldSummary sum;
    for (const FoldReport& report : reports) {
        ++sum.places;
        sum.scaled += report.scaled ? 1 : 0;
        sum.before += report.before;
        sum.after += report.after;
    }
    return sum;
}

} // namespace quern
