#pragma once

#include "core/recipe.h"

#include <map>

namespace quern {

// Tensors that share a fate, told of in one sentence.
struct TensorGroup {
    std::size_t count = 0;
    std::string first;

    void add(const std::string& name)
    {
        if (count++ == 0)
            first = name;
    }
};

// Which method a tensor is quantized by: the one that was asked for, or nearest where that cannot be; usualMethod where
// none was. Keeps what there is to say of it.
class MethodChoice {
public:
    // Both outlive it. calibration: may be null.
    MethodChoice(const Recipe& recipe, const Calibration* calibration);

    // Of a preset's type: by the recipe's method, if it can produce it.
    Choice ofPreset(const Tensor& tensor, const BlockFormat& format);
    // Replaces a method that needs second moments of the inputs where there are none of this tensor.
    void replaceBlind(const Tensor& tensor, Choice& choice);

    // Throws Error if a method needs second moments and no tensor has any.
    void check() const;
    std::vector<std::string> sentences() const;

private:
    const Recipe& m_recipe;
    const Calibration* m_calibration;
    const Quantizer& m_nearest;
    std::map<std::string_view, TensorGroup> m_unsupported; // by the type's name
    std::map<std::string_view, TensorGroup> m_blind;       // by the method's name
    bool m_moments = false;                                // a tensor has those that its method needs
};

} // namespace quern
