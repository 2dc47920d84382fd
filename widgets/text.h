#pragma once

#include "core/error.h"
#include "core/tensor.h"

#include <QString>

// How the window writes what core knows: translated, in the user's language and number format.

QString sentence(const quern::Error& error);    // the error's text translated, arguments filled in
QString text(std::string_view utf8);            // bytes that are no UTF-8 are shown as U+FFFD
QString tensorsText(int count);                 // "one tensor", "7 tensors"
QString bytesText(std::uint64_t bytes);         // "3.94 GiB"
QString shapeText(const quern::Tensor& tensor); // "11008 × 4096", outermost first
QString figure(double value, int digits = 3);   // significant digits, zeros too: "0.0910"; "–" if not finite
QString fixed(double value, int decimals = 2);  // "4.62"; "–" if not finite
QString durationText(double seconds);           // "3 min 10 s"
