#include "core/familykeys.h"

#include <cmath>

namespace quern {
namespace {

constexpr std::int64_t kLargest = std::int64_t {1} << 30; // sums of products of two counts stay within 64 bits

} // namespace

FamilyKeys::FamilyKeys(const Model& model)
    : m_metadata(model.metadata)
    , m_prefix(std::string(model.architecture()) + '.')
{
}

long FamilyKeys::integer(std::string_view key, long least, long absent) const
{
    if (!has(key) && absent >= least)
        return absent;
    const auto value = m_metadata.integer(demanded(key));
    if (!value || *value < least || *value > kLargest)
        fail(QUERN_TEXT("core", "%1 is %2; a whole number from %3 to %4 is expected. The file may be damaged."),
             name(key), shown(key), least, kLargest);
    return static_cast<long>(*value);
}

double FamilyKeys::positive(std::string_view key) const
{
    const double value = m_metadata.number(demanded(key)).value_or(0);
    if (!(value > 0) || !std::isfinite(value))
        fail(QUERN_TEXT("core", "%1 is %2; a number above 0 is expected. The file may be damaged."), name(key),
             shown(key));
    return value;
}

double FamilyKeys::number(std::string_view key, double absent) const
{
    if (!has(key))
        return absent;
    const auto value = m_metadata.number(name(key));
    if (!value || !std::isfinite(*value))
        fail(QUERN_TEXT("core", "%1 is %2; a finite number is expected. The file may be damaged."), name(key),
             shown(key));
    return *value;
}

std::string FamilyKeys::text(std::string_view key, std::string_view absent) const
{
    if (!has(key))
        return std::string(absent);
    const auto value = m_metadata.text(name(key));
    if (!value)
        fail(QUERN_TEXT("core", "%1 is no text. The file may be damaged."), name(key));
    return std::string(*value);
}

std::string FamilyKeys::shown(std::string_view key) const
{
    if (const auto integer = m_metadata.integer(name(key)))
        return toText(*integer);
    if (const auto number = m_metadata.number(name(key)))
        return toText(*number);
    return m_metadata.text(name(key)) ? "a text" : "a list or a truth value";
}

std::string FamilyKeys::demanded(std::string_view key) const
{
    if (!has(key))
        fail(QUERN_TEXT("core", "The model has no %1, without which it cannot run. The file may be incomplete."),
             name(key));
    return name(key);
}

} // namespace quern
