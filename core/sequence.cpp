#include "core/sequence.h"

#include "core/calibrating.h"
#include "core/changed.h"
#include "core/collector.h"
#include "core/embeddingreaders.h"
#include "core/error.h"

#include <algorithm>
#include <cassert>

namespace quern {
namespace {

using namespace calibrating;

// Of a block's progress: until its inputs are known, until it is quantized; the rest runs what it has become.
constexpr double kKnown = 0.5, kMade = 0.9;
constexpr double kShifted = 0.2; // share of making it that the shift of its targets takes

class Sequence {
public:
    Sequence(const Work& work, const Store& store, Progress& progress)
        : m_work(work)
        , m_store(store)
        , m_progress(progress)
        , m_network(openNetwork(work.model))
        , m_chunks(*work.options.text)
        , m_trust(setting(*work.plan.sequential, kTrust))
        , m_made(work.model)
        , m_original(ScratchFile::unnamed(work.options.workspace))
        , m_drifted(ScratchFile::unnamed(work.options.workspace))
    {
        assert(m_chunks.count() > 0);
        m_made.storage.push_back(store.storage);
        m_original.reserve(hiddenBytes(m_chunks, m_network.sizes.width));
        m_drifted.reserve(hiddenBytes(m_chunks, m_network.sizes.width));
    }

    void run()
    {
        runOutside();
        const long blocks = m_network.sizes.blocks;
        for (long block = 0; block < blocks; ++block)
            runBlock(block);
        if (headIsApart())
            runOutput();
    }

private:
    using Indices = std::vector<std::size_t>;

    ProgressPart part(double from, double to) const
    {
        const double all = static_cast<double>(m_network.sizes.blocks) + 2; // with what comes before and after
        return {m_progress, from / all, to / all};
    }
    bool headIsApart() const { return m_network.head.weight.name != m_network.embedding.name; }
    long atOnce() const { return std::min(m_chunks.count(), sequencesAtOnce(m_network, m_chunks.context)); }
    Matrix read(const ScratchFile& file, long first, long n) const
    {
        return readHidden(file, m_network.sizes.width, first, n);
    }

    // Of tensors that are stored anew and belong to a step: a block, or -1 before all, or behind the last one.
    Indices indicesOf(long step) const
    {
        const long blocks = m_network.sizes.blocks;
        const auto stepOf = [&](const std::string& name) {
            const long layer = layerOf(name);
            const bool last = headIsApart() && name == m_network.head.weight.name;
            return last ? blocks : layer < blocks ? layer : -1;
        };
        Indices indices;
        for (std::size_t i = 0; i < m_made.tensors.size(); ++i)
            if (isStored(m_work, i) && stepOf(m_made.tensors[i].name) == step)
                indices.push_back(i);
        return indices;
    }

    // Whether a tensor is quantized such that it matters what its inputs are.
    bool isSolved(std::size_t i) const
    {
        const Choice& choice = m_work.plan.tensors[i].choice;
        return choice.quantizer && !choice.format->floating();
    }

    void runOutside()
    {
        ProgressPart progress = part(0, 1);
        Calibration outside = m_work.calibration ? *m_work.calibration : Calibration {};
        if (hasReaders(m_network) && !inputsOf(m_network.embedding, &outside))
            outside.inputs[m_network.embedding.name]
                = embeddingReaders(m_network, static_cast<double>(m_chunks.tokens.size()), progress);
        make(indicesOf(-1), m_work.model, outside, progress);
        const Network made = openNetwork(m_made);
        forParts(m_chunks, atOnce(), progress, [&](long first, long n) {
            const auto tokens = tokensOf(m_chunks, first, n);
            writeHidden(m_original, first, embed(m_network, tokens, m_chunks.context));
            writeHidden(m_drifted, first, embed(made, tokens, m_chunks.context));
        });
    }

    void runBlock(long block)
    {
        ProgressPart all = part(static_cast<double>(block) + 1, static_cast<double>(block) + 2);
        ProgressPart knowing(all, 0, kKnown), making(all, kKnown, kMade), running(all, kMade, 1);
        makeShifted(indicesOf(block), inputsOfBlock(block, knowing), making);
        const Network made = openNetwork(m_made);
        const BlockWeights weights = decodedBlock(made, block, running);
        forParts(m_chunks, atOnce(), running, [&](long first, long n) {
            Matrix hidden = read(m_drifted, first, n);
            quern::runBlock(made, weights, hidden, m_chunks.context, {}, running);
            writeHidden(m_drifted, first, hidden);
        });
    }

