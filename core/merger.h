#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

namespace quern {

// What two neighbours become; of all neighbours those of the smallest order do so first, of equals the leftmost.
template <typename Part>
struct Merged {
    std::uint32_t order;
    Part part;
};

// The parts of a word while neighbours merge.
template <typename Part>
class Merger {
public:
    void clear()
    {
        m_nodes.clear();
        m_queue.clear();
    }

    void add(Part part)
    {
        const auto i = static_cast<std::uint32_t>(m_nodes.size());
        if (i > 0)
            m_nodes.back().next = i;
        m_nodes.push_back({part, 1, i == 0 ? kNone : i - 1, kNone});
    }

    // join(left, right): std::optional<Merged<Part>>, nothing where the two stay apart.
    template <typename Join>
    void merge(Join join)
    {
        for (std::uint32_t i = 0; i + 1 < m_nodes.size(); ++i)
            consider(i, join);
        while (!m_queue.empty()) {
            std::ranges::pop_heap(m_queue, std::greater());
            const Candidate best = m_queue.back();
            m_queue.pop_back();
            take(best, join);
        }
    }

    template <typename Visit>
    void each(Visit visit) const
    {
        for (std::uint32_t i = m_nodes.empty() ? kNone : 0; i != kNone; i = m_nodes[i].next)
            visit(m_nodes[i].part);
    }

private:
    static constexpr std::uint32_t kNone = ~std::uint32_t {0};

    struct Node {
        Part part;
        std::uint32_t size; // in parts that were added; 0: merged into the one before
        std::uint32_t previous, next;
    };
    struct Candidate {
        std::uint64_t order; // then place
        std::uint32_t size;  // of both together
        Part part;
        bool operator>(const Candidate& other) const { return order > other.order; }
        std::uint32_t left() const { return static_cast<std::uint32_t>(order); }
    };

    template <typename Join>
    void consider(std::uint32_t left, Join& join)
    {
        const Node& a = m_nodes[left];
        if (a.next == kNone)
            return;
        const Node& b = m_nodes[a.next];
        if (const auto merged = join(a.part, b.part)) {
            m_queue.push_back({std::uint64_t {merged->order} << 32 | left, a.size + b.size, merged->part});
            std::ranges::push_heap(m_queue, std::greater());
        }
    }

    template <typename Join>
    void take(const Candidate& candidate, Join& join)
    {
        Node& left = m_nodes[candidate.left()];
        const std::uint32_t next = left.next;
        if (left.size == 0 || next == kNone || left.size + m_nodes[next].size != candidate.size)
            return; // one of the two has merged with another meanwhile
        left.part = candidate.part;
        left.size = candidate.size;
        left.next = m_nodes[next].next;
        m_nodes[next].size = 0;
        if (left.next != kNone)
            m_nodes[left.next].previous = candidate.left();
        if (left.previous != kNone)
            consider(left.previous, join);
        consider(candidate.left(), join);
    }

    std::vector<Node> m_nodes;
    std::vector<Candidate> m_queue;
};

} // namespace quern
