#include "core/huggingface.h"

#include "core/architecture.h"
#include "core/naming.h"
#include "core/tokenization.h"

namespace quern {
namespace {

// Where a model also sees or hears, what its language part is.
Config languagePart(const Config& config)
{
    return config.has("text_config") ? config.object("text_config") : config;
}

bool isTied(const Config& config)
{
    const Config language = languagePart(config);
    return language.flag("tie_word_embeddings", config.flag("tie_word_embeddings", false));
}

std::string folderName(const std::filesystem::path& folder)
{
    std::error_code ignored;
    const std::filesystem::path whole = std::filesystem::weakly_canonical(folder, ignored);
    return whole.filename().string();
}

void refuseUnknown(Model& model, const Config& config, const std::string& family)
{
    std::string known;
    for (const Architecture* architecture : architectures())
        known += (known.empty() ? "" : ", ") + std::string(architecture->name);
    model.obstacle.emplace(
        QUERN_TEXT("core",
                   "The architecture %1, named by %2, cannot be exported as GGUF: Quern knows %3. Its tensors can be "
                   "looked at and quantized for comparison."),
        std::vector<std::string> {toText(family), config.source(), known});
}

// Codes and scales of other programs' quantization are tensors of their own.
void refuseQuantized(Model& model, const Config& config)
{
    if (!config.has("quantization_config"))
        return;
    const std::string method = config.object("quantization_config").text("quant_method", "a method it does not name");
    model.obstacle.emplace(
        QUERN_TEXT("core",
                   "The model is quantized already, by %1 (quantization_config in %2). Quern shows its tensors as they "
                   "are stored but cannot export it as GGUF; open the model that it was made of."),
        std::vector<std::string> {toText(method), config.source()});
}

void addTokenizer(Model& model, const Config& config, const std::filesystem::path& folder)
{
    const Tensor* embedding = model.find("token_embd.weight");
    if (!embedding)
        return; // there is an obstacle already
    model.metadata.set(std::string(model.architecture()) + ".vocab_size",
                       static_cast<std::uint32_t>(embedding->shape[0]));
    try {
        describeTokenizer(folder, config, static_cast<std::size_t>(embedding->shape[0]), model.metadata,
                          model.warnings);
    } catch (const Error& error) { // the tensors can be worked with all the same
        if (!model.obstacle)
            model.obstacle = error;
    }
}

} // namespace

void nameCanonically(Model& model, const std::filesystem::path& folder)
{
    const Config config = Config::read(folder / "config.json");
    const std::vector<std::string> families = config.texts("architectures");
    if (families.empty())
        config.refuse("architectures", "the name of the model's class");
    model.metadata.set("general.name", folderName(folder));
    const Architecture* architecture = findHuggingFaceArchitecture(families.front());
    if (!architecture)
        return refuseUnknown(model, config, families.front());

    Description description = architecture->describe(languagePart(config));
    model.metadata.remove("general.name"); // comes third
    model.metadata.set("general.architecture", std::string(architecture->name));
    model.metadata.set("general.type", "model");
    model.metadata.set("general.name", folderName(folder));
    for (const Metadata::Entry& entry : description.metadata.entries())
        model.metadata.set(entry.key, entry.value);
    model.warnings.insert(model.warnings.end(), description.warnings.begin(), description.warnings.end());
    refuseQuantized(model, config);
    if (!model.obstacle)
        model.obstacle = description.obstacle;
    nameTensors(model, *architecture, description, isTied(config));
    addTokenizer(model, config, folder);
}

} // namespace quern
