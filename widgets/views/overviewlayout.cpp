#include "widgets/views/overviewlayout.h"

#include "widgets/text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

namespace {

constexpr int kLongestList = 24; // names that are readable one below the other

// In the order in which a token passes them; others follow by name.
constexpr std::array<std::string_view, 13> kOrder {
    "attn_q", "attn_k",   "attn_v",        "attn_qkv",    "attn_output",   "ffn_gate_inp",  "ffn_gate",
    "ffn_up", "ffn_down", "ffn_gate_exps", "ffn_up_exps", "ffn_down_exps", "ffn_gate_shexp"};

auto orderOf(std::string_view kind)
{
    return std::pair(std::ranges::find(kOrder, kind) - kOrder.begin(), kind);
}

bool before(std::string_view a, std::string_view b)
{
    return orderOf(a) < orderOf(b);
}

void listWithoutLayers(OverviewLayout& layout, const quern::Model& model, const std::vector<int>& tensors)
{
    const int n = static_cast<int>(tensors.size());
    const bool list = n <= kLongestList;
    layout.columns = list ? 1 : static_cast<int>(std::ceil(std::sqrt(3.0 * n)));
    layout.rows = (n + layout.columns - 1) / layout.columns;
    for (int i = 0; i < n; ++i) {
        layout.cells.push_back({tensors[static_cast<std::size_t>(i)], i % layout.columns, i / layout.columns});
        if (list)
            layout.kinds.append(text(
                quern::kindOf(model.tensors[static_cast<std::size_t>(tensors[static_cast<std::size_t>(i)])].name)));
    }
}

void columnOfOthers(OverviewLayout& layout, const quern::Model& model, const std::vector<int>& tensors)
{
    if (tensors.empty())
        return;
    const int n = static_cast<int>(tensors.size());
    layout.rows = std::max(layout.rows, std::min(n, kLongestList));
    const bool named = n <= layout.rows;
    for (int i = 0; i < n; ++i) {
        const int tensor = tensors[static_cast<std::size_t>(i)];
        layout.cells.push_back({tensor, layout.layers + 1 + i / layout.rows, i % layout.rows});
        if (named)
            layout.others.append(text(quern::kindOf(model.tensors[static_cast<std::size_t>(tensor)].name)));
    }
    layout.columns = layout.cells.back().column + 1;
}

} // namespace

OverviewLayout overviewLayout(const quern::Model& model, bool vectors)
{
    OverviewLayout layout;
    std::map<std::string_view, int, decltype(&before)> rows(&before);
    std::vector<int> others, shown;
    for (std::size_t i = 0; i < model.tensors.size(); ++i) {
        const quern::Tensor& tensor = model.tensors[i];
        if (tensor.shape.size() < 2 && !vectors)
            continue;
        const int layer = quern::layerOf(tensor.name);
        layout.layers = std::max(layout.layers, layer + 1);
        (layer < 0 ? others : shown).push_back(static_cast<int>(i));
        if (layer >= 0)
            rows.emplace(quern::kindOf(tensor.name), 0);
    }
    if (shown.empty()) {
        layout.layers = 0;
        listWithoutLayers(layout, model, others);
        return layout;
    }
    for (auto& [kind, row] : rows) {
        row = layout.rows++;
        layout.kinds.append(text(kind));
    }
    for (const int i : shown) {
        const std::string_view name = model.tensors[static_cast<std::size_t>(i)].name;
        layout.cells.push_back({i, quern::layerOf(name), rows.at(quern::kindOf(name))});
    }
    layout.columns = layout.layers;
    columnOfOthers(layout, model, others);
    return layout;
}

int OverviewLayout::cellAt(int column, int row) const
{
    const auto it = std::ranges::find_if(cells, [&](const Cell& c) { return c.column == column && c.row == row; });
    return it == cells.end() ? -1 : static_cast<int>(it - cells.begin());
}

int OverviewLayout::cellOf(int tensor) const
{
    const auto it = std::ranges::find(cells, tensor, &Cell::tensor);
    return it == cells.end() ? -1 : static_cast<int>(it - cells.begin());
}

int OverviewLayout::neighbour(int cell, int columnStep, int rowStep) const
{
    const Cell& from = cells[static_cast<std::size_t>(cell)];
    int column = from.column + columnStep, row = from.row + rowStep;
    for (; column >= 0 && column < columns && row >= 0 && row < rows; column += columnStep, row += rowStep)
        if (const int found = cellAt(column, row); found >= 0)
            return found;
    return cell;
}
