#include "core/methodchoice.h"

#include "core/error.h"
#include "core/secondmoments.h"

namespace quern {

MethodChoice::MethodChoice(const Recipe& recipe, const Calibration* calibration)
    : m_recipe(recipe)
    , m_calibration(calibration)
    , m_nearest(*findQuantizer("nearest"))
{
}

Choice MethodChoice::ofPreset(const Tensor& tensor, const BlockFormat& format)
{
    if (!m_recipe.method)
        return {.quantizer = &usualMethod(format, hasMoments(inputsOf(tensor, m_calibration))),
                .format = &format,
                .settings = {}};
    if (m_recipe.method->supports(format))
        return {.quantizer = m_recipe.method, .format = &format, .settings = m_recipe.settings};
    if (!format.floating())
        m_unsupported[format.name].add(tensor.name);
    return {.quantizer = &m_nearest, .format = &format, .settings = {}};
}

void MethodChoice::replaceBlind(const Tensor& tensor, Choice& choice)
{
    if (choice.quantizer->needs != Needs::SecondMoments)
        return;
    if (hasMoments(inputsOf(tensor, m_calibration))) {
        m_moments = true;
        return;
    }
    m_blind[choice.quantizer->name].add(tensor.name);
    choice = {.quantizer = &m_nearest, .format = choice.format, .settings = {}};
}

void MethodChoice::check() const
{
    if (m_blind.empty() || m_moments)
        return;
    const std::string_view method = m_blind.begin()->first;
    if (m_calibration)
        fail(QUERN_TEXT("core",
                        "The method %1 needs second moments of the inputs, and the calibration holds none of use here. "
                        "Calibrate with second moments (--hessian), or choose another method."),
             method);
    fail(QUERN_TEXT("core",
                    "The method %1 needs a calibration with second moments of the inputs. Calibrate the model with "
                    "them first (--hessian), or choose another method."),
         method);
}

std::vector<std::string> MethodChoice::sentences() const
{
    std::vector<std::string> all;
    const auto tell = [&](const char* text, const TensorGroup& group, std::vector<std::string> rest) {
        rest.insert(rest.begin(), {std::to_string(group.count), toText(std::string_view(group.first))});
        all.emplace_back(Error(text, std::move(rest)).what());
    };
    for (const auto& [format, group] : m_unsupported)
        tell(
            QUERN_TEXT("core",
                       "%1 tensors, for example %2, become %3, which the method %4 cannot produce: they are rounded to "
                       "the nearest values."),
            group, {std::string(format), std::string(m_recipe.method->name)});
    for (const auto& [method, group] : m_blind)
        tell(QUERN_TEXT("core",
                        "%1 tensors, for example %2, are rounded to the nearest values: the method %3 needs second "
                        "moments of their inputs, which are not known."),
             group, {std::string(method)});
    return all;
}

} // namespace quern
