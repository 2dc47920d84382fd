#pragma once

#include "core/model.h"

#include <QStringList>

#include <vector>

// Where the overview draws each tensor: a column for every layer, a row for every kind; tensors outside the layers
// stand apart in a column at the right. A model without layers is a list of its names, or a wrapped grid if it is long.
struct OverviewLayout {
    struct Cell {
        int tensor; // index in Model::tensors
        int column, row;
    };

    std::vector<Cell> cells;
    int layers = 0;            // columns [0, layers) are layers
    int columns = 0, rows = 0; // all of them, the gap before `others` included
    QStringList kinds;         // names of the rows; empty for a wrapped grid
    QStringList others;        // names of the rows of the last column; empty if no tensor is outside the layers

    int cellAt(int column, int row) const; // index in cells, -1 for none
    int cellOf(int tensor) const;          // index in cells, -1 if hidden
    // The nearest cell from `cell` in a direction, gaps skipped; `cell` itself at the border.
    int neighbour(int cell, int columnStep, int rowStep) const;
};

// vectors: norms, biases and other tensors of one dimension too.
OverviewLayout overviewLayout(const quern::Model& model, bool vectors);
