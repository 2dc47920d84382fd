#include "core/parallel.h"
#include "core/secondmoments.h"
#include "core/slab.h"

#include <cassert>

namespace quern {
namespace {

Choice complete(const Tensor& tensor, Choice choice)
{
    if (!choice.quantizer)
        choice.format = tensor.format;
    assert(choice.format);
    return choice;
}

} // namespace

QuantizedRows quantizedRows(const Tensor& tensor, const Choice& choice, const KnownInputs& inputs, long first, long n,
                            Progress& progress)
{
    assert(first >= 0 && n > 0 && first + n <= tensor.rows());
    const Choice whole = complete(tensor, choice);
    const long rowsOfMatrix = tensor.rows() / tensor.matrices(), matrix = first / rowsOfMatrix;
    SlabInput in = previewInput(tensor, whole, inputs.stats, progress);
    Curvatures own;
    const auto curvature = (inputs.curvatures ? inputs.curvatures : &own)->of(whole, inputs.stats, matrix, progress);
    in.curvature = curvature.get();
    SlabResult result = quantizedSlab(in, {matrix, first, n}, true, progress);
    return {std::move(result.original), std::move(result.decoded), std::move(result.bytes)};
}

Distortion preview(const Tensor& tensor, const Choice& choice, const KnownInputs& inputs, long stride,
                   Progress& progress)
{
    const Choice whole = complete(tensor, choice);
    SlabInput in = previewInput(tensor, whole, inputs.stats, progress);
    in.effort = stride > 1 ? Effort::Fast : Effort::Best;
    Curvatures own, ofNone;
    const Measuring measuring {nullptr, ofNone};
    const bool byMoments = stride == 1 && hasMoments(inputs.stats);
    in.measuring = byMoments ? &measuring : nullptr;
    const std::vector<Slab> all = slabs(tensor, stride);
    std::vector<Distortion> parts(all.size());
    std::vector<OutputError> outputs(all.size());
    forEachSlab(in, all, inputs.curvatures ? *inputs.curvatures : own, progress,
                [&](const SlabInput& input, std::size_t i) {
                    NoProgress inner;
                    const SlabResult result = measuredSlab(input, all[i], inner);
                    parts[i] = result.method;
                    outputs[i] = result.seen;
                });
    Distortion total;
    for (const Distortion& part : parts)
        total.merge(part);
    OutputError output;
    for (const OutputError& part : outputs)
        output.merge(part);
    if (output.power > 0) {
        total.outputError = output.error;
        total.outputPower = output.power;
    }
    return total;
}

} // namespace quern
