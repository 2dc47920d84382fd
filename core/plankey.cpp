#include "core/plankey.h"

#include "core/calibration.h"
#include "core/sha256.h"

namespace quern {
namespace {

template <typename Values>
std::span<const std::byte> bytesOf(const Values& values)
{
    return std::as_bytes(std::span(values.data(), static_cast<std::size_t>(values.size())));
}

} // namespace

std::string planKey(const Plan& plan, const Model& model, const Calibration* calibration)
{
    Sha256 hash;
    Recipe choices {.name = QUERN_VERSION,
                    .preset = nullptr,
                    .rewrites = plan.rewrites,
                    .rules = {},
                    .sequential = plan.sequential};
    for (std::size_t i = 0; i < plan.tensors.size(); ++i) {
        if (!plan.tensors[i].choice.quantizer && plan.rewrites.empty())
            continue;
        const std::string& name = model.tensors[i].name;
        if (plan.tensors[i].choice.quantizer)
            choices.rules.push_back({name, plan.tensors[i].choice});
        const InputStats* inputs = calibration ? calibration->find(name) : nullptr;
        if (!inputs)
            continue;
        // H is of the inputs that these sums are of.
        hash.add(bytesOf(name));
        hash.add(bytesOf(inputs->sumSquares));
        hash.add(bytesOf(inputs->counts));
        hash.add(std::as_bytes(std::span(inputs->hessians.empty() ? "0" : "1", 1)));
    }
    hash.add(bytesOf(toJson(choices, -1)));
    return hash.hexadecimal();
}

} // namespace quern
