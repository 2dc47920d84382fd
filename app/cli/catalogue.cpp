#include "app/cli/command.h"
#include "app/cli/output.h"
#include "core/architecture.h"
#include "core/preset.h"
#include "core/rewrite.h"

// What the program can do, as its catalogue says.
namespace {

// Of long rows; a format of whole rows needs its parameters besides.
double bitsPerWeight(const quern::BlockFormat& format)
{
    if (format.values == 0)
        return format.affine.bits;
    return 8.0 * format.bytes / format.values;
}

Json toJson(const quern::BlockFormat& format)
{
    return {{"name", format.name},
            {"bits_per_weight", bitsPerWeight(format)},
            {"values", format.values},
            {"bytes", format.bytes},
            {"group", format.group},
            {"gguf", format.inGguf()},
            {"writable", format.encode != nullptr},
            {"needs_importance", format.needsImportance},
            {"carrier", format.carrier ? Json(format.carrier->name) : Json()},
            {"carrier_exact", format.carrier == nullptr || format.carry != nullptr}};
}

std::string carrierOf(const quern::BlockFormat& format)
{
    if (!format.carrier)
        return format.inGguf() ? "itself" : "-";
    return std::string(format.carrier->name) + (format.carry ? "" : " (rounded)");
}

void runFormats(const Arguments& arguments, quern::Progress&)
{
    Json json {{"formats", Json::array()}, {"presets", Json::array()}};
    Table formats({"format", "bits", "block", "writes", "in GGUF as"});
    Table presets({"preset", "main format", ""});
    for (const quern::BlockFormat* format : quern::blockFormats()) {
        json["formats"].push_back(toJson(*format));
        formats.add({std::string(format->name), fixed(bitsPerWeight(*format), 4),
                     format->values == 0 ? "row" : std::to_string(format->values), format->encode ? "yes" : "no",
                     carrierOf(*format)});
    }
    for (const quern::Preset& preset : quern::presets()) {
        json["presets"].push_back({{"name", preset.name}, {"format", preset.format}, {"summary", preset.summary}});
        presets.add({std::string(preset.name), std::string(preset.format), preset.summary});
    }
    if (arguments.has("--json"))
        return print(json);
    formats.print();
    say("");
    presets.print();
}

// "Ordering: 0 natural, 1 by blocks, 2 by columns".
std::string meaningOf(const quern::Param& param)
{
    std::string meaning = param.label;
    for (std::size_t i = 0; i < param.choices.size(); ++i)
        meaning
            += (i == 0 ? ": " : ", ") + significant(param.minimum + static_cast<double>(i)) + ' ' + param.choices[i];
    return meaning;
}

// Of a method or a rewrite, with its settings.
template <typename Entry>
void describe(const Entry& entry, Json& list, Table& table)
{
    Json settings = Json::array();
    table.add({std::string(entry.name), "", "", "", "", entry.summary});
    for (const quern::Param& param : entry.params) {
        settings.push_back({{"name", param.name},
                            {"minimum", param.minimum},
                            {"maximum", param.maximum},
                            {"default", param.preset},
                            {"label", param.label},
                            {"choices", std::vector<std::string>(param.choices.begin(), param.choices.end())}});
        table.add({"", std::string(param.name), significant(param.minimum), significant(param.maximum),
                   significant(param.preset), meaningOf(param)});
    }
    list.push_back({{"name", entry.name}, {"summary", entry.summary}, {"settings", settings}});
}

void runMethods(const Arguments& arguments, quern::Progress&)
{
    Json json {{"methods", Json::array()}, {"rewrites", Json::array()}};
    Table methods({"method", "setting", "from", "to", "default", ""});
    Table rewrites({"rewrite", "setting", "from", "to", "default", ""});
    for (const quern::Quantizer* method : quern::quantizers())
        describe(*method, json["methods"], methods);
    for (const quern::Rewrite* rewrite : quern::rewrites())
        describe(*rewrite, json["rewrites"], rewrites);
    if (arguments.has("--json"))
        return print(json);
    methods.print();
    say("");
    rewrites.print();
}

void runArchitectures(const Arguments& arguments, quern::Progress&)
{
    Json json {{"architectures", Json::array()}};
    Table table({"architecture", "Hugging Face"});
    for (const quern::Architecture* family : quern::architectures()) {
        std::string names;
        for (const std::string_view name : family->huggingFace)
            names += (names.empty() ? "" : ", ") + std::string(name);
        json["architectures"].push_back(
            {{"name", family->name},
             {"huggingface", std::vector<std::string>(family->huggingFace.begin(), family->huggingFace.end())}});
        table.add({std::string(family->name), names.empty() ? "none: from GGUF only" : names});
    }
    if (arguments.has("--json"))
        print(json);
    else
        table.print();
}

} // namespace

const Command formatsCommand {.name = "formats",
                              .positional = "",
                              .summary = "the formats weights can be stored in, and llama.cpp's mixes of them",
                              .least = 0,
                              .most = 0,
                              .options = {},
                              .repeatable = {},
                              .run = runFormats};

const Command methodsCommand {.name = "methods",
                              .positional = "",
                              .summary = "the ways to choose the stored values, rewrites before, and their settings",
                              .least = 0,
                              .most = 0,
                              .options = {},
                              .repeatable = {},
                              .run = runMethods};

const Command architecturesCommand {
    .name = "architectures",
    .positional = "",
    .summary = "the families of models that can be run, and their classes in Hugging Face folders",
    .least = 0,
    .most = 0,
    .options = {},
    .repeatable = {},
    .run = runArchitectures};
