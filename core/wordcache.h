#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace quern {

// What words of one text have been encoded to. Words are views of that text. Bounded in memory.
class WordCache {
public:
    // Appends the tokens of a word. encode(word) appends them where they are not known.
    template <typename Encode>
    void write(std::string_view word, std::vector<int>& tokens, Encode encode)
    {
        if (const auto it = m_places.find(word); it != m_places.end()) {
            const auto first = m_tokens.begin() + it->second.first;
            tokens.insert(tokens.end(), first, first + it->second.count);
            return;
        }
        const std::size_t before = tokens.size();
        encode(word);
        add(word, std::span(tokens).subspan(before));
    }

private:
    static constexpr std::size_t kMost = 1 << 20;
    static constexpr std::size_t kLongest = 64; // bytes; longer ones hardly come again

    struct Place {
        std::uint32_t first, count;
    };

    void add(std::string_view word, std::span<const int> tokens)
    {
        if (word.size() > kLongest)
            return;
        if (m_places.size() == kMost) {
            m_places.clear();
            m_tokens.clear();
        }
        m_places.try_emplace(
            word, Place {static_cast<std::uint32_t>(m_tokens.size()), static_cast<std::uint32_t>(tokens.size())});
        m_tokens.insert(m_tokens.end(), tokens.begin(), tokens.end());
    }

    std::unordered_map<std::string_view, Place> m_places;
    std::vector<int> m_tokens;
};

} // namespace quern
