#include "app/cli/command.h"
#include "app/cli/output.h"

#include "core/error.h"

namespace {

constexpr std::size_t kShown = 6; // elements of a list

Json toJson(const quern::MetaArray& array)
{
    return std::visit(
        [](const auto& values) -> Json {
            if constexpr (std::is_same_v<std::decay_t<decltype(values)>, std::monostate>)
                return Json::array();
            else
                return values;
        },
        array);
}

Json toJson(const quern::MetaValue& value)
{
    return std::visit(
        [](const auto& v) -> Json {
            if constexpr (std::is_same_v<std::decay_t<decltype(v)>, quern::MetaArray>)
                return toJson(v);
            else
                return v;
        },
        value);
}

std::string shown(const Json& value)
{
    if (value.is_string())
        return quern::toText(value.get<std::string>().substr(0, 100));
    if (!value.is_array() || value.size() <= kShown)
        return quern::toText(value.dump(-1, ' ', false, Json::error_handler_t::replace));
    Json first = Json::array();
    for (std::size_t i = 0; i < kShown; ++i)
        first.push_back(value[i]);
    std::string text = quern::toText(first.dump(-1, ' ', false, Json::error_handler_t::replace));
    text.back() = ',';
    return text + " ... " + std::to_string(value.size()) + " in all]";
}

Json describe(const quern::Model& model)
{
    Json json {{"container", model.container ? model.container->name : ""},
               {"architecture", model.architecture()},
               {"parameters", model.parameters()},
               {"bytes", model.fileBytes},
               {"tensor_bytes", model.bytes()},
               {"bits_per_weight", model.bitsPerWeight()},
               {"warnings", model.warnings},
               {"metadata", Json::object()},
               {"tensors", Json::array()}};
    json["export_obstacle"] = model.obstacle ? Json(model.obstacle->what()) : Json();
    for (const auto& [key, value] : model.metadata.entries())
        json["metadata"][key] = toJson(value);
    for (const quern::Tensor& tensor : model.tensors)
        json["tensors"].push_back({{"name", tensor.name},
                                   {"shape", tensor.shape},
                                   {"format", tensor.format->name},
                                   {"bytes", tensor.bytes.size()},
                                   {"offset", tensor.offset}});
    return json;
}

void run(const Arguments& arguments, quern::Progress&)
{
    const bool json = arguments.has("--json");
    const quern::Model model = opened(arguments.positional()[0], json);
    if (json)
        return print(describe(model));
    Table facts({"container", std::string(model.container ? model.container->name : "")});
    facts.add({"architecture", quern::toText(model.architecture())});
    facts.add({"parameters", std::to_string(model.parameters())});
    facts.add({"size", size(model.fileBytes)});
    facts.add({"bits per weight", fixed(model.bitsPerWeight(), 2)});
    if (model.obstacle)
        facts.add({"no export", model.obstacle->what()});
    facts.print();
    say("");
    Table metadata({"key", "value"});
    for (const auto& [key, value] : model.metadata.entries())
        metadata.add({quern::toText(key), shown(toJson(value))});
    metadata.print();
    say("");
    Table tensors({"tensor", "shape", "format", "bytes", "offset"});
    for (const quern::Tensor& tensor : model.tensors)
        tensors.add({quern::toText(tensor.name), dimensions(tensor.shape), std::string(tensor.format->name),
                     std::to_string(tensor.bytes.size()), std::to_string(tensor.offset)});
    tensors.print();
}

} // namespace

const Command infoCommand {.name = "info",
                           .positional = "MODEL",
                           .summary = "what is in a model: architecture, metadata, tensors",
                           .least = 1,
                           .most = 1,
                           .options = {},
                           .repeatable = {},
                           .run = run};
