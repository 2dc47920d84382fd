#include "core/calibrating.h"
#include "core/checkpoint.h"
#include "core/collector.h"
#include "core/embeddingreaders.h"
#include "core/fingerprint.h"
#include "core/gguf.h"
#include "core/sha256.h"

#include <algorithm>
#include <cassert>
#include <optional>

namespace quern {
namespace {

using namespace calibrating;

// All hidden states, as they go into a block and as they come out of it; in one file where nothing is kept.
struct HiddenStates {
    const ScratchFile& in;
    const ScratchFile& out;
};

class Run {
public:
    Run(const Model& model, const Chunks& chunks, const CalibrateOptions& options, Progress& progress)
        : m_model(model)
        , m_network(openNetwork(model))
        , m_chunks(chunks)
        , m_options(options)
        , m_progress(progress)
    {
        assert(chunks.count() > 0);
    }

    Calibration calibrate()
    {
        m_result.datasets = m_options.datasets;
        m_result.chunks = m_chunks.count();
        m_result.context = m_chunks.context;
        m_result.sourceHash = m_model.sourceHash;
        open();
        const long finished = m_checkpoint ? m_checkpoint->finished() : 0;
        for (long i = 0; i < finished; ++i)
            take(m_checkpoint->block(i));
        if (finished == 0)
            embedAll();
        for (long block = finished; block < m_network.sizes.blocks; ++block)
            runBlock(block);
        if (m_options.processOutput)
            runOutput();
        if (m_options.hessians && hasReaders(m_network))
            addEmbedding();
        return std::move(m_result);
    }

private:
    // What the steps cost, in blocks: a fingerprint reads all weights, the head's work is that of its weights.
    double costOfFingerprint() const { return m_options.checkpoint.empty() ? 0.0 : 0.2; }
    double costOfOutput() const
    {
        const Sizes& s = m_network.sizes;
        return m_options.processOutput ? static_cast<double>(s.vocabulary) / static_cast<double>(12 * s.width) : 0.0;
    }
    ProgressPart part(double from, double cost) const
    {
        const double all = costOfFingerprint() + static_cast<double>(m_network.sizes.blocks) + costOfOutput();
        return {m_progress, from / all, (from + cost) / all};
    }
    ProgressPart partOfBlock(long block) const { return part(costOfFingerprint() + static_cast<double>(block), 1); }

    std::uint64_t hiddenBytes() const { return quern::calibrating::hiddenBytes(m_chunks, m_network.sizes.width); }

    void open()
    {
        if (m_options.checkpoint.empty()) {
            m_scratch.push_back(ScratchFile::unnamed(m_options.workspace));
            m_scratch.back().reserve(hiddenBytes());
        } else {
            m_checkpoint.emplace(m_options.checkpoint, fingerprintOfRun(), hiddenBytes());
        }
    }

    // Of all that the result depends on.
    std::string fingerprintOfRun() const
    {
        ProgressPart progress = part(0, costOfFingerprint());
        Sha256 hash;
        std::string text = std::string(QUERN_VERSION) + '\n' + fingerprint(m_model, progress) + '\n'
            + std::to_string(m_chunks.context) + ' ' + std::to_string(m_options.hessians) + ' '
            + std::to_string(m_options.processOutput) + '\n';
        for (const std::string& name : m_options.datasets)
            text += std::to_string(name.size()) + ' ' + name;
        hash.add(std::as_bytes(std::span(text)));
        hash.add(std::as_bytes(std::span(m_chunks.tokens)));
        return hash.hexadecimal();
    }

    HiddenStates states(long block) const
    {
        if (m_checkpoint)
            return {m_checkpoint->hidden(block), m_checkpoint->hidden(block + 1)};
        return {m_scratch.front(), m_scratch.front()};
    }

    // work(first token, tokens) for parts of so many chunks at most.
    template <typename Work>
    void forParts(long most, Progress& progress, const Work& work) const
    {
        calibrating::forParts(m_chunks, most, progress, work);
    }

    Matrix read(const ScratchFile& file, long first, long n) const
    {
        return readHidden(file, m_network.sizes.width, first, n);
    }

    void embedAll()
    {
        forParts(batchOf(m_chunks), m_progress, [&](long first, long n) {
            writeHidden(states(0).in, first, embed(m_network, tokensOf(m_chunks, first, n), m_chunks.context));
        });
    }