    // Also takes the original's hidden states through the block.
    Calibration inputsOfBlock(long block, Progress& progress)
    {
        const std::string name = "blk." + std::to_string(block);
        Collector collector(&m_network.blocks[static_cast<std::size_t>(block)], true);
        const Observer original = collector.original(), observer = collector.observer(progress);
        const BlockWeights weights = decodedBlock(m_network, block, progress);
        forParts(m_chunks, atOnce(), progress, [&](long first, long n) {
            progress.report(static_cast<double>(first) / static_cast<double>(m_chunks.tokens.size()), name);
            Matrix hidden = read(m_original, first, n);
            quern::runBlock(m_network, weights, hidden, m_chunks.context, original, progress);
            writeHidden(m_original, first, hidden);
            hidden = read(m_drifted, first, n);
            quern::runBlock(m_network, weights, hidden, m_chunks.context, observer, progress);
        });
        return collector.finished(progress);
    }

    void runOutput()
    {
        const auto blocks = static_cast<double>(m_network.sizes.blocks);
        ProgressPart all = part(blocks + 1, blocks + 2), knowing(all, 0, kKnown), making(all, kKnown, 1);
        const Indices indices = indicesOf(m_network.sizes.blocks);
        Collector collector(nullptr, true);
        const Observer original = collector.original(), observer = collector.observer(knowing);
        const Tensor& head = m_network.head.weight;
        if (std::ranges::none_of(indices, [&](std::size_t i) { return isSolved(i); }))
            return make(indices, m_work.model, {}, making);
        const auto inputs = [&](const ScratchFile& file, long first, long n) {
            return outputInputs(m_network, read(file, first, n), knowing);
        };
        forParts(m_chunks, atOnce(), knowing, [&](long first, long n) {
            original.input(head, 0, inputs(m_original, first, n));
            observer.input(head, 0, inputs(m_drifted, first, n));
        });
        makeShifted(indices, collector.finished(knowing), making);
    }

    // Quantizes tensors of which that is known, for the targets that it gives them.
    void makeShifted(const Indices& indices, const Calibration& known, Progress& progress)
    {
        if (m_trust == 0)
            return make(indices, m_work.model, known, progress);
        ProgressPart solving(progress, 0, kShifted), making(progress, kShifted, 1);
        Shifts shifts(m_trust);
        for (const std::size_t i : indices)
            if (isSolved(i))
                shifts.add(m_work.model.tensors[i].name, inputsOf(m_work.model.tensors[i], &known), solving);
        const auto isShifted = [&](const Tensor& tensor) { return shifts.has(tensor.name); };
        const auto rows = [&](const Tensor& tensor, long first, long n) { return shifts.rows(tensor, first, n); };
        const Model targets = changed(m_work.model, isShifted, rows, m_work.options.workspace, solving);
        shifts = Shifts(m_trust); // its memory is for others now
        make(indices, targets, known, making);
    }

    // Quantizes tensors of a model, errors being measured against the original, and puts them into m_made.
    void make(const Indices& indices, const Model& targets, const Calibration& known, Progress& progress)
    {
        const Work work {.model = targets,
                         .plan = m_work.plan,
                         .calibration = &known,
                         .options = m_work.options,
                         .carried = m_work.carried,
                         .curvatures = m_work.curvatures,
                         .ofHeldOut = m_work.ofHeldOut,
                         .original = &targets == &m_work.model ? nullptr : &m_work.model};
        quantizeInto(work, indices, m_store, progress);
        for (const std::size_t i : indices)
            m_made.tensors[i] = m_store.stored(i);
    }

    const Work& m_work;
    const Store& m_store;
    Progress& m_progress;
    const Network m_network; // the original
    const Chunks& m_chunks;
    double m_trust;
    Model m_made;                      // the original with all tensors that are finished
    ScratchFile m_original, m_drifted; // hidden states before the next block, in both
};

} // namespace

void quantizeSequentially(const Work& work, const Store& store, Progress& progress)
{
    if (!work.options.text || work.options.text->count() == 0)
        fail(QUERN_TEXT("core",
                        "The recipe quantizes block by block, each calibrated on what those before it have become, "
                        "which needs the text itself and no finished calibration: quern-cli quantize --text FILE."));
    Sequence(work, store, progress).run();
}

Calibration foreseen(const Model& model, const Calibration* texts)
{
    const Network network = openNetwork(model);
    Calibration result = texts ? *texts : Calibration {};
    result.path.clear(); // what it will be is in no file
    const auto add = [&](const Tensor& weight) {
        const long matrices = weight.matrices();
        result.inputs[weight.name]
            = {.sumSquares = Eigen::MatrixXd::Ones(matrices, weight.cols()),
               .counts = std::vector<double>(static_cast<std::size_t>(matrices), 1),
               .hessians = std::vector<std::shared_ptr<const Hessian>>(static_cast<std::size_t>(matrices))};
    };
    for (const BlockTensors& block : network.blocks)
        for (const Tensor* weight : Collector::weights(block))
            add(*weight);
    if (network.head.weight.name != network.embedding.name)
        add(network.head.weight);
    if (hasReaders(network))
        add(network.embedding);
    return result;
}

} // namespace quern
