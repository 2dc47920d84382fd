#include "core/collector.h"

#include "core/floats.h"

#include <algorithm>
#include <cassert>

namespace quern {
namespace {

using Weight = std::optional<LinearTensors>;

// The weights of a block in groups that see the same inputs, by what a block computes (see forward.cpp).
std::vector<std::vector<const Tensor*>> groups(const BlockTensors& block)
{
    const std::vector<std::vector<const Weight*>> all {
        {&block.query, &block.key, &block.value},
        {&block.fusedHeads},
        {&block.gate, &block.up},
        {&block.down},
        {&block.router, &block.sharedRouter, &block.sharedGate, &block.sharedUp},
        {&block.expertGate, &block.expertUp},
        {&block.expertDown},
        {&block.sharedDown},
    };
    std::vector<std::vector<const Tensor*>> there {{&block.output.weight}};
    for (const auto& group : all) {
        there.emplace_back();
        for (const Weight* weight : group)
            if (*weight)
                there.back().push_back(&(*weight)->weight);
        if (there.back().empty())
            there.pop_back();
    }
    return there;
}

std::uint64_t bytesOfHessian(long cols)
{
    return bytesOfFloats(Hessian::values(cols));
}

// Of inputs that are known in the original as well.
std::vector<long> driftingCols(const BlockTensors& block)
{
    std::vector<long> all;
    for (const auto& group : groups(block))
        if (group.front()->matrices() == 1)
            all.push_back(group.front()->cols());
    return all;
}

} // namespace

Collector::Collector(const BlockTensors* block, bool hessians)
    : m_hessians(hessians)
{
    if (!block)
        return;
    for (const auto& group : groups(*block))
        for (const Tensor* weight : group)
            m_leaders[weight->name] = group.front()->name;
}

std::vector<const Tensor*> Collector::weights(const BlockTensors& block)
{
    std::vector<const Tensor*> all;
    for (const auto& group : groups(block))
        all.insert(all.end(), group.begin(), group.end());
    return all;
}

std::uint64_t Collector::bytes(const BlockTensors& block, bool hessians)
{
    std::uint64_t all = 0;
    for (const auto& group : groups(block))
        all += InputSums::bytes(group.front()->matrices(), group.front()->cols(), hessians)
            + group.size() * OutputCounts::bytes();
    return all;
}

std::uint64_t Collector::finishingBytes(const BlockTensors& block, bool hessians)
{
    // H takes half of what its sums take, which go as it comes: only the first one comes on top.
    std::uint64_t largest = 0;
    for (const auto& group : groups(block))
        largest = std::max(largest, hessians ? bytesOfHessian(group.front()->cols()) : 0);
    return bytes(block, hessians) + largest + 2 * resultBytes(block);
}

std::uint64_t Collector::resultBytes(const BlockTensors& block)
{
    std::uint64_t all = 0;
    for (const auto& group : groups(block))
        for (const Tensor* weight : group)
            all += InputSums::resultBytes(weight->matrices(), weight->cols());
    return all;
}

std::uint64_t Collector::hessianBytes(const BlockTensors& block)
{
    std::uint64_t all = 0;
    for (const auto& group : groups(block))
        all += static_cast<std::uint64_t>(group.front()->matrices()) * bytesOfHessian(group.front()->cols());
    return all;
}

std::uint64_t Collector::driftBytes(const BlockTensors& block, long tokens)
{
    std::uint64_t all = 0;
    long most = 0;
    for (const long cols : driftingCols(block)) {
        all += ProductSum::bytes(2 * cols) - ProductSum::bytes(cols) + bytesOfFloats(tokens * cols);
        most = std::max(most, 2 * cols); // of inputs and what they lack side by side
    }
    return all + bytesOfFloats(tokens * most);
}

std::uint64_t Collector::driftFinishingBytes(const BlockTensors& block)
{
    std::uint64_t largest = 0;
    for (const long cols : driftingCols(block))
        largest = std::max(largest, bytesOfHessian(2 * cols) - bytesOfHessian(cols));
    return driftBytes(block, 0) + largest;
}

std::uint64_t Collector::driftedBytes(const BlockTensors& block)
{
    std::uint64_t all = 0;
    for (const long cols : driftingCols(block))
        all += bytesOfHessian(2 * cols) - bytesOfHessian(cols);
    return all;
}

Collector::Collected& Collector::of(const Tensor& weight)
{
    const auto found = m_collected.find(weight.name);
    if (found != m_collected.end())
        return found->second;
    const auto leader = m_leaders.find(weight.name);
    Collected collected {leader == m_leaders.end() ? weight.name : leader->second, nullptr, OutputCounts(weight.name)};
    if (collected.leader == weight.name)
        collected.inputs = std::make_unique<InputSums>(weight.name, weight.matrices(), weight.cols(), m_hessians);
    return m_collected.emplace(weight.name, std::move(collected)).first->second;
}

void Collector::addInputs(const Tensor& weight, long matrix, const Eigen::Ref<const Matrix>& x, Progress& progress)
{
    Collected& collected = of(weight);
    collected.count += static_cast<double>(x.rows());
    if (!collected.inputs)
        return;
    if (const Matrix original = std::move(collected.original); original.size() > 0)
        collected.inputs->add(matrix, x, original, progress);
    else
        collected.inputs->add(matrix, x, progress);
}

Observer Collector::original()
{
    const auto input = [this](const Tensor& weight, long, const Eigen::Ref<const Matrix>& x) {
        Collected& collected = of(weight);
        assert(collected.original.size() == 0);
        if (collected.inputs && weight.matrices() == 1)
            collected.original = x;
    };
    return {input, {}};
}

Observer Collector::observer(Progress& progress)
{
    const auto input = [this, &progress](const Tensor& weight, long matrix, const Eigen::Ref<const Matrix>& x) {
        addInputs(weight, matrix, x, progress);
    };
    const auto output = [this, &progress](const Tensor& weight, long, const Eigen::Ref<const Matrix>& y) {
        of(weight).outputs.add(y, progress);
    };
    return {input, output};
}

Calibration Collector::finished(Progress& progress)
{
    for ([[maybe_unused]] const auto& [name, collected] : m_collected)
        assert(collected.count == m_collected.at(collected.leader).count); // they do share their inputs
    std::map<std::string, InputStats, std::less<>> ofLeaders;
    for (auto& [name, collected] : m_collected)
        if (collected.inputs) {
            ofLeaders[name] = collected.inputs->finished(progress);
            collected.inputs.reset();
        }
    Calibration calibration;
    for (const auto& [name, collected] : m_collected) {
        InputStats& stats = calibration.inputs[name];
        stats = ofLeaders.at(collected.leader);
        stats.outputs = collected.outputs.finished();
    }
    m_collected.clear();
    return calibration;
}

} // namespace quern
