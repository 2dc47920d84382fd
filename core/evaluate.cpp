#include "core/evaluate.h"

#include "core/forward.h"
#include "core/parallel.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace quern {
namespace {

constexpr long kBatchTokens = 8192;     // that go through a block at once
constexpr std::size_t kTile = 64 << 20; // bytes of logits held at once, of each model
constexpr std::uint64_t kPredictionBytes = sizeof(Prediction) + 2 * sizeof(double); // with its part of a summary

long batchOf(const Chunks& chunks)
{
    return std::clamp(kBatchTokens / chunks.context, 1L, chunks.count());
}

long tileRows(long vocabulary)
{
    return std::max(16L, static_cast<long>(kTile / sizeof(float)) / vocabulary);
}

// A model on its way through some chunks.
struct Stream {
    Network network;
    Matrix hidden {}; // (chunks * context) x width

    // What a pass costs, in blocks: the head's share of the work is that of its weights, for the scored half.
    double cost() const
    {
        const Sizes& s = network.sizes;
        return static_cast<double>(s.blocks) + static_cast<double>(s.vocabulary) / static_cast<double>(24 * s.width);
    }
};

// Of hidden states: sums of squares.
struct HiddenError {
    double difference = 0, power = 0;
};

// Reports steps of the work as a share of all of it.
class Steps {
public:
    Steps(double all, Progress& progress)
        : m_all(all)
        , m_progress(progress)
    {
    }

    template <typename Work>
    void step(double cost, const std::string& name, const Work& work)
    {
        ProgressPart part(m_progress, m_done / m_all, (m_done + cost) / m_all);
        part.report(0, name);
        work(part);
        m_done += cost;
    }

private:
    double m_all, m_done = 0;
    Progress& m_progress;
};

class Run {
public:
    Run(const Chunks& chunks, const EvaluateOptions& options, Progress& progress)
        : m_chunks(chunks)
        , m_options(options)
        , m_progress(progress)
        , m_predictions(static_cast<std::size_t>(chunks.count() * chunks.scored()))
    {
    }

    void add(const Model& model)
    {
        m_streams.push_back({openNetwork(model)});
        checkVocabulary(m_streams.back().network.sizes.vocabulary, model.path.string());
    }

    void add(const LogitFile& file)
    {
        m_file = &file;
        checkVocabulary(file.vocabulary(), file.path().string());
    }

    Evaluation evaluate()
    {
        std::optional<LogitWriter> writer;
        if (!m_options.logits.empty())
            m_writer = &writer.emplace(m_options.logits, m_chunks, vocabulary(), m_options.overwrite);
        const long batch = batchOf(m_chunks);
        double cost = 0;
        for (const Stream& stream : m_streams)
            cost += stream.cost();
        Steps steps(cost * std::ceil(static_cast<double>(m_chunks.count()) / static_cast<double>(batch)), m_progress);
        for (long first = 0; first < m_chunks.count(); first += batch)
            read(first, std::min(batch, m_chunks.count() - first), steps);
        if (writer)
            writer->commit();
        return result();
    }

private:
    long vocabulary() const { return m_streams.front().network.sizes.vocabulary; }
    bool compared() const { return m_file || m_streams.size() > 1; }

    // Whether hidden states of the two models can be set against each other.
    bool alike() const
    {
        return m_streams.size() > 1 && m_streams[0].network.sizes.blocks == m_streams[1].network.sizes.blocks
            && m_streams[0].network.sizes.width == m_streams[1].network.sizes.width;
    }

    void checkVocabulary(long found, const std::string& source) const
    {
        if (found != vocabulary())
            fail(QUERN_TEXT("core",
                            "%1 has a vocabulary of %2 tokens, the model one of %3: their predictions cannot be "
                            "compared."),
                 source, found, vocabulary());
    }

    // Predictions of the chunks before `chunk`.
    std::span<const Prediction> before(long chunk) const
    {
        return std::span(m_predictions).first(static_cast<std::size_t>(chunk * m_chunks.scored()));
    }

    void read(long first, long n, Steps& steps)
    {
        const auto tokens = std::span(m_chunks.tokens)
                                .subspan(static_cast<std::size_t>(first * m_chunks.context),
                                         static_cast<std::size_t>(n * m_chunks.context));
        for (Stream& stream : m_streams)
            stream.hidden = embed(stream.network, tokens, m_chunks.context);
        measureHidden(0);
        for (long block = 0; std::ranges::any_of(m_streams, [&](auto& s) { return block < s.network.sizes.blocks; });
             ++block) {
            readBlock(block, steps);
            measureHidden(static_cast<std::size_t>(block) + 1);
        }
        predict(first, n, steps);
        if (m_options.sofar)
            m_options.sofar(summary(before(first + n), compared()));
    }

    void readBlock(long block, Steps& steps)
    {
        for (Stream& stream : m_streams)
            if (block < stream.network.sizes.blocks)
                steps.step(1, "blk." + std::to_string(block), [&](Progress& progress) {
                    const BlockWeights weights = decodedBlock(stream.network, block, progress);
                    stream.network.check();
                    runBlock(stream.network, weights, stream.hidden, m_chunks.context, {}, progress);
                });
    }

    void measureHidden(std::size_t place)
    {
        if (!alike())
            return;
        m_errors.resize(std::max(m_errors.size(), place + 1));
        const Matrix &mine = m_streams[0].hidden, &reference = m_streams[1].hidden;
        for (long row = 0; row < mine.rows(); ++row)
            if (row % m_chunks.context >= m_chunks.firstScored()) {
                m_errors[place].difference += static_cast<double>((mine.row(row) - reference.row(row)).squaredNorm());
                m_errors[place].power += static_cast<double>(reference.row(row).squaredNorm());
            }
    }

