#pragma once

#include "core/calibration.h"

namespace quern {

// How much of a calibration's tokens was routed to the experts of a model. Those that no token reached are quantized as
// if all of their weights counted alike, as llama.cpp does; the importance of those that few reached is taken as it is.
class Coverage {
public:
    // Counts the experts of a tensor; nothing where `stats` has not one count for each of several.
    void add(const std::string& tensor, const InputStats& stats);
    std::vector<std::string> sentences() const; // for the user, one for each kind of lack

private:
    static constexpr double kFew = 0.01; // of the mean of its tensor

    struct Lack {
        std::size_t count = 0;
        std::string first; // "3 of blk.0.ffn_up_exps.weight"
    };

    std::size_t m_all = 0;
    Lack m_none, m_few;
};

} // namespace quern
