#include "app/findings.h"

#include "widgets/methods.h"
#include "widgets/text.h"

void Findings::listen(quern::QuantizeOptions& options)
{
    options.done = [this](const quern::TensorResult& tensor) {
        stored.merge(tensor.stored);
        nonFinite += tensor.nonFinite;
        for (const std::string& warning : tensor.warnings)
            warnings << text(warning);
    };
    options.rewritten = [this](const quern::Rewrite& rewrite, std::span<const quern::FoldReport> reports) {
        rewrites << gainOf(rewrite, quern::summaryOf(reports));
        places << placesOf(rewrite, reports);
    };
}
