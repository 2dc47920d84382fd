#pragma once

#include "core/group.h"
#include "core/pyramid.h"
#include "widgets/views/subject.h"

#include <list>
#include <memory>

// What the matrix view can show of a tensor.
enum class MatrixLayer { Weight, Error, Scale };

// One of them, ready to be drawn, with all that it refers to.
struct LayerPicture {
    Subject subject;
    std::shared_ptr<const quern::QuantizedCopy> stored; // of the error; else null
    std::shared_ptr<const quern::Pyramid> pyramid;      // null: the format has no scales
    double columnsPerCell = 1;
    std::size_t bytes = 0;
};

// For a worker: up to a second for 45 million weights, more with slow quantizers.
std::shared_ptr<const LayerPicture> layerPicture(const Subject& subject, MatrixLayer layer, quern::Progress& progress);

// The pictures made last, within a bound of memory. GUI thread only.
class LayerCache {
public:
    explicit LayerCache(std::size_t bytes)
        : m_most(bytes)
    {
    }

    std::shared_ptr<const LayerPicture> find(const Subject& subject, MatrixLayer layer); // null if not kept
    void insert(MatrixLayer layer, std::shared_ptr<const LayerPicture> picture);
    void clear();
    std::size_t bytes() const { return m_bytes; }

private:
    struct Entry {
        MatrixLayer layer;
        std::shared_ptr<const LayerPicture> picture;
    };
    std::list<Entry> m_entries; // the one used last comes first
    std::size_t m_most;
    std::size_t m_bytes = 0;
};