    void runBlock(long block)
    {
        ProgressPart progress = partOfBlock(block);
        const std::string name = "blk." + std::to_string(block);
        progress.report(0, name);
        Collector collector(&m_network.blocks[static_cast<std::size_t>(block)], m_options.hessians);
        {
            const HiddenStates files = states(block);
            const BlockWeights weights = decodedBlock(m_network, block, progress);
            const Observer observer = collector.observer(progress);
            forParts(batchOf(m_chunks), progress, [&](long first, long n) {
                Matrix hidden = read(files.in, first, n);
                quern::runBlock(m_network, weights, hidden, m_chunks.context, observer, progress);
                writeHidden(files.out, first, hidden);
                progress.report(0.98 * static_cast<double>(first + n) / static_cast<double>(m_chunks.tokens.size()),
                                name);
            });
        }
        Calibration ofBlock = collector.finished(progress);
        describe(ofBlock);
        if (m_checkpoint) {
            ProgressPart end(progress, 0.98, 1);
            m_checkpoint->finish(block, ofBlock, end);
            ofBlock = m_checkpoint->block(block); // H is in its file from now on
        } else if (m_options.hessians) {
            putAway(ofBlock, progress);
        }
        take(std::move(ofBlock));
        progress.report(1, name);
    }

    void runOutput()
    {
        const long blocks = m_network.sizes.blocks;
        ProgressPart progress = part(costOfFingerprint() + static_cast<double>(blocks), costOfOutput());
        progress.report(0, "output");
        Collector collector(nullptr, m_options.hessians);
        const Observer observer = collector.observer(progress);
        forParts(std::max(1L, kHeadTokens / m_chunks.context), progress, [&](long first, long n) {
            for (long done = 0; done < n; done += kHeadTokens) {
                const Matrix hidden = read(states(blocks).in, first + done, std::min(kHeadTokens, n - done));
                static_cast<void>(logits(m_network, hidden, observer, progress));
            }
            progress.report(static_cast<double>(first + n) / static_cast<double>(m_chunks.tokens.size()), "output");
        });
        Calibration ofOutput = collector.finished(progress);
        describe(ofOutput);
        putAway(ofOutput, progress);
        take(std::move(ofOutput));
    }

    void addEmbedding()
    {
        ProgressPart end(m_progress, 1, 1); // it is little beside a block
        const auto tokens = static_cast<double>(m_chunks.tokens.size());
        Calibration ofEmbedding;
        ofEmbedding.inputs[m_network.embedding.name] = embeddingReaders(m_network, tokens, end);
        putAway(ofEmbedding, end);
        m_result.inputs.merge(ofEmbedding.inputs);
    }

    void describe(Calibration& part) const
    {
        part.datasets = m_result.datasets;
        part.chunks = m_result.chunks;
        part.context = m_result.context;
        part.sourceHash = m_result.sourceHash;
    }

    // Moves H from memory into an unnamed file.
    void putAway(Calibration& part, Progress& progress) const
    {
        std::map<std::shared_ptr<const Hessian>, std::shared_ptr<const Hessian>> moved;
        const ScratchFile file = ScratchFile::unnamed(m_options.workspace);
        for (const auto& [name, stats] : part.inputs)
            for (const auto& h : stats.hessians)
                if (h && moved.try_emplace(h).second) {
                    progress.check();
                    file.write(file.size(), std::as_bytes(h->lower));
                }
        if (moved.empty())
            return;
        const auto mapped = file.mapped();
        const float* next = reinterpret_cast<const float*>(mapped->bytes().data());
        for (auto& [name, stats] : part.inputs)
            for (auto& h : stats.hessians) {
                if (!h)
                    continue;
                auto& there = moved[h];
                if (!there) {
                    there
                        = std::make_shared<const Hessian>(Hessian {h->size, {next, h->lower.size()}, mapped, nullptr});
                    next += h->lower.size();
                }
                h = there;
            }
    }

    void take(Calibration ofBlock)
    {
        if (m_options.blockDone)
            m_options.blockDone(ofBlock);
        m_result.inputs.merge(ofBlock.inputs);
    }

    const Model& m_model;
    const Network m_network;
    const Chunks& m_chunks;
    const CalibrateOptions& m_options;
    Progress& m_progress;
    std::optional<Checkpoint> m_checkpoint;
    std::vector<ScratchFile> m_scratch; // one, for hidden states, where there is no checkpoint
    Calibration m_result;
};

} // namespace

Calibration calibrate(const Model& model, const Chunks& chunks, const CalibrateOptions& options, Progress& progress)
{
    Calibration calibration = Run(model, chunks, options, progress).calibrate();
    progress.report(1, "");
    return calibration;
}

std::filesystem::path checkpointOf(const std::filesystem::path& target)
{
    std::filesystem::path folder = target;
    return folder += ".resume";
}

Calibration calibrateInto(const std::filesystem::path& target, bool overwrite, const Model& model, const Chunks& chunks,
                          const CalibrateOptions& options, Progress& progress)
{
    assert(options.checkpoint.empty());
    refuseOwnFile(model, target, false);
    {
        const PendingFile tried(target, 0, overwrite); // tells now whether the target can be written
    }
    CalibrateOptions resumable = options;
    resumable.checkpoint = checkpointOf(target);
    Calibration calibration = calibrate(model, chunks, resumable, progress);
    writeCalibration(calibration, target, overwrite, progress);
    Checkpoint::remove(resumable.checkpoint);
    return calibration;
}

} // namespace quern
