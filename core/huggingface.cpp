#include "core/huggingface.h"

#include "core/architecture.h"

namespace quern {

void nameCanonically(Model& model, const std::filesystem::path& folder)
{
    const Config config = Config::read(folder / "config.json");
    const std::vector<std::string> families = config.texts("architectures");
    if (families.empty())
        config.refuse("architectures", "the name of the model's class");
    const Architecture* architecture = findHuggingFaceArchitecture(families.front());
    if (!architecture)
        model.obstacle.emplace(
            QUERN_TEXT("core",
                       "%1 cannot be exported as GGUF: its config.json names the architecture %2, which is not known "
                       "here."),
            std::vector {folder.string(), families.front()});
}

} // namespace quern
