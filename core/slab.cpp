#include "core/slab.h"

#include "core/error.h"
#include "core/mappedfile.h"
#include "core/parallel.h"
#include "core/rows.h"
#include "core/secondmoments.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cassert>
#include <chrono>
#include <cmath>

namespace quern {
namespace {

// Weights worked on together: what one thread holds stays within a few MB, and in its cache.
constexpr long kSlab = 1 << 17;
constexpr long kSampleRows = 8;
constexpr long kMeasuredRows = 512; // of a matrix whose outputs are measured, at least

long slabHeight(long cols)
{
    return std::max(1L, kSlab / std::max(cols, 1L));
}

std::uint64_t zeroed(float* x, long n)
{
    constexpr std::uint32_t kExponent = 0x7F800000; // all bits set: infinite or no number
    std::uint32_t found = 0;
    for (long i = 0; i < n; ++i)
        found += (std::bit_cast<std::uint32_t>(x[i]) & kExponent) == kExponent;
    if (found > 0)
        std::replace_if(
            x, x + n, [](float v) { return !std::isfinite(v); }, 0.0F);
    return found;
}

std::vector<std::byte> carried(const SlabInput& in, std::span<const std::byte> bytes, long rows)
{
    const BlockFormat& format = *in.choice.format;
    const long cols = in.tensor.cols();
    const std::size_t from = format.rowBytes(cols), to = in.stored.rowBytes(cols);
    std::vector<std::byte> result(static_cast<std::size_t>(rows) * to);
    if (format.carry && format.carrier == &in.stored) {
        for (std::size_t row = 0; row < static_cast<std::size_t>(rows); ++row)
            format.carry(format, bytes.data() + row * from, cols, result.data() + row * to);
        return result;
    }
    decodeEach(format, bytes, rows, cols, [&](long row, std::span<const float> q) {
        const auto [low, high] = std::ranges::minmax(q);
        const Fit fit {.importance = {}, .low = std::min(low, 0.0F), .high = std::max(high, 0.0F)};
        in.stored.encode(in.stored, q, fit, result.data() + static_cast<std::size_t>(row) * to);
    });
    return result;
}

std::vector<std::byte> copied(const SlabInput& in, const Slab& slab, const Matrix& w, bool changed)
{
    const BlockFormat& format = *in.tensor.format;
    const std::size_t rowBytes = format.rowBytes(w.cols());
    std::vector<std::byte> bytes(static_cast<std::size_t>(slab.rows) * rowBytes);
    if (changed && !(format.floating() && format.encode))
        fail(QUERN_TEXT(
                 "core",
                 "Tensor %1 holds weights that are no finite numbers in blocks of %2, which cannot be changed one "
                 "by one. Choose another format for it."),
             in.tensor.name, format.name);
    if (changed)
        encodeRows(format, w, {}, bytes);
    else
        for (long i = 0; i < slab.rows; ++i)
            std::copy_n(in.tensor.row(slab.first + i), rowBytes, bytes.data() + static_cast<std::size_t>(i) * rowBytes);
    return bytes;
}

std::vector<std::byte> chosen(const SlabInput& in, const Slab& slab, const Matrix& w, std::span<const float> importance,
                              Progress& progress)
{
    const BlockFormat& format = *in.choice.format;
    std::vector<std::byte> bytes(static_cast<std::size_t>(slab.rows) * format.rowBytes(w.cols()));
    const bool blind = in.choice.quantizer->curvature && !in.curvature;
    const Quantizer& quantizer = blind ? *findQuantizer("nearest") : *in.choice.quantizer;
    quantizer.run({.weights = w,
                   .importance = importance,
                   .low = in.low,
                   .high = in.high,
                   .format = format,
                   .settings = in.choice.settings,
                   .curvature = in.curvature,
                   .effort = in.effort},
                  bytes, progress);
    return bytes;
}

// Bytes that are read from the disk while those before them are worked on.
constexpr std::size_t kAhead = 16 << 20;

// Asks for what follows these rows by kAhead: a slab's worth, further on in the tensor or at the start of the next one.
void fetchAhead(const Model& model, std::size_t index, const Slab& slab)
{
    const Tensor& tensor = model.tensors[index];
    const std::size_t size = static_cast<std::size_t>(slab.rows) * tensor.rowBytes();
    std::span<const std::byte> bytes = tensor.bytes;
    std::size_t from = static_cast<std::size_t>(slab.first) * tensor.rowBytes() + kAhead;
    if (from >= bytes.size() && index + 1 < model.tensors.size()) {
        from -= bytes.size();
        bytes = model.tensors[index + 1].bytes;
    }
    if (from < bytes.size())
        MappedFile::fetch(bytes.subspan(from, std::min(size, bytes.size() - from)));
}

void setProbes(SlabInput& in, long matrix, const Curvature* seen, Progress& progress)
{
    const Measuring& measuring = *in.measuring;
    std::shared_ptr<const WalkMatrix> moments = seen ? seen->moments : nullptr;
    if (in.stats && in.stats->drifted) {
        in.stats->drifted->check(progress);
        moments = std::make_shared<const WalkMatrix>(*in.stats->drifted, progress);
    }
    const auto heldOut
        = measuring.ofHeldOut.withMoments({nullptr, in.choice.format, {}}, measuring.heldOut, matrix, progress);
    in.seen = OutputProbe(in.stats, matrix, std::move(moments));
    in.heldOut = OutputProbe(measuring.heldOut, matrix, heldOut ? heldOut->moments : nullptr);
}

// Whether outputs are measured on a slab: on as many, evenly spread, as have kMeasuredRows rows of the matrix together.
bool measuredOn(const Tensor& tensor, const Slab& slab)
{
    const long rows = tensor.rows() / tensor.matrices(), number = (slab.first % rows) / slabHeight(tensor.cols());
    return number % std::max(1L, rows / kMeasuredRows) == 0;
}

// Relative errors of the outputs, of all slabs.
void tellOutputs(const SlabInput& in, std::span<const SlabResult> parts, TensorResult& result)
{
    OutputError seen, heldOut;
    for (const SlabResult& part : parts) {
        seen.merge(part.seen);
        heldOut.merge(part.heldOut);
    }
    if (in.stats)
        result.rho = in.measuring && hasMoments(in.stats) ? seen.rho() : result.stored.rho();
    result.heldOutRho = heldOut.rho();
}

// Of matrices for which H was there and could not be used, or that saw no input although others did.
void warnOf(const WithoutCurvature& without, const SlabInput& in, std::vector<std::string>& warnings)
{
    if (without.count == 0)
        return;
    warnings.push_back(Error(QUERN_TEXT("core",
                                        "%1 of %2 matrices of tensor %3, the first being number %4, could not be "
                                        "treated by %5: their inputs are not known, or their second moments have no "
                                        "factor. They were rounded to the nearest values."),
                             {std::to_string(without.count), std::to_string(in.tensor.matrices()), in.tensor.name,
                              std::to_string(without.first), std::string(in.choice.quantizer->name)})
                           .what());
}

} // namespace

std::vector<Slab> slabs(const Tensor& tensor, long stride)
{
    const long matrices = tensor.matrices();
    const long rows = matrices > 0 ? tensor.rows() / matrices : 0; // of one matrix
    const long height = stride > 1 ? kSampleRows : slabHeight(tensor.cols());
    std::vector<Slab> all;
    for (long matrix = 0; matrix < matrices; ++matrix)
        for (long row = 0; row < rows; row += height * std::max(stride, 1L))
            all.push_back({matrix, matrix * rows + row, std::min(height, rows - row)});
    return all;
}

WithoutCurvature forEachSlab(const SlabInput& in, std::span<const Slab> slabs, Curvatures& curvatures,
                             Progress& progress, const std::function<void(const SlabInput&, std::size_t)>& body)
{
    const bool asks = in.choice.quantizer && in.choice.quantizer->curvature;
    WithoutCurvature without;
    for (std::size_t first = 0, last = 0; first < slabs.size(); first = last) {
        last = slabs.size();
        SlabInput input = in;
        std::shared_ptr<const Curvature> curvature;
        if (asks || in.measuring) {
            const long matrix = slabs[first].matrix;
            while (slabs[last - 1].matrix != matrix)
                --last;
            const double done = static_cast<double>(first) / static_cast<double>(slabs.size());
            ProgressPart part(progress, done, done); // watched for being cancelled
            curvature = in.measuring ? curvatures.withMoments(in.choice, in.stats, matrix, part)
                                     : curvatures.of(in.choice, in.stats, matrix, part);
            const bool serving = asks && curvature && serves(*curvature, in.choice);
            input.curvature = serving ? curvature.get() : nullptr;
            if (asks && !serving && without.count++ == 0)
                without.first = matrix;
            if (in.measuring)
                setProbes(input, matrix, curvature.get(), part);
        }
        parallelFor(static_cast<long>(last - first), progress,
                    [&](long i) { body(input, first + static_cast<std::size_t>(i)); });
    }
    return without;
}

SlabResult quantizedSlab(const SlabInput& in, const Slab& slab, bool keepValues, Progress& progress)
{
    const long cols = in.tensor.cols();
    Matrix w(slab.rows, cols);
    decodeRows(in.tensor, slab.first, slab.rows, w.data());
    SlabResult result;
    result.nonFinite = zeroed(w.data(), w.size());
    if (result.nonFinite > 0 && !in.zeroNonFinite)
        return result;
    Matrix original;
    if (in.original) {
        original.resize(slab.rows, cols);
        decodeRows(*in.original, slab.first, slab.rows, original.data());
    }
    const Matrix& against = in.original ? original : w;

    std::vector<float> importance;
    if (in.stats)
        importance = in.stats->importance(in.stats->sumSquares.rows() > 1 ? slab.matrix : 0);
    const float* h = importance.empty() ? nullptr : importance.data();
    if (keepValues)
        result.decoded.resize(slab.rows, cols);
    const auto measure = [&](const BlockFormat& format, Distortion& total) {
        decodeEach(format, result.bytes, slab.rows, cols, [&](long row, std::span<const float> q) {
            total.merge(distortion(against.row(row).data(), q.data(), h, cols));
            if (keepValues)
                std::ranges::copy(q, result.decoded.row(row).data());
        });
    };
    if (in.choice.quantizer)
        result.bytes = chosen(in, slab, w, importance, progress);
    else
        result.bytes = copied(in, slab, w, result.nonFinite > 0 || in.tensor.factors);
    measure(*in.choice.format, result.method);
    result.kept = result.method;
    if (in.choice.format != &in.stored) {
        result.bytes = carried(in, result.bytes, slab.rows);
        result.kept = {};
        measure(in.stored, result.kept);
    }
    if (keepValues)
        result.original = std::move(in.original ? original : w);
    return result;
}

SlabResult measuredSlab(const SlabInput& in, const Slab& slab, Progress& progress)
{
    const bool measured = in.measuring && measuredOn(in.tensor, slab);
    SlabResult result = quantizedSlab(in, slab, measured, progress);
    if (!measured || result.bytes.empty())
        return result;
    result.seen = in.seen.measure(result.original, result.decoded);
    result.heldOut = in.heldOut.measure(result.original, result.decoded);
    result.original.resize(0, 0);
    result.decoded.resize(0, 0);
    return result;
}

Range rangeFor(const BlockFormat& format, const Tensor& tensor, Progress& progress)
{
    if (format.affine.bits == 0 || format.affine.scope != Scope::Tensor)
        return {};
    const std::vector<Slab> all = slabs(tensor);
    std::vector<Range> ranges(all.size());
    parallelFor(static_cast<long>(all.size()), progress, [&](long i) {
        const auto s = static_cast<std::size_t>(i);
        Matrix w(all[s].rows, tensor.cols());
        decodeRows(tensor, all[s].first, all[s].rows, w.data());
        zeroed(w.data(), w.size());
        ranges[s] = {std::min(w.minCoeff(), 0.0F), std::max(w.maxCoeff(), 0.0F)};
    });
    Range range;
    for (const Range& part : ranges)
        range = {std::min(range.low, part.low), std::max(range.high, part.high)};
    return range;
}

SlabInput previewInput(const Tensor& tensor, const Choice& choice, const InputStats* stats, Progress& progress)
{
    const Range range = rangeFor(*choice.format, tensor, progress);
    return {.tensor = tensor,
            .choice = choice,
            .stored = *choice.format,
            .stats = stats,
            .low = range.low,
            .high = range.high,
            .zeroNonFinite = true};
}

TensorResult quantizedTensor(const Work& work, std::size_t index, const Sink& sink, Progress& progress)
{
    const auto start = std::chrono::steady_clock::now();
    const Tensor& tensor = work.model.tensors.at(index);
    const PlannedTensor& planned = work.plan.tensors.at(index);
    const Range range = rangeFor(*planned.choice.format, tensor, progress);
    const InputStats* stats = inputsOf(tensor, work.calibration);
    const Measuring measuring {inputsOf(tensor, work.options.heldOut), work.ofHeldOut};
    const bool known = hasMoments(stats) || measuring.heldOut;
    const SlabInput in {.tensor = tensor,
                        .choice = planned.choice,
                        .stored = work.carried ? *planned.stored : *planned.choice.format,
                        .stats = stats,
                        .low = range.low,
                        .high = range.high,
                        .zeroNonFinite = work.options.zeroNonFinite,
                        .measuring = planned.choice.quantizer && known ? &measuring : nullptr,
                        .original = work.original ? &work.original->tensors[index] : nullptr};
    const std::vector<Slab> all = slabs(tensor);
    std::vector<SlabResult> parts(all.size());
    std::atomic<std::size_t> finished = 0;
    const auto eachSlab = [&](const SlabInput& input, std::size_t s) {
        fetchAhead(work.model, index, all[s]);
        NoProgress inner; // a slab is short; the loop around it polls
        SlabResult result = measuredSlab(input, all[s], inner);
        work.model.check();
        if (!result.bytes.empty())
            sink(static_cast<std::uint64_t>(all[s].first) * in.stored.rowBytes(tensor.cols()), result.bytes);
        result.bytes = {};
        parts[s] = std::move(result);
        progress.report(static_cast<double>(++finished) / static_cast<double>(all.size()), tensor.name);
    };
    const WithoutCurvature without = forEachSlab(in, all, work.curvatures, progress, eachSlab);
    TensorResult result {.index = index, .method = {}, .stored = {}, .nonFinite = 0, .seconds = 0};
    warnOf(without, in, result.warnings);
    for (const SlabResult& part : parts) {
        result.method.merge(part.method);
        result.stored.merge(part.kept);
        result.nonFinite += part.nonFinite;
    }
    if (result.nonFinite > 0 && !work.options.zeroNonFinite)
        fail(
            QUERN_TEXT("core",
                       "Tensor %1 holds %2 weights that are infinite or no numbers. The model may be damaged; they can "
                       "be stored as 0 if you ask for it."),
            tensor.name, result.nonFinite);
    if (!std::isfinite(result.stored.errorSquares))
        fail(QUERN_TEXT("core",
                        "Tensor %1 has weights that %2 cannot hold: they would become infinite. Choose a format with a "
                        "wider range, such as BF16, for it."),
             tensor.name, in.stored.name);
    tellOutputs(in, parts, result);
    result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return result;
}

} // namespace quern
