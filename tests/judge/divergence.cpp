#include "llama.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace judge {
namespace {

// ln of the sum of exp.
double total(std::span<const float> logits)
{
    const double largest = *std::ranges::max_element(logits);
    double sum = 0;
    for (const float logit : logits)
        sum += std::exp(logit - largest);
    return largest + std::log(sum);
}

// sum of p (ln p - ln q)
double divergence(std::span<const float> reference, std::span<const float> model)
{
    const double p = total(reference), q = total(model);
    double sum = 0;
    for (std::size_t i = 0; i < reference.size(); ++i)
        sum += std::exp(reference[i] - p) * (reference[i] - p - (model[i] - q));
    return sum;
}

} // namespace

double divergence(const Llama& model, const Llama& reference, std::string_view text, int context, int chunks)
{
    const std::size_t size = reference.vocabulary();
    if (model.vocabulary() != size)
        throw std::runtime_error("The two models have vocabularies of different sizes.");
    std::vector<float> expected;
    reference.predict(text, context, chunks, [&](std::span<const float> logits, std::int32_t) {
        expected.insert(expected.end(), logits.begin(), logits.end());
    });
    double sum = 0;
    std::size_t at = 0;
    model.predict(text, context, chunks, [&](std::span<const float> logits, std::int32_t) {
        if ((at + 1) * size > expected.size())
            throw std::runtime_error("The two models read the text as different tokens.");
        sum += divergence(std::span(expected).subspan(at++ * size, size), logits);
    });
    return sum / static_cast<double>(at);
}

} // namespace judge
