#include "core/group.h"

#include "core/encoded.h"
#include "core/parallel.h"
#include "core/slab.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>

namespace quern {
namespace {

bool copies(const Choice& choice)
{
    return !choice.quantizer || !choice.format;
}

bool hasLevels(const Choice& choice)
{
    return !copies(choice) && choice.format->group == 1 && choice.format->place && !choice.format->floating();
}

// Calls use(number, slab, its rows) for slabs in any order, on all cores. The choice is no copy.
template <typename Use>
void forSlabs(const Tensor& tensor, const Choice& choice, const KnownInputs& inputs, const std::vector<Slab>& all,
              Progress& progress, const Use& use)
{
    const SlabInput in = previewInput(tensor, choice, inputs.stats, progress);
    Curvatures own;
    std::atomic<std::size_t> finished = 0;
    forEachSlab(in, all, inputs.curvatures ? *inputs.curvatures : own, progress,
                [&](const SlabInput& input, std::size_t s) {
                    NoProgress inner; // a slab is short; the loop around it polls
                    use(s, all[s], quantizedSlab(input, all[s], true, inner));
                    progress.report(static_cast<double>(++finished) / static_cast<double>(all.size()), tensor.name);
                });
}

// Sum over groups of (mean squared error / step^2), and how many groups had a step.
struct ErrorPerStep {
    double sum = 0;
    long groups = 0;

    void add(const SlabResult& rows, LevelSteps& steps, long group)
    {
        std::vector<float> step(static_cast<std::size_t>(steps.groups()));
        for (long row = 0; row < rows.original.rows(); ++row) {
            steps.ofRow(rows.bytes, row, step.data());
            for (long g = 0; g < steps.groups(); ++g) {
                const float s = step[static_cast<std::size_t>(g)];
                if (!(s > 0))
                    continue;
                const long first = g * group, n = std::min(group, rows.original.cols() - first);
                const auto error = (rows.original.row(row).segment(first, n) - rows.decoded.row(row).segment(first, n))
                                       .cast<double>();
                sum += error.squaredNorm() / static_cast<double>(n) / (static_cast<double>(s) * s);
                ++groups;
            }
        }
    }
};

} // namespace

GroupLevels groupLevels(const Tensor& tensor, const Choice& choice, const KnownInputs& inputs, long row, long group,
                        Progress& progress)
{
    const QuantizedRows rows = quantizedRows(tensor, choice, inputs, row, 1, progress);
    const BlockFormat& format = copies(choice) ? *tensor.format : *choice.format;
    const long cols = tensor.cols(), size = groupSize(format, cols);
    GroupLevels found {.first = std::clamp(group, 0L, std::max(cols - 1, 0L) / size) * size};
    const long n = std::min(size, cols - found.first);
    found.original.assign(rows.original.data() + found.first, rows.original.data() + found.first + n);
    found.decoded.assign(rows.decoded.data() + found.first, rows.decoded.data() + found.first + n);
    if (hasLevels(choice)) {
        const Place place = placeOf(format, rows.blocks, found.first);
        found.levels = levels(format, place.block, place.first);
    }
    return found;
}

Matrix groupSteps(const Tensor& tensor, const Choice& choice, const KnownInputs& inputs, Progress& progress)
{
    if (!hasLevels(choice) || tensor.count() == 0)
        return {};
    Matrix found(tensor.rows(), LevelSteps(*choice.format, tensor.cols()).groups());
    forSlabs(tensor, choice, inputs, slabs(tensor), progress,
             [&](std::size_t, const Slab& slab, const SlabResult& result) {
                 LevelSteps steps(*choice.format, tensor.cols());
                 for (long row = 0; row < slab.rows; ++row)
                     steps.ofRow(result.bytes, row, found.row(slab.first + row).data());
             });
    return found;
}

QuantizedSample quantizedSample(const Tensor& tensor, const Choice& choice, const KnownInputs& inputs,
                                std::span<const Histogram> bins, long stride, Progress& progress)
{
    QuantizedSample sample;
    for (const Histogram& asked : bins)
        sample.histograms.push_back({asked.low, asked.high, std::vector<std::uint64_t>(asked.counts.size())});
    if (tensor.count() == 0 || copies(choice))
        return sample;
    const std::vector<Histogram> empty = sample.histograms;
    const std::vector<Slab> all = slabs(tensor, stride);
    std::vector<ErrorPerStep> errors(all.size()); // added up in order: sums of floating numbers depend on it
    std::mutex counting;                          // sums of whole numbers do not
    forSlabs(tensor, choice, inputs, all, progress, [&](std::size_t s, const Slab& slab, const SlabResult& result) {
        std::vector<Histogram> counted = empty;
        for (Histogram& histogram : counted)
            for (const float x : result.decoded.reshaped<Eigen::RowMajor>())
                histogram.add(x);
        if (LevelSteps steps(*choice.format, tensor.cols()); hasLevels(choice))
            errors[s].add(result, steps, groupSize(*choice.format, tensor.cols()));
        const std::lock_guard lock(counting);
        for (std::size_t h = 0; h < counted.size(); ++h)
            sample.histograms[h].merge(counted[h]);
        sample.rows += slab.rows;
    });
    ErrorPerStep error;
    for (const ErrorPerStep& part : errors) {
        error.sum += part.sum;
        error.groups += part.groups;
    }
    if (error.groups > 0)
        sample.errorPerStep = std::sqrt(error.sum / static_cast<double>(error.groups));
    return sample;
}

std::shared_ptr<const QuantizedCopy> quantizedCopy(const Tensor& tensor, const Choice& choice,
                                                   const KnownInputs& inputs, Progress& progress)
{
    auto made = std::make_shared<QuantizedCopy>(QuantizedCopy {{}, tensor});
    if (copies(choice) || tensor.count() == 0)
        return made;
    made->tensor = encodedAt(tensor, *choice.format, 0);
    const std::size_t rowBytes = made->tensor.rowBytes();
    made->bytes.resize(encodedBytes(made->tensor));
    forSlabs(tensor, choice, inputs, slabs(tensor), progress,
             [&](std::size_t, const Slab& slab, const SlabResult& result) {
                 std::ranges::copy(result.bytes,
                                   made->bytes.begin()
                                       + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(slab.first) * rowBytes));
             });
    made->tensor = encodedIn(made->bytes, made->tensor);
    return made;
}

} // namespace quern
