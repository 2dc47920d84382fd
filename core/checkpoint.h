#pragma once

#include "core/calibration.h"
#include "core/scratchfile.h"

namespace quern {

// What is finished of a calibration, in a folder, so that an interrupted run can be taken up again: the hidden states
// that go into the next block, and the statistics of the blocks before it. Whatever ends the program, what the folder
// says is finished is whole.
class Checkpoint {
public:
    // Opens or makes the folder. What is there of another fingerprint is removed. hiddenBytes: of all hidden states.
    // Throws Error if another run is using it, or it holds files that are not a checkpoint's.
    Checkpoint(std::filesystem::path folder, std::string fingerprint, std::uint64_t hiddenBytes);
    ~Checkpoint();
    Checkpoint(const Checkpoint&) = delete;
    Checkpoint& operator=(const Checkpoint&) = delete;

    long finished() const { return m_finished; } // number of blocks
    const ScratchFile& hidden(long block) const; // what goes into it, or out of the one before
    Calibration block(long block) const;         // statistics of a finished one; H stays in its file. Throws Error

    // Writes a block's statistics; hidden(block + 1) has been written.
    void finish(long block, const Calibration& ofBlock, Progress& progress);
    // Removes the folder and what is in it, if no run is using it.
    static void remove(const std::filesystem::path& folder);

private:
    std::filesystem::path blockFile(long block) const;
    long finishedBefore(std::uint64_t hiddenBytes) const;
    void writeState();

    std::filesystem::path m_folder;
    std::string m_fingerprint;
    int m_lock;
    long m_finished = 0;
    std::vector<ScratchFile> m_hidden; // two, taken in turn
};

} // namespace quern
