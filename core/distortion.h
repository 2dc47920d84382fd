#pragma once

#include "core/progress.h"
#include "core/tensor.h"

namespace quern {

// How far decoded weights q are from the original ones w. Sums only, so parts can be merged; ratios on demand.
struct Distortion {
    double errorSquares = 0;   // sum of (w - q)^2
    double weightSquares = 0;  // sum of w^2
    double decodedSquares = 0; // sum of q^2
    double product = 0;        // sum of w q
    double outputError = 0;    // sum of h_i (w - q)^2, h = E[x_i^2]; 0 without calibration; preview() may know better
    double outputPower = 0;    // sum of h_i w^2
    double largest = 0;        // largest |w - q|
    long count = 0;

    void merge(const Distortion& other);
    double relative() const; // sqrt(errorSquares / weightSquares), no unit; 0 if exact, infinite if all weights are 0
    double sqnr() const;     // 10 log10(weightSquares / errorSquares), dB; infinite if exact
    double rmse() const;     // in units of the weights
    double cosine() const;   // of the angle between w and q; 1 if both are zero
    double rho() const;      // outputError / outputPower: relative error of the output; 0 without calibration
};

// w, q: n values of one row; importance: n values or null.
Distortion distortion(const float* w, const float* q, const float* importance, long n);

// Of a stored tensor to its original of the same shape; importance: cols() values, or as many for
// each matrix, or empty. Throws Error if shapes differ.
Distortion distortion(const Tensor& original, const Tensor& stored, std::span<const float> importance,
                      Progress& progress);

} // namespace quern
