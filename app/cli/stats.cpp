#include "core/stats.h"

#include "app/cli/command.h"
#include "app/cli/output.h"
#include "core/error.h"
#include "core/pattern.h"

#include <algorithm>
#include <cmath>

namespace {

constexpr Option kOptions[] {
    {"--tensor", "GLOB", "only tensors whose names match, e.g. 'blk.*.ffn_down.weight' or '/attn_[qk]/'"},
    {"--bins", "N", "bins of the histograms, 1 to 65536; 256 if absent"},
};
constexpr std::size_t kTop = 10;     // input channels listed
constexpr std::size_t kDetailed = 8; // up to as many tensors are shown with histogram and channels

Json toJson(const quern::Histogram& histogram)
{
    return {{"low", histogram.low},
            {"high", histogram.high},
            {"counts", histogram.counts},
            {"below", histogram.below},
            {"above", histogram.above}};
}

Json toJson(const quern::Tensor& tensor, const quern::TensorStats& stats)
{
    Json channels = Json::array();
    for (const quern::Channel& channel : stats.topChannels(kTop))
        channels.push_back({{"channel", channel.index}, {"absmax", channel.absMax}});
    return {{"name", tensor.name},
            {"shape", tensor.shape},
            {"format", tensor.format->name},
            {"bytes", tensor.bytes.size()},
            {"min", stats.min},
            {"max", stats.max},
            {"mean", stats.mean},
            {"std", stats.std},
            {"skewness", stats.skewness},
            {"kurtosis", stats.kurtosis},
            {"absmax", stats.absMax},
            {"zeros", stats.zeros},
            {"nonfinite", stats.nonFinite},
            {"outliers", stats.outliers},
            {"histogram", toJson(stats.histogram)},
            {"centre", toJson(stats.centre)},
            {"top_channels", channels}};
}

// Counts as bars, on a logarithmic scale: rare weights stay visible.
std::string bars(const quern::Histogram& histogram)
{
    constexpr std::size_t kBars = 64;
    constexpr const char* kLevels[] {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    std::vector<double> sums(std::min(kBars, histogram.counts.size()));
    for (std::size_t i = 0; i < histogram.counts.size(); ++i)
        sums[i * sums.size() / histogram.counts.size()] += static_cast<double>(histogram.counts[i]);
    const double most = std::log1p(*std::ranges::max_element(sums));
    std::string text;
    for (const double sum : sums)
        text += kLevels[most > 0 ? static_cast<std::size_t>(std::ceil(8 * std::log1p(sum) / most)) : 0];
    return text;
}

void detail(const quern::Tensor& tensor, const quern::TensorStats& stats)
{
    say("\n" + quern::toText(tensor.name) + ": logarithm of the counts from " + significant(stats.histogram.low)
        + " to " + significant(stats.histogram.high));
    say("|" + bars(stats.histogram) + "|");
    std::string channels = "largest input channels:";
    for (const quern::Channel& channel : stats.topChannels(kTop))
        channels += "  " + std::to_string(channel.index) + " (" + significant(channel.absMax) + ")";
    say(channels);
}

std::vector<std::string> row(const quern::Tensor& tensor, const quern::TensorStats& s)
{
    return {quern::toText(tensor.name), dimensions(tensor.shape),    std::string(tensor.format->name),
            significant(s.min),         significant(s.max),          significant(s.mean),
            significant(s.std),         significant(s.skewness),     significant(s.kurtosis),
            std::to_string(s.zeros),    std::to_string(s.nonFinite), std::to_string(s.outliers)};
}

std::vector<const quern::Tensor*> selected(const quern::Model& model, const std::string& pattern)
{
    const quern::Pattern wanted(pattern);
    std::vector<const quern::Tensor*> tensors;
    for (const quern::Tensor& tensor : model.tensors)
        if (wanted.matches(tensor.name))
            tensors.push_back(&tensor);
    if (tensors.empty())
        quern::fail("No tensor of %1 has a name that matches %2.", model.path.string(), pattern);
    return tensors;
}

void run(const Arguments& arguments, quern::Progress& progress)
{
    const bool json = arguments.has("--json");
    const int bins = static_cast<int>(arguments.number("--bins", 1, 65536, 256));
    const quern::Model model = opened(arguments.positional()[0], json);
    const auto tensors = selected(model, arguments.text("--tensor", "*"));
    Json all = Json::array();
    Table table({"tensor", "shape", "format", "min", "max", "mean", "std", "skewness", "kurtosis", "zeros", "nonfinite",
                 "outliers"});
    std::vector<quern::TensorStats> kept;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        progress.report(static_cast<double>(i) / static_cast<double>(tensors.size()), tensors[i]->name);
        quern::TensorStats stats = quern::tensorStats(*tensors[i], bins, progress);
        model.check();
        if (json)
            all.push_back(toJson(*tensors[i], stats));
        table.add(row(*tensors[i], stats));
        if (tensors.size() <= kDetailed)
            kept.push_back(std::move(stats));
    }
    progress.report(1, "");
    if (json)
        return print({{"tensors", all}, {"warnings", model.warnings}});
    table.print();
    for (std::size_t i = 0; i < kept.size(); ++i)
        detail(*tensors[i], kept[i]);
}

} // namespace

const Command statsCommand {.name = "stats",
                            .positional = "MODEL",
                            .summary = "how the weights of every tensor are distributed",
                            .least = 1,
                            .most = 1,
                            .options = kOptions,
                            .repeatable = {},
                            .run = run};