    // The hidden states of predictions [first, first + n) of the batch.
    Matrix scoredRows(const Stream& stream, long first, long n) const
    {
        Matrix rows(n, stream.hidden.cols());
        for (long i = 0; i < n; ++i) {
            const long chunk = (first + i) / m_chunks.scored(), at = (first + i) % m_chunks.scored();
            rows.row(i) = stream.hidden.row(chunk * m_chunks.context + m_chunks.firstScored() + at);
        }
        return rows;
    }

    void predict(long firstChunk, long n, Steps& steps)
    {
        const long all = n * m_chunks.scored(), tile = tileRows(vocabulary());
        double cost = 0;
        for (const Stream& stream : m_streams)
            cost += stream.cost() - static_cast<double>(stream.network.sizes.blocks);
        steps.step(cost, "output", [&](Progress& progress) {
            for (long first = 0; first < all; first += tile) {
                ProgressPart part(progress, static_cast<double>(first) / static_cast<double>(all),
                                  static_cast<double>(std::min(first + tile, all)) / static_cast<double>(all));
                predictTile(firstChunk, first, std::min(tile, all - first), part);
            }
        });
    }

    void predictTile(long firstChunk, long first, long n, Progress& progress)
    {
        std::vector<Matrix> found;
        for (const Stream& stream : m_streams) {
            found.push_back(logits(stream.network, scoredRows(stream, first, n), {}, progress));
            stream.network.check();
        }
        parallelFor(n, progress, [&](long i) {
            const long chunk = firstChunk + (first + i) / m_chunks.scored(), at = (first + i) % m_chunks.scored();
            const auto row = [&](std::size_t stream) {
                return std::span<const float>(found[stream].row(i).data(), static_cast<std::size_t>(vocabulary()));
            };
            m_predictions[static_cast<std::size_t>(chunk * m_chunks.scored() + at)]
                = predictOne(row(0), found.size() > 1 ? row(1) : std::span<const float> {}, chunk, at);
        });
        if (m_file)
            m_file->check();
    }

    Prediction predictOne(std::span<const float> mine, std::span<const float> reference, long chunk, long at) const
    {
        const int next = m_chunks.chunk(chunk)[static_cast<std::size_t>(m_chunks.firstScored() + at + 1)];
        const Prediction prediction = m_file ? predicted(mine, m_file->distribution(chunk, at), next)
            : reference.empty()              ? predicted(mine, next)
                                             : predicted(mine, reference, next);
        if (!std::isfinite(prediction.nll) || !std::isfinite(prediction.divergence))
            fail(QUERN_TEXT("core",
                            "The predictions for token %1 of chunk %2 are no finite numbers; the weights may hold such "
                            "values, or the file may be damaged."),
                 m_chunks.firstScored() + at + 1, chunk);
        if (m_writer)
            m_writer->write(chunk, at, mine);
        return prediction;
    }

    Evaluation result() const
    {
        Evaluation evaluation;
        evaluation.predictions = summary(m_predictions, compared());
        for (const HiddenError& e : m_errors)
            evaluation.hiddenErrors.push_back(e.power > 0 ? std::sqrt(e.difference / e.power) : 0);
        evaluation.context = m_chunks.context;
        evaluation.chunks = m_chunks.count();
        return evaluation;
    }

    const Chunks& m_chunks;
    const EvaluateOptions& m_options;
    Progress& m_progress;
    std::vector<Stream> m_streams; // the model, and its reference if that is a model
    const LogitFile* m_file = nullptr;
    LogitWriter* m_writer = nullptr;
    std::vector<Prediction> m_predictions; // of all chunks
    std::vector<HiddenError> m_errors;
};

} // namespace

Evaluation evaluate(const Model& model, const Chunks& chunks, const EvaluateOptions& options, Progress& progress)
{
    Run run(chunks, options, progress);
    run.add(model);
    return run.evaluate();
}

Evaluation evaluate(const Model& model, const Model& reference, const Chunks& chunks, const EvaluateOptions& options,
                    Progress& progress)
{
    Run run(chunks, options, progress);
    run.add(model);
    run.add(reference);
    return run.evaluate();
}

Evaluation evaluate(const Model& model, const LogitFile& reference, const EvaluateOptions& options, Progress& progress)
{
    Run run(reference.chunks(), options, progress);
    run.add(model);
    run.add(reference);
    return run.evaluate();
}

std::uint64_t evaluationBytes(const Model& model, const Model* reference, const Chunks& chunks)
{
    const auto bytes = [](long values) { return static_cast<std::uint64_t>(values) * sizeof(float); };
    const long batch = batchOf(chunks), scored = batch * chunks.scored();
    std::uint64_t kept = static_cast<std::uint64_t>(chunks.count() * chunks.scored()) * kPredictionBytes;
    std::uint64_t block = 0, predictions = 0, head = 0; // of a model at a time; of all
    for (const Model* each : {&model, reference}) {
        if (!each)
            continue;
        const Network network = openNetwork(*each);
        const long rows = std::min(tileRows(network.sizes.vocabulary), scored);
        kept += networkBytes(network) + bytes(batch * chunks.context * network.sizes.width);
        block = std::max(block, decodedBytes(network) + workingBytes(network, chunks.context, batch));
        head = std::max(head,
                        logitsBytes(network, rows) + bytes(rows * (network.sizes.width - network.sizes.vocabulary)));
        predictions += bytes(rows * network.sizes.vocabulary);
    }
    return withReserve(kept + std::max(block, predictions + head));
}

} // namespace quern
