#include "core/error.h"
#include "core/recipe.h"

#include <cstdlib>

// Recipes: what is accepted is written as it was read.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    quern::Recipe recipe;
    try {
        recipe = quern::recipeFromJson({reinterpret_cast<const char*>(data), size}, "fuzz");
    } catch (const quern::Error&) {
        return 0;
    }
    if (quern::recipeFromJson(quern::toJson(recipe), "again") != recipe)
        std::abort();
    return 0;
}
