// Every encoder beside ggml's, on one core: weights a second, and the squared error, weighted by the importance, over
// that of ggml. Both get the same rows, the same importance and the same number of bytes.
//     bench_encode [NAME ...]    formats whose names contain one of these; all if none is given
#include "core/blockformat.h"
#include "core/calibrate.h"
#include "tests/judge/ggml.h"

#include <cmath>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <functional>
#include <iterator>
#include <numeric>
#include <random>
#include <string>

using namespace quern;

namespace {

struct Rows {
    std::size_t cols;
    std::vector<float> x, importance; // rows x cols; cols

    std::size_t count() const { return x.size() / cols; }
};

struct Source {
    std::string name;
    std::vector<Rows> matrices;
};

constexpr std::size_t kRows = 64, kCols = 2048;
constexpr long kRowsOfTensor = 24; // evenly spread: enough to tell encoders apart, little enough for slow ones

// Weights that draw(random, column) gives, under an importance as different from channel to channel as real ones are.
Source drawn(const std::string& name, const std::function<float(std::mt19937&, std::size_t)>& draw)
{
    std::mt19937 random(11);
    Rows rows {kCols, std::vector<float>(kRows * kCols), std::vector<float>(kCols)};
    for (std::size_t i = 0; i < rows.x.size(); ++i)
        rows.x[i] = 0.02f * draw(random, i % kCols);
    std::lognormal_distribution<float> importance(0.0f, 1.5f);
    for (float& w : rows.importance)
        w = importance(random);
    return {name, {rows}};
}

std::vector<Source> drawnSources()
{
    std::normal_distribution<float> normal;
    std::exponential_distribution<float> exponential;
    std::student_t_distribution<float> student(4);
    return {
        drawn("normal", [=](auto& random, std::size_t) mutable { return normal(random); }),
        drawn("Laplace",
              [=](auto& random, std::size_t) mutable { return std::copysign(exponential(random), normal(random)); }),
        drawn("Student", [=](auto& random, std::size_t) mutable { return student(random); }),
        drawn("outliers", [=](auto& random, std::size_t column) mutable {
            return normal(random) * (column % 97 == 0 ? 20.0f : 1.0f);
        })};
}

// Some rows of a tensor; as many joined into one as it takes for blocks of 256, which narrow models lack.
Rows rowsOf(const Tensor& tensor, const InputStats& stats)
{
    const long cols = tensor.cols(), joined = 256 / std::gcd(cols, 256L);
    const long rows = tensor.rows() / joined, n = std::min(rows, kRowsOfTensor);
    const auto width = static_cast<std::size_t>(joined * cols);
    Rows result {width, std::vector<float>(static_cast<std::size_t>(n) * width), {}};
    for (long i = 0; i < n; ++i)
        decodeRows(tensor, i * rows / n * joined, joined, result.x.data() + static_cast<std::size_t>(i) * width);
    const std::vector<float> importance = stats.importance(0);
    for (long i = 0; i < joined; ++i)
        result.importance.insert(result.importance.end(), importance.begin(), importance.end());
    return result;
}

std::string textOf(const std::string& path)
{
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

// The matrices of a model, with what their inputs are on a text.
Source modelSource(const std::string& name, const std::string& path, const std::string& text)
{
    const Model model = openModel(path);
    NoProgress progress;
    const Chunks chunks = chunksOf(tokenizerOf(model), textOf(text), 256, 16, progress);
    const Calibration calibration = calibrate(model, chunks, {}, progress);
    Source source {name, {}};
    for (const Tensor& tensor : model.tensors)
        if (const InputStats* stats = calibration.find(tensor.name))
            source.matrices.push_back(rowsOf(tensor, *stats));
    return source;
}

std::vector<Source> modelSources()
{
    const std::string shared = QUERN_SHARED_DIR, demo = std::string(QUERN_SOURCE_DIR) + "/resources/demo/demo";
    struct Place {
        std::string name, path, text;
    };
    std::vector<Source> sources;
    for (const Place& place :
         {Place {"demo", demo, demo + "/calibration.txt"},
          {"prose-qwen2", shared + "/models/prose-qwen2", shared + "/text/jargon-file-4.4.7.txt"},
          {"babyllama", shared + "/models/babyllama-tok361", shared + "/text/tinyshakespeare.txt"}})
        if (std::ifstream(place.path + "/config.json"))
            sources.push_back(modelSource(place.name, place.path, place.text));
        else
            std::printf("Without %s: there is no %s.\n", place.name.c_str(), place.path.c_str());
    return sources;
}

std::vector<std::byte> encodedByUs(const BlockFormat& format, const Rows& rows, bool weighted)
{
    const std::size_t rowBytes = format.rowBytes(static_cast<long>(rows.cols));
    std::vector<std::byte> blocks(rows.count() * rowBytes);
    const Fit fit {.importance = weighted ? std::span(rows.importance) : std::span<const float>()};
    for (std::size_t i = 0; i < rows.count(); ++i)
        format.encode(format, std::span(rows.x).subspan(i * rows.cols, rows.cols), fit, blocks.data() + i * rowBytes);
    return blocks;
}

std::vector<std::byte> encodedByGgml(const BlockFormat& format, const Rows& rows, bool weighted)
{
    return judge::Ggml::instance().encode(static_cast<int>(format.id), rows.x, static_cast<std::int64_t>(rows.count()),
                                          static_cast<std::int64_t>(rows.cols),
                                          weighted ? rows.importance.data() : nullptr);
}

double error(const BlockFormat& format, const Rows& rows, const std::vector<std::byte>& blocks, bool weighted)
{
    std::vector<float> decoded(rows.x.size());
    const std::size_t rowBytes = format.rowBytes(static_cast<long>(rows.cols));
    for (std::size_t i = 0; i < rows.count(); ++i)
        format.decode(format, blocks.data() + i * rowBytes, std::span(decoded).subspan(i * rows.cols, rows.cols));
    double sum = 0;
    for (std::size_t i = 0; i < decoded.size(); ++i)
        sum += (weighted ? double(rows.importance[i % rows.cols]) : 1.0) * std::pow(double(rows.x[i]) - decoded[i], 2);
    return sum;
}

double processorSeconds()
{
    timespec time {};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Millions of weights a second: the best of three tries of at least a tenth of a second, in turns with the other.
struct Speed {
    double ours = 0, ggml = 0;
};

template <typename Run>
double speedOf(std::size_t weights, const Run& run)
{
    const double begin = processorSeconds();
    double runs = 0, seconds = 0;
    for (; seconds < 0.1; seconds = processorSeconds() - begin, ++runs)
        run();
    return runs * static_cast<double>(weights) / seconds / 1e6;
}

Speed speed(const BlockFormat& format, const Rows& rows, bool weighted)
{
    Speed best;
    for (int i = 0; i < 3; ++i) {
        best.ours = std::max(best.ours, speedOf(rows.x.size(), [&] { encodedByUs(format, rows, weighted); }));
        best.ggml = std::max(best.ggml, speedOf(rows.x.size(), [&] { encodedByGgml(format, rows, weighted); }));
    }
    return best;
}

void printLine(const BlockFormat& format, const std::vector<Source>& sources, bool weighted)
{
    const Speed rate = speed(format, sources.back().matrices.front(), weighted);
    std::printf("%-8s %-10s %7.1f %7.1f %6.1f ", std::string(format.name).c_str(), weighted ? "importance" : "",
                rate.ours, rate.ggml, rate.ours / rate.ggml);
    double total = 0, worst = 0;
    for (const Source& source : sources) {
        double sum = 0;
        for (const Rows& rows : source.matrices) {
            const double ratio = error(format, rows, encodedByUs(format, rows, weighted), weighted)
                / error(format, rows, encodedByGgml(format, rows, weighted), weighted);
            sum += ratio;
            worst = std::max(worst, ratio);
        }
        const double mean = sum / static_cast<double>(source.matrices.size());
        std::printf(" %11.3f", mean);
        total += mean;
    }
    std::printf(" %8.3f %7.3f\n", total / static_cast<double>(sources.size()), worst);
    std::fflush(stdout);
}

bool wanted(const BlockFormat& format, std::span<char* const> names)
{
    const judge::Type* type = judge::Ggml::instance().find(static_cast<int>(format.id));
    if (!format.encode || !format.inGguf() || format.floating() || !type || !type->encodable)
        return false;
    return names.empty()
        || std::ranges::any_of(names, [&](const char* name) { return format.name.find(name) != std::string::npos; });
}

} // namespace

int main(int argc, char** argv)
{
    if (!judge::Ggml::instance().available()) {
        std::printf("%s\n", judge::Ggml::instance().reason().c_str());
        return 1;
    }
    std::vector<Source> sources = modelSources();
    for (Source& source : drawnSources())
        sources.push_back(std::move(source));
    std::printf("%-19s %23s  squared error over ggml's, mean of the matrices of\n", "", "million weights/s");
    std::printf("%-19s %7s %7s %6s ", "", "ours", "ggml's", "times");
    for (const Source& source : sources)
        std::printf(" %11s", source.name.c_str());
    std::printf(" %8s %7s\n", "mean", "worst");
    const std::span<char* const> names(argv + 1, static_cast<std::size_t>(argc - 1));
    for (const BlockFormat* format : blockFormats())
        if (wanted(*format, names))
            for (const bool weighted : {false, true}) {
                if (weighted || !judge::Ggml::instance().find(static_cast<int>(format->id))->needsImportance)
                    printLine(*format, sources, weighted);
            }
}
