#pragma once

#include "app/cli/arguments.h"
#include "core/calibrate.h"
#include "core/chunks.h"

constexpr long kLongestChunk = 1 << 24; // tokens

// The chunks of --text, --ctx and --chunks.
quern::Chunks textChunks(const Arguments& arguments, const quern::Model& model, const quern::Progress& progress);

std::string textName(const Arguments& arguments);  // of --text, in files that are made with it
std::string chunksText(long chunks, long context); // "2 chunks of 512 tokens"
// What reading them will take: "2 chunks of 512 tokens, at most ... of memory besides the files, and ..."
std::string needsText(const quern::CalibrationNeeds& needs, const quern::Chunks& chunks);
