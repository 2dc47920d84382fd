#pragma once

#include "core/calibration.h"
#include "core/network.h"

namespace quern {

// Whether errors of the embedding's rows can be weighed by what reads them: it is not the output matrix as well, whose
// inputs would count too.
bool hasReaders(const Network& network);

// Stands for the inputs of the embedding, whose rows no other weight is multiplied by: what its rows are multiplied by.
// With g the weights of the first block's attention norm and R the matrices that it feeds, an error e of a row becomes
// R (g e) for all of them before anything else is added to it, so that H = diag(g) Rᵀ R diag(g), over the rows of R,
// weighs it as E[x xᵀ] weighs the errors of a matrix; each row has a norm of its own, which changes none of its
// choices. Where norms subtract the mean, so does H. tokens: as many as the calibration has read. Throws Error,
// Cancelled.
InputStats embeddingReaders(const Network& network, double tokens, Progress& progress);

} // namespace quern
