#include "core/specialtokens.h"

#include <algorithm>
#include <map>

namespace quern {
namespace {

struct Hit {
    int token;
    std::size_t begin;
};

bool isSpace(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

} // namespace

// A text being taken apart.
struct SpecialTokens::Cutting {
    std::string_view text;
    std::map<std::size_t, std::size_t> free; // begin and end of what is text yet
    std::vector<Part> found;

    void take(const Hit& hit, std::size_t length, bool stripsLeft, bool stripsRight)
    {
        auto around = free.upper_bound(hit.begin);
        if (around == free.begin() || (--around)->second < hit.begin + length)
            return;
        const std::size_t first = around->first, last = around->second;
        std::size_t begin = hit.begin, end = hit.begin + length;
        while (stripsLeft && begin > first && isSpace(text[begin - 1]))
            --begin;
        while (stripsRight && end < last && isSpace(text[end]))
            ++end;
        free.erase(around);
        if (first < begin)
            free.emplace(first, begin);
        if (end < last)
            free.emplace(end, last);
        found.push_back({hit.begin, length, hit.token});
    }
};

SpecialTokens::SpecialTokens(const TokenTable& table, unsigned uses, unsigned otherUses)
    : m_table(&table)
{
    std::map<std::size_t, Group, std::greater<>> groups;
    for (std::size_t i = 0; i < table.size(); ++i) {
        const auto token = static_cast<int>(i);
        if (!table.has(token, uses) || table.has(token, otherUses))
            continue;
        const std::string_view text = table.texts[i];
        Group& group = groups[text.size()];
        group.length = text.size();
        group.tokens.emplace(text, token);
        if (group.firstBytes.find(text.front()) == std::string::npos)
            group.firstBytes += text.front();
    }
    for (auto& [length, group] : groups)
        m_groups.push_back(std::move(group));
}

std::vector<SpecialTokens::Part> SpecialTokens::parts(std::string_view text) const
{
    Cutting cutting {text, {}, {}};
    if (!text.empty())
        cutting.free.emplace(0, text.size());
    std::vector<Hit> hits;
    for (const Group& group : m_groups) {
        hits.clear();
        for (std::size_t at = text.find_first_of(group.firstBytes);
             at != std::string_view::npos && at + group.length <= text.size();
             at = text.find_first_of(group.firstBytes, at + 1))
            if (const auto it = group.tokens.find(text.substr(at, group.length)); it != group.tokens.end())
                hits.push_back({it->second, at});
        std::ranges::stable_sort(hits, {}, &Hit::token); // found in the order of their places
        for (const Hit& hit : hits)
            cutting.take(hit, group.length, m_table->has(hit.token, kStripLeft), m_table->has(hit.token, kStripRight));
    }
    std::vector<Part> parts = std::move(cutting.found);
    for (const auto& [begin, end] : cutting.free)
        parts.push_back({begin, end - begin, -1});
    std::ranges::sort(parts, {}, &Part::begin);
    return parts;
}

} // namespace quern
