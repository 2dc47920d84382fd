#include "app/cli/calibrate.h"
#include "app/cli/command.h"
#include "app/cli/output.h"
#include "core/distortion.h"
#include "core/error.h"

#include <algorithm>

namespace {

constexpr Option kOptions[] {
    {"--calibration", "CAL.gguf", "adds rho, the relative error of the outputs, by what quern-cli calibrate saw"},
    {"--imatrix", "FILE", "the same with an importance matrix of llama.cpp"},
};

// E[x^2] of every column, for every matrix of the tensor; empty without statistics.
std::vector<float> importanceOf(const quern::Tensor& tensor, const quern::Calibration* calibration)
{
    const quern::InputStats* inputs = quern::inputsOf(tensor, calibration);
    std::vector<float> all;
    for (long matrix = 0; inputs && matrix < inputs->sumSquares.rows(); ++matrix)
        std::ranges::copy(inputs->importance(matrix), std::back_inserter(all));
    return all;
}

Json toJson(const quern::Tensor& stored, const quern::Distortion& d, bool weighted)
{
    return {{"name", stored.name},
            {"shape", stored.shape},
            {"format", stored.format->name},
            {"bytes", stored.bytes.size()},
            {"bits_per_weight",
             8.0 * static_cast<double>(stored.bytes.size()) / static_cast<double>(std::max(stored.count(), 1L))},
            {"rel_rmse", d.relative()},
            {"rmse", d.rmse()},
            {"sqnr_db", d.sqnr()},
            {"max_abs_error", d.largest},
            {"cosine", d.cosine()},
            {"rho", weighted ? Json(d.rho()) : Json()}};
}

void noteMissing(const quern::Model& from, const quern::Model& in, const char* text, std::vector<std::string>& warnings)
{
    for (const quern::Tensor& tensor : from.tensors)
        if (!in.find(tensor.name))
            warnings.push_back(quern::toText(tensor.name) + text);
}

void printTable(const Json& json)
{
    Table table({"tensor", "format", "bits", "rel. error", "SQNR dB", "max error", "cosine", "rho"});
    for (const Json& t : json["tensors"])
        table.add({quern::toText(t["name"].get<std::string>()), t["format"].get<std::string>(),
                   fixed(t["bits_per_weight"].get<double>(), 3), significant(t["rel_rmse"].get<double>()),
                   significant(t["sqnr_db"].get<double>()), significant(t["max_abs_error"].get<double>()),
                   fixed(t["cosine"].get<double>(), 7),
                   t["rho"].is_null() ? "-" : significant(t["rho"].get<double>())});
    table.print();
    say("\n" + size(json["bytes"].get<std::uint64_t>()) + ", " + fixed(json["bits_per_weight"].get<double>(), 2)
        + " bits per weight, relative error of all weights " + significant(json["rel_rmse"].get<double>()));
}

void run(const Arguments& arguments, quern::Progress& progress)
{
    const bool json = arguments.has("--json");
    const quern::Model original = opened(arguments.positional()[0], json);
    const quern::Model quantized = opened(arguments.positional()[1], json);
    const auto calibration = givenCalibration(arguments, original, Making::Nothing, progress);
    std::vector<std::string> warnings;
    noteMissing(original, quantized, " is only in the first model.", warnings);
    noteMissing(quantized, original, " is only in the second model.", warnings);
    if (warnings.size() == original.tensors.size() + quantized.tensors.size())
        quern::fail("%1 and %2 have no tensor in common.", original.path.string(), quantized.path.string());

    quern::Distortion all;
    Json result {
        {"tensors", Json::array()}, {"bits_per_weight", quantized.bitsPerWeight()}, {"bytes", quantized.fileBytes}};
    for (std::size_t i = 0; i < quantized.tensors.size(); ++i) {
        const quern::Tensor& stored = quantized.tensors[i];
        const quern::Tensor* weights = original.find(stored.name);
        progress.report(static_cast<double>(i) / static_cast<double>(quantized.tensors.size()), stored.name);
        if (!weights)
            continue;
        const auto importance = importanceOf(*weights, calibration ? &*calibration : nullptr);
        const quern::Distortion d = quern::distortion(*weights, stored, importance, progress);
        all.merge(d);
        result["tensors"].push_back(toJson(stored, d, !importance.empty()));
    }
    original.check();
    quantized.check();
    progress.report(1, "");
    result["rel_rmse"] = all.relative();
    if (!json)
        warn(warnings);
    for (const auto* model : {&original, &quantized})
        warnings.insert(warnings.end(), model->warnings.begin(), model->warnings.end());
    result["warnings"] = warnings;
    if (json)
        print(result);
    else
        printTable(result);
}

} // namespace

const Command compareCommand {.name = "compare",
                              .positional = "ORIGINAL QUANTIZED",
                              .summary = "how far the weights of one model are from those of another",
                              .least = 2,
                              .most = 2,
                              .options = kOptions,
                              .repeatable = {},
                              .run = run};
