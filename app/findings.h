#pragma once

#include "core/quantize.h"

#include <QStringList>

// What quantizing a model told on the way.
struct Findings {
    quern::Distortion stored;    // of all tensors together
    std::uint64_t nonFinite = 0; // weights that became zero
    QStringList warnings;        // of methods that could not be used as they were chosen
    QStringList rewrites;        // what each of them did, a sentence each
    QStringList places;          // that they scaled, a sentence each

    // Fills this while the options are in use.
    void listen(quern::QuantizeOptions& options);
};
