#include "core/quantize.h"

#include "app/cli/calibrate.h"
#include "app/cli/chunks.h"
#include "app/cli/command.h"
#include "app/cli/output.h"
#include "core/error.h"
#include "core/preset.h"
#include "core/rewrite.h"
#include "core/sequence.h"

#include <algorithm>
#include <charconv>
#include <chrono>

namespace {

constexpr Option kOptions[] {
    {"--output", "OUT.gguf", "the file to write", "-o"},
    {"--preset", "NAME", "a mix of types of llama.cpp, e.g. Q4_K_M; quern-cli formats lists them"},
    {"--format", "F", "one format for every tensor that may be quantized"},
    {"--method", "M",
     "the method for --format or --preset; quern-cli methods lists all. If absent: nearest for --format, "
     "the best that the calibration allows for --preset"},
    {"--set", "KEY=VALUE", "a setting of --method; may be repeated"},
    {"--recipe", "R.json", "a recipe"},
    {"--rewrite", "NAME[:KEY=VALUE,...]", "rescale channels before; quern-cli methods lists all; may be repeated"},
    {"--sequential",
     "trust=T",
     "quantize block by block, each calibrated on what those before it have become; needs --text",
     {},
     true},
    {"--rule", "GLOB=FORMAT[:METHOD]", "for some tensors, upon all that; may be repeated, the last match decides"},
    {"--calibration", "CAL.gguf", "weigh errors by the inputs that quern-cli calibrate saw"},
    {"--imatrix", "FILE", "the same with an importance matrix of llama.cpp, GGUF or legacy"},
    {"--text", "FILE", "the same with what this text gives: calibrates on the way"},
    {"--ctx", "N", "tokens of a chunk of --text; 512 if absent"},
    {"--chunks", "N", "chunks of --text at most; all if absent"},
    {"--held-out", "FILE",
     "a calibration on another text, like --calibration or --imatrix: adds the outputs' error there"},
    {"--zero-nonfinite", nullptr, "store weights that are infinite or no numbers as 0 instead of refusing"},
    {"--coarse", nullptr, "write formats that need an importance matrix without one instead of refusing"},
    {"--dry-run", nullptr, "say what it would give, exact to the byte, and read metadata only"},
    {"--overwrite", nullptr, "replace OUT.gguf if it exists"},
};
constexpr double kCalibrating = 0.5; // share of the progress that --text takes
constexpr std::string_view kRepeatable[] {"--set", "--rule", "--rewrite"};

const quern::BlockFormat* formatNamed(const std::string& name)
{
    const quern::BlockFormat* format = quern::findBlockFormat(name);
    if (!format)
        quern::fail("The format %1 is not known; quern-cli formats lists all.", name);
    return format;
}

const quern::Quantizer* methodNamed(const std::string& name)
{
    const quern::Quantizer* method = quern::findQuantizer(name);
    if (!method)
        quern::fail("The method %1 is not known; quern-cli methods lists all.", name);
    return method;
}

// option: that they belong to, for messages.
quern::Settings settings(std::string_view option, const std::vector<std::string>& pairs)
{
    quern::Settings settings;
    for (const std::string& pair : pairs) {
        const auto equals = pair.find('=');
        double value = 0;
        const char* end = pair.data() + pair.size();
        const auto parsed = std::from_chars(pair.data() + std::min(equals, pair.size() - 1) + 1, end, value);
        if (equals == std::string::npos || parsed.ec != std::errc() || parsed.ptr != end)
            throw WrongUsage(std::string(option) + " needs KEY=VALUE with a number, not " + pair);
        settings[pair.substr(0, equals)] = value;
    }
    return settings;
}

quern::Rule ruleFrom(const std::string& text)
{
    const auto equals = text.rfind('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
        throw WrongUsage("--rule needs GLOB=FORMAT[:METHOD], not " + text);
    std::string format = text.substr(equals + 1), method = "nearest";
    if (const auto colon = format.find(':'); colon != std::string::npos) {
        method = format.substr(colon + 1);
        format.resize(colon);
    }
    if (format == "copy")
        return {text.substr(0, equals), {}};
    return {text.substr(0, equals), {methodNamed(method), formatNamed(format), {}}};
}

// "KEY=VALUE,KEY=VALUE"
quern::Settings settingsList(std::string_view option, const std::string& text)
{
    std::vector<std::string> pairs;
    for (std::size_t from = 0; from < text.size();) {
        const auto comma = std::min(text.find(',', from), text.size());
        pairs.push_back(text.substr(from, comma - from));
        from = comma + 1;
    }
    return settings(option, pairs);
}

quern::RewriteChoice rewriteFrom(const std::string& text)
{
    const auto colon = std::min(text.find(':'), text.size());
    const std::string name = text.substr(0, colon);
    const quern::Rewrite* rewrite = quern::findRewrite(name);
    if (!rewrite)
        quern::fail("The rewrite %1 is not known; quern-cli methods lists all.", name);
    return {rewrite, settingsList("--rewrite", colon < text.size() ? text.substr(colon + 1) : std::string())};
}

quern::Recipe recipeOf(const Arguments& arguments)
{
    const int ways
        = int {arguments.has("--preset")} + int {arguments.has("--format")} + int {arguments.has("--recipe")};
    if (ways > 1)
        throw WrongUsage("--preset, --format and --recipe exclude each other; --rule and --rewrite go with each");
    if (ways == 0 && !arguments.has("--rule"))
        throw WrongUsage("what to do is missing: --preset, --format, --recipe or --rule");
    const bool method = arguments.has("--method");
    if (!arguments.has("--format") && !arguments.has("--preset") && (method || arguments.has("--set")))
        throw WrongUsage("--method and --set go with --format or --preset");
    if (!method && arguments.has("--set") && arguments.has("--preset"))
        throw WrongUsage("--set with --preset needs --method");
    quern::Recipe recipe;
    if (arguments.has("--recipe"))
        recipe = recipeAt(arguments.text("--recipe"));
    if (arguments.has("--preset")) {
        recipe.preset = quern::findPreset(arguments.text("--preset"));
        if (!recipe.preset)
            quern::fail("The preset %1 is not known; quern-cli formats lists all.", arguments.text("--preset"));
        if (method)
            recipe.method = methodNamed(arguments.text("--method"));
        recipe.settings = settings("--set", arguments.all("--set"));
    }
    if (arguments.has("--format"))
        recipe.rules.push_back({"*",
                                {methodNamed(arguments.text("--method", "nearest")),
                                 formatNamed(arguments.text("--format")), settings("--set", arguments.all("--set"))}});
    for (const std::string& rewrite : arguments.all("--rewrite"))
        recipe.rewrites.push_back(rewriteFrom(rewrite));
    if (arguments.has("--sequential"))
        recipe.sequential = settingsList("--sequential", arguments.text("--sequential"));
    for (const std::string& rule : arguments.all("--rule"))
        recipe.rules.push_back(ruleFrom(rule));
    return recipe;
}

Json report(const quern::Plan& plan, const quern::Model& model, const std::string& output)
{
    Json json {{"output", output},
               {"bytes", plan.fileBytes},
               {"bits_per_weight", plan.bitsPerWeight(model)},
               {"method_bits_per_weight", plan.methodBitsPerWeight(model)},
               {"tensors", Json::array()},
               {"rewrites", Json::array()},
               {"warnings", model.warnings}};
    for (const std::string& warning : plan.warnings)
        json["warnings"].push_back(warning);
    for (std::size_t i = 0; i < plan.tensors.size(); ++i)
        json["tensors"].push_back(planned(plan, i, model));
    return json;
}

Json orNull(const std::optional<double>& value)
{
    return value ? Json(*value) : Json();
}

std::string orDash(const Json& number)
{
    return number.is_null() ? "-" : significant(number.get<double>());
}

void addErrors(Json& tensor, const quern::TensorResult& result)
{
    tensor["rel_rmse"] = result.stored.relative();
    tensor["sqnr_db"] = result.stored.sqnr();
    tensor["max_abs_error"] = result.stored.largest;
    tensor["method_rel_rmse"] = result.method.relative();
    tensor["rho"] = orNull(result.rho);
    tensor["rho_held_out"] = orNull(result.heldOutRho);
    tensor["zeroed"] = result.nonFinite;
    tensor["seconds"] = result.seconds;
}

Json toJson(const quern::Rewrite& rewrite, std::span<const quern::FoldReport> reports)
{
    const quern::FoldSummary sum = quern::summaryOf(reports);
    Json json {{"name", rewrite.name},
               {"folds", Json::array()},
               {"scaled", sum.scaled},
               {"before", sum.before},
               {"after", sum.after}};
    for (const quern::FoldReport& fold : reports)
        json["folds"].push_back({{"producer", fold.producer},
                                 {"scaled", fold.scaled},
                                 {"ratio", fold.ratio},
                                 {"before", fold.before},
                                 {"after", fold.after}});
    return json;
}

void printRewrites(const Json& json)
{
    for (const Json& rewrite : json["rewrites"]) {
        const double before = rewrite["before"].get<double>(), after = rewrite["after"].get<double>();
        say(rewrite["name"].get<std::string>() + ": " + std::to_string(rewrite["scaled"].get<long>()) + " of "
            + counted(static_cast<long>(rewrite["folds"].size()), "place") + " scaled"
            + (before > 0 ? ", squared error of the outputs times " + significant(after / before) : std::string()));
    }
}

void printTable(const Json& json)
{
    const bool measured = json.contains("seconds"), heldOut = json["held_out"].is_string();
    std::vector<std::string> header {"tensor", "shape", "format", "method", "stored as", "bytes"};
    if (measured)
        header.insert(header.end(), {"rel. error", "SQNR dB", "rho"});
    if (heldOut)
        header.emplace_back("held-out rho");
    Table table(header);
    for (const Json& tensor : json["tensors"]) {
        std::vector<std::string> row {quern::toText(tensor["name"].get<std::string>()),
                                      dimensions(tensor["shape"].get<std::vector<long>>()),
                                      tensor["format"].get<std::string>(),
                                      tensor["method"].get<std::string>(),
                                      tensor["stored_as"].get<std::string>(),
                                      std::to_string(tensor["bytes"].get<std::uint64_t>())};
        if (measured) {
            row.push_back(significant(tensor["rel_rmse"].get<double>()));
            row.push_back(significant(tensor["sqnr_db"].get<double>()));
            row.push_back(orDash(tensor["rho"]));
        }
        if (heldOut)
            row.push_back(orDash(tensor["rho_held_out"]));
        table.add(row);
    }
    table.print();
    printRewrites(json);
    const double bits = json["bits_per_weight"].get<double>(), method = json["method_bits_per_weight"].get<double>();
    std::string total = "\n" + size(json["bytes"].get<std::uint64_t>()) + ", " + fixed(bits, 2) + " bits per weight";
    if (std::abs(bits - method) > 0.005)
        total += " (the method needs " + fixed(method, 2) + ")";
    if (measured)
        total += ", " + fixed(json["seconds"].get<double>(), 1) + " s";
    say(total);
    if (measured)
        say("written to " + json["output"].get<std::string>());
}

void checkText(const Arguments& arguments, const quern::Recipe& recipe)
{
    if (!arguments.has("--text"))
        throw WrongUsage("a sequence calibrates every block by itself, so it needs the text: --text FILE");
    if (arguments.has("--calibration") && arguments.has("--imatrix"))
        throw WrongUsage("--calibration and --imatrix exclude each other; --text goes with either in a sequence");
    if (!calibrationPath(arguments).empty() && recipe.rewrites.empty())
        throw WrongUsage("a sequence calibrates every block by itself: --calibration and --imatrix go with it only for "
                         "rewrites, which come before");
}

// Says what reading it will take.
quern::Chunks sequenceText(const Arguments& arguments, const quern::Model& model, const quern::Progress& progress)
{
    quern::Chunks chunks = textChunks(arguments, model, progress);
    if (!arguments.has("--json"))
        note(needsText(quern::sequenceNeeds(model, chunks), chunks));
    return chunks;
}

// A sequence of these chunks needs one only for rewrites; of its own it is known what it is to be of.
std::optional<quern::Calibration> calibrationFor(const Arguments& arguments, const quern::Recipe& recipe,
                                                 const quern::Model& model, const std::optional<quern::Chunks>& chunks,
                                                 Making making, quern::Progress& progress)
{
    if (!recipe.sequential)
        return givenCalibration(arguments, model, making, progress);
    std::optional<quern::Calibration> calibration(std::in_place);
    if (const std::string path = calibrationPath(arguments); !path.empty())
        calibration = calibrationAt(path, model);
    else if (!recipe.rewrites.empty())
        calibration = givenCalibration(arguments, model, making, progress);
    calibration->datasets = {textName(arguments)};
    calibration->chunks = chunks ? chunks->count() : 0;
    return calibration;
}

void run(const Arguments& arguments, quern::Progress& progress)
{
    const bool json = arguments.has("--json"), dry = arguments.has("--dry-run");
    const std::string output = arguments.text("--output");
    if (dry && arguments.has("--held-out"))
        throw WrongUsage("--dry-run measures nothing, so --held-out does not go with it");
    if (output.empty() && !dry)
        throw WrongUsage("the file to write is missing: -o OUT.gguf");
    const quern::Recipe recipe = recipeOf(arguments);
    if (recipe.sequential)
        checkText(arguments, recipe);
    const quern::Model model = opened(arguments.positional()[0], json);
    if (model.obstacle)
        throw quern::Error(*model.obstacle);
    const bool calibratesBefore = arguments.has("--text")
        && (!recipe.sequential || (!recipe.rewrites.empty() && calibrationPath(arguments).empty()));
    const double calibratingShare = calibratesBefore ? kCalibrating : 0;
    quern::ProgressPart calibrating(progress, 0, calibratingShare);
    const bool moments = quern::needsOf(recipe) == quern::Needs::SecondMoments;
    const Making making = dry ? Making::Nothing : moments ? Making::SecondMoments : Making::Sums;
    std::optional<quern::Chunks> chunks;
    if (recipe.sequential && !dry)
        chunks = sequenceText(arguments, model, progress);
    const auto calibration = calibrationFor(arguments, recipe, model, chunks, making, calibrating);
    const quern::Calibration* weights = calibration ? &*calibration : nullptr;
    const auto heldOut = calibrationAt(arguments.text("--held-out"), model);
    const quern::Plan plan
        = quern::resolve(recipe, model, weights, dry ? quern::Purpose::Sizes : quern::Purpose::Quantize);
    if (!json)
        warn(plan.warnings);
    Json result = report(plan, model, output);
    result["held_out"] = heldOut ? Json(arguments.text("--held-out")) : Json();
    if (!dry) {
        const auto start = std::chrono::steady_clock::now();
        quern::ExportOptions options;
        options.zeroNonFinite = arguments.has("--zero-nonfinite");
        options.overwrite = arguments.has("--overwrite");
        options.heldOut = heldOut ? &*heldOut : nullptr;
        options.rewritten = [&](const quern::Rewrite& rewrite, std::span<const quern::FoldReport> reports) {
            result["rewrites"].push_back(toJson(rewrite, reports));
        };
        options.coarse = arguments.has("--coarse");
        options.text = chunks ? &*chunks : nullptr;
        options.done = [&](const quern::TensorResult& tensor) {
            if (!json)
                warn(tensor.warnings);
            for (const std::string& warning : tensor.warnings)
                result["warnings"].push_back(warning);
            addErrors(result["tensors"][tensor.index], tensor);
        };
        quern::ProgressPart exporting(progress, calibratingShare, 1);
        quern::exportModel(model, plan, weights, output, options, exporting);
        result["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    }
    if (json)
        print(result);
    else
        printTable(result);
}

} // namespace

const Command quantizeCommand {.name = "quantize",
                               .positional = "MODEL -o OUT.gguf",
                               .summary = "quantize a model and write it as GGUF",
                               .least = 1,
                               .most = 1,
                               .options = kOptions,
                               .repeatable = kRepeatable,
                               .run = run};
