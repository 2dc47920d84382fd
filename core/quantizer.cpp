#include "core/quantizer.h"

#include "core/error.h"

#include <algorithm>
#include <cmath>

namespace quern {

double setting(const Settings& settings, const Param& param)
{
    const auto it = settings.find(param.name);
    return it == settings.end() ? param.preset : it->second;
}

void checkSettings(std::string_view of, std::span<const Param> params, const Settings& settings)
{
    for (const auto& [name, value] : settings) {
        const auto param = std::ranges::find(params, name, &Param::name);
        if (param == params.end())
            fail(QUERN_TEXT("core", "%1 has no setting %2."), of, name);
        if (!(value >= param->minimum && value <= param->maximum))
            fail(QUERN_TEXT("core", "The setting %1 of %2 is %3; it must be from %4 to %5."), name, of, value,
                 param->minimum, param->maximum);
        if (!param->choices.empty() && value != std::floor(value))
            fail(QUERN_TEXT("core", "The setting %1 of %2 is %3; it must be a whole number."), name, of, value);
    }
}

} // namespace quern
