#pragma once

#include "core/model.h"

namespace quern {

// The metadata of a model's own family, by the end of the key: "block_count" is "llama.block_count".
// All functions throw Error, naming the key, for values that make no sense. Not longer than the model.
class FamilyKeys {
public:
    explicit FamilyKeys(const Model& model);

    bool has(std::string_view key) const { return m_metadata.find(name(key)); }
    // From least to 2^30. absent: what holds without the key; if that is below `least`, the key must be there.
    long integer(std::string_view key, long least, long absent) const;
    double positive(std::string_view key) const; // must be there
    double number(std::string_view key, double absent) const;
    std::string text(std::string_view key, std::string_view absent) const;

    std::string name(std::string_view key) const { return m_prefix + std::string(key); }
    std::string shown(std::string_view key) const; // the value, for messages

private:
    std::string demanded(std::string_view key) const; // name, if the key is there

    const Metadata& m_metadata;
    std::string m_prefix;
};

} // namespace quern
