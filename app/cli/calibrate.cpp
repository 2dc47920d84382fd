#include "core/calibrate.h"

#include "app/cli/calibrate.h"
#include "app/cli/chunks.h"
#include "app/cli/command.h"
#include "app/cli/output.h"
#include "core/error.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

namespace {

constexpr Option kOptions[] {
    {"--text", "FILE", "the text to read"},
    {"--output", "CAL.gguf", "the file to write; llama.cpp reads it as an importance matrix", "-o"},
    {"--ctx", "N", "tokens of a chunk, each read by itself; 512 if absent"},
    {"--chunks", "N", "chunks at most; all if absent"},
    {"--hessian", nullptr, "collect H = E[x x^T] of every input as well: n (n + 1) / 2 floats for n columns"},
    {"--process-output", nullptr, "collect the inputs of the output matrix as well"},
    {"--overwrite", nullptr, "replace CAL.gguf if it exists"},
};

constexpr double kTop = 0.01; // share of the channels whose energy is shown

// What the inputs of one weight are like, over all its experts.
struct Summary {
    double count = 0;
    double rms = 0;       // of all x_i
    double largest = 0;   // |x_i|; 0 if it is not known
    double topEnergy = 0; // share of the sum of squares that the top 1 % of the channels have
    double spread = 0;    // largest over median root mean square of a channel
};

Summary summary(const quern::InputStats& stats)
{
    const Eigen::RowVectorXd sums = stats.sumSquares.colwise().sum();
    std::vector<double> energies(sums.data(), sums.data() + sums.size());
    std::ranges::sort(energies, std::greater());
    const auto channels = static_cast<double>(energies.size());
    const double all = std::accumulate(energies.begin(), energies.end(), 0.0);
    const auto top = static_cast<std::ptrdiff_t>(std::ceil(kTop * channels));
    Summary s;
    s.count = std::accumulate(stats.counts.begin(), stats.counts.end(), 0.0);
    s.rms = s.count > 0 ? std::sqrt(all / (s.count * channels)) : 0;
    s.largest = stats.maxMagnitudes.size() > 0 ? static_cast<double>(stats.maxMagnitudes.maxCoeff()) : 0;
    s.topEnergy = all > 0 ? std::accumulate(energies.begin(), energies.begin() + top, 0.0) / all : 0;
    const double median = energies[energies.size() / 2];
    s.spread = median > 0 ? std::sqrt(energies.front() / median) : 0;
    return s;
}

Json toJson(const std::string& name, const quern::InputStats& stats)
{
    const Summary s = summary(stats);
    return {{"name", name},
            {"experts", stats.counts.size()},
            {"channels", stats.sumSquares.cols()},
            {"tokens", s.count},
            {"rms", s.rms},
            {"absmax", s.largest},
            {"top_percent_energy", s.topEnergy},
            {"channel_spread", s.spread},
            {"hessian", !stats.hessians.empty()}};
}

void printTable(const Json& json)
{
    Table table({"tensor", "channels", "tokens", "rms", "largest", "energy of top 1 %", "largest/median channel"});
    for (const Json& t : json["tensors"])
        table.add({quern::toText(t["name"].get<std::string>()), std::to_string(t["channels"].get<long>()),
                   std::to_string(static_cast<long>(t["tokens"].get<double>())), significant(t["rms"].get<double>()),
                   significant(t["absmax"].get<double>()), fixed(100 * t["top_percent_energy"].get<double>(), 1) + " %",
                   significant(t["channel_spread"].get<double>())});
    table.print();
    say("\n" + chunksText(json["chunks"].get<long>(), json["context"].get<long>()) + ", "
        + fixed(json["seconds"].get<double>(), 1) + " s\nwritten to " + json["output"].get<std::string>());
}

// What it will take, before it starts.
void announce(const quern::Model& model, const quern::Chunks& chunks, quern::CalibrateOptions options,
              const std::string& output)
{
    options.checkpoint = quern::checkpointOf(output);
    std::string line = needsText(quern::calibrationNeeds(model, chunks, options), chunks);
    if (std::error_code none; std::filesystem::exists(options.checkpoint / "state", none))
        line += "; what " + options.checkpoint.string() + " holds of the same calibration is taken up";
    note(line);
}

void run(const Arguments& arguments, quern::Progress& progress)
{
    const bool json = arguments.has("--json");
    const std::string output = arguments.text("--output");
    if (output.empty())
        throw WrongUsage("the file to write is missing: -o CAL.gguf");
    if (!arguments.has("--text"))
        throw WrongUsage("the text to read is missing: --text FILE");
    const quern::Model model = opened(arguments.positional()[0], json);
    const quern::Chunks chunks = textChunks(arguments, model, progress);
    const quern::CalibrateOptions options {.hessians = arguments.has("--hessian"),
                                           .processOutput = arguments.has("--process-output"),
                                           .datasets = {textName(arguments)},
                                           .workspace = {},
                                           .checkpoint = {},
                                           .blockDone = {}};
    if (!json)
        announce(model, chunks, options, output);
    const auto start = std::chrono::steady_clock::now();
    const quern::Calibration calibration
        = quern::calibrateInto(output, arguments.has("--overwrite"), model, chunks, options, progress);
    Json result {{"output", output},
                 {"bytes", std::filesystem::file_size(output)},
                 {"tokens", chunks.tokens.size()},
                 {"context", chunks.context},
                 {"chunks", chunks.count()},
                 {"seconds", std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()},
                 {"tensors", Json::array()},
                 {"warnings", model.warnings}};
    for (const auto& [name, stats] : calibration.inputs)
        result["tensors"].push_back(toJson(name, stats));
    const std::vector<std::string> warnings = quern::shortcomings(calibration);
    for (const std::string& warning : warnings)
        result["warnings"].push_back(warning);
    if (json)
        return print(result);
    warn(warnings);
    printTable(result);
}

} // namespace

std::string calibrationPath(const Arguments& arguments)
{
    return arguments.text(arguments.has("--calibration") ? "--calibration" : "--imatrix");
}

std::optional<quern::Calibration> givenCalibration(const Arguments& arguments, const quern::Model& model, Making making,
                                                   quern::Progress& progress)
{
    const int ways
        = int {arguments.has("--calibration")} + int {arguments.has("--imatrix")} + int {arguments.has("--text")};
    if (ways > 1)
        throw WrongUsage("--calibration, --imatrix and --text exclude each other");
    if (!arguments.has("--text"))
        return calibrationAt(calibrationPath(arguments), model);
    if (making == Making::Nothing)
        throw WrongUsage("--dry-run reads no weights, so it cannot calibrate: --calibration FILE goes with it");
    quern::CalibrateOptions options;
    options.hessians = making == Making::SecondMoments;
    options.datasets = {textName(arguments)};
    const std::filesystem::path output = arguments.text("--output");
    options.workspace = output.has_parent_path() ? output.parent_path() : std::filesystem::path(".");
    return quern::calibrate(model, textChunks(arguments, model, progress), options, progress);
}

const Command calibrateCommand {.name = "calibrate",
                                .positional = "MODEL --text FILE -o CAL.gguf",
                                .summary = "what every weight sees as input while the model reads a text",
                                .least = 1,
                                .most = 1,
                                .options = kOptions,
                                .repeatable = {},
                                .run = run};
