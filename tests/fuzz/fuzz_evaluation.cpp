#include "core/error.h"
#include "core/evaluationfile.h"

#include <cstdlib>

// Kept evaluations: whatever is accepted can be shown.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    try {
        const quern::Evaluation read = quern::evaluationFromBytes(std::as_bytes(std::span(data, size)), "fuzz");
        const quern::PredictionSummary& predictions = read.predictions;
        static_cast<void>(quern::decades(predictions.divergences, 1e-12, 4));
        if (predictions.compared && predictions.divergences.size() != static_cast<std::size_t>(predictions.tokens))
            std::abort();
    } catch (const quern::Error&) {
        return 0;
    }
    return 0;
}
