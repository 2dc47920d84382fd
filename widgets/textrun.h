#pragma once

#include <QString>

// A text that the model is run on, and how much of it.
struct TextRun {
    QString path, title;
    long context = 512;      // tokens of a chunk
    long most = 0;           // chunks; 0: all
    bool moments = false;    // of a calibration: second moments of the inputs too
    bool sequential = false; // of a calibration: the model is to be quantized block by block on this text
    QString key {};          // of what was read, and how, when it is to be the same again; empty: whatever is there

    friend bool operator==(const TextRun&, const TextRun&) = default;
};
