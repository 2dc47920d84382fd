#include "core/calibration.h"
#include "core/error.h"

// Calibrations and importance matrices, GGUF and legacy: whatever is accepted gives finite importances.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    try {
        const quern::Calibration read = quern::imatrixFromBytes(std::as_bytes(std::span(data, size)), "fuzz");
        quern::NoProgress progress;
        for (const auto& [name, stats] : read.inputs) {
            for (long i = 0; i < stats.sumSquares.rows(); ++i)
                static_cast<void>(stats.importance(i));
            for (const auto& h : stats.hessians)
                if (h && h->size < 1000)
                    static_cast<void>(h->matrix(progress));
        }
    } catch (const quern::Error&) {
        return 0;
    }
    return 0;
}
