#include "app/cli/chunks.h"

#include "app/cli/output.h"

#include <filesystem>

quern::Chunks textChunks(const Arguments& arguments, const quern::Model& model, const quern::Progress& progress)
{
    return quern::chunksOf(quern::tokenizerOf(model), textAt(arguments.text("--text")),
                           arguments.number("--ctx", 4, kLongestChunk, 512),
                           arguments.number("--chunks", 1, kLongestChunk, 0), progress);
}

std::string textName(const Arguments& arguments)
{
    return std::filesystem::path(arguments.text("--text")).filename().string();
}

std::string chunksText(long chunks, long context)
{
    return counted(chunks, "chunk") + " of " + counted(context, "token");
}

std::string needsText(const quern::CalibrationNeeds& needs, const quern::Chunks& chunks)
{
    return chunksText(chunks.count(), chunks.context) + ", at most " + size(needs.memory)
        + " of memory besides the files, and " + size(needs.disk) + " on the disk until it is done";
}
