#include "core/recipe.h"

#include "app/cli/calibrate.h"
#include "app/cli/command.h"
#include "app/cli/output.h"
#include "core/error.h"
#include "core/preset.h"

namespace {

constexpr Option kOptions[] {
    {"--calibration", "CAL.gguf", "a calibration; presets give some tensors other types with one"},
    {"--imatrix", "FILE", "importance matrix of llama.cpp; presets give some tensors other types with one"},
};

void addPlan(Json& json, const quern::Plan& plan, const quern::Model& model)
{
    json["bytes"] = plan.fileBytes;
    json["bits_per_weight"] = plan.bitsPerWeight(model);
    json["method_bits_per_weight"] = plan.methodBitsPerWeight(model);
    json["tensors"] = Json::array();
    for (std::size_t i = 0; i < plan.tensors.size(); ++i)
        json["tensors"].push_back(planned(plan, i, model));
    for (const auto* warnings : {&model.warnings, &plan.warnings})
        for (const std::string& warning : *warnings)
            json["warnings"].push_back(warning);
}

void printPlan(const quern::Plan& plan, const quern::Model& model, bool tensors)
{
    Table table({"tensor", "shape", "now", "format", "method", "bytes"});
    for (std::size_t i = 0; i < plan.tensors.size(); ++i) {
        const quern::Tensor& tensor = model.tensors[i];
        const quern::PlannedTensor& planned = plan.tensors[i];
        table.add({quern::toText(tensor.name), dimensions(tensor.shape), std::string(tensor.format->name),
                   std::string(planned.choice.format->name), methodOf(planned.choice),
                   std::to_string(planned.storedBytes)});
    }
    if (tensors) {
        say("");
        table.print();
        say("");
    }
    say(size(plan.fileBytes) + ", " + fixed(plan.bitsPerWeight(model), 2) + " bits per weight");
}

void run(const Arguments& arguments, quern::Progress& progress)
{
    const bool json = arguments.has("--json");
    const std::string verb = arguments.positional()[0];
    if (verb != "show" && verb != "check")
        throw WrongUsage("recipe needs show or check, not " + verb);
    const quern::Recipe recipe = recipeAt(arguments.positional()[1]);
    Json result = Json::parse(quern::toJson(recipe));
    result["warnings"] = Json::array();
    if (!json && verb == "show")
        say(quern::toJson(recipe));
    if (arguments.positional().size() > 2) {
        const quern::Model model = opened(arguments.positional()[2], json);
        const auto calibration = givenCalibration(arguments, model, Making::Nothing, progress);
        const quern::Plan plan = quern::resolve(recipe, model, calibration ? &*calibration : nullptr);
        addPlan(result, plan, model);
        if (!json) {
            warn(plan.warnings);
            printPlan(plan, model, verb == "show");
        }
    } else if (!json && verb == "check") {
        say(arguments.positional()[1] + " is a recipe");
    }
    if (json)
        print(result);
}

} // namespace

const Command recipeCommand {.name = "recipe",
                             .positional = "show|check R.json [MODEL]",
                             .summary = "what a recipe says, and what it would do to a model, with exact bytes",
                             .least = 2,
                             .most = 3,
                             .options = kOptions,
                             .repeatable = {},
                             .run = run};
