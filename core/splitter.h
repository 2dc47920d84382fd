#pragma once

#include "core/splits.h"

#include <memory>
#include <vector>

namespace quern {

// A split, ready to run; for several threads at once. Bounded in time for any text.
class Splitter {
public:
    explicit Splitter(const Split& split);
    ~Splitter();
    Splitter(Splitter&&) noexcept;
    Splitter& operator=(Splitter&&) noexcept;

    // Lengths of the pieces in bytes, one after another; false if the text has to be repaired first
    // (core/characters.h). text: less than 4 GiB. Throws Error if a pattern takes too many steps.
    bool pieces(std::string_view text, std::vector<std::uint32_t>& lengths) const;

private:
    struct Step;

    std::vector<Step> m_steps;
};

} // namespace quern
