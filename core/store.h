#pragma once

#include "core/slab.h"

// How a plan is carried out, whatever its result goes into.
namespace quern {

// Where the tensors of a result go.
struct Store {
    // Called from several threads, in any order. offset: from the tensor's start.
    std::function<void(std::size_t index, std::uint64_t offset, std::span<const std::byte> bytes)> write;
    // A tensor that is there, as a view that `storage` keeps alive.
    std::function<Tensor(std::size_t index)> stored;
    std::shared_ptr<const Storage> storage;
};

// Whether a tensor is stored anew: all are where they are carried, else those that are not copied.
bool isStored(const Work& work, std::size_t index);

// Quantizes these tensors and stores them, telling the options' `done` of each.
void quantizeInto(const Work& work, std::span<const std::size_t> indices, const Store& store, Progress& progress);
// All that are stored, as the plan says: in order, or block by block (sequence.h).
void quantizeInto(const Work& work, const Store& store, Progress& progress);

} // namespace quern
