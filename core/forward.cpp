#include "core/forward.h"

#include "core/nn.h"

#include <algorithm>
#include <cassert>

namespace quern {

struct DecodedBlock {
    long block;
    nn::Norm attentionNorm, feedForwardNorm;
    std::optional<nn::Linear> query, key, value, fusedHeads;
    std::optional<nn::Norm> queryNorm, keyNorm, attentionPostNorm, feedForwardPostNorm;
    nn::Linear output;
    std::optional<nn::Linear> gate, up, down;
    std::optional<nn::Linear> router, expertGate, expertUp, expertDown;
    std::optional<nn::Linear> sharedRouter, sharedGate, sharedUp, sharedDown;
};

BlockWeights::BlockWeights(std::unique_ptr<const DecodedBlock> weights)
    : m_weights(std::move(weights))
{
}
BlockWeights::BlockWeights(BlockWeights&&) noexcept = default;
BlockWeights& BlockWeights::operator=(BlockWeights&&) noexcept = default;
BlockWeights::~BlockWeights() = default;

namespace {

nn::Vector vector(const Tensor& tensor)
{
    nn::Vector values(tensor.cols());
    decodeRows(tensor, 0, 1, values.data());
    return values;
}

nn::Norm norm(const NormTensors& tensors)
{
    return {vector(tensors.weight), tensors.bias ? vector(*tensors.bias) : nn::Vector()};
}

std::optional<nn::Norm> norm(const std::optional<NormTensors>& tensors)
{
    return tensors ? std::optional(norm(*tensors)) : std::nullopt;
}

std::optional<nn::Linear> linear(const std::optional<LinearTensors>& tensors, Progress& progress)
{
    return tensors ? std::optional(nn::linear(*tensors, progress)) : std::nullopt;
}

std::optional<nn::Linear> linearOnUse(const std::optional<LinearTensors>& tensors)
{
    return tensors ? std::optional(nn::linearOnUse(*tensors)) : std::nullopt;
}

// One part of the tokens, whole sequences, on its way through one block. forwardbytes.cpp says what it allocates.
class Pass {
public:
    Pass(const Network& network, const DecodedBlock& weights, long sequence, const nn::Run& run)
        : m_network(network)
        , m_weights(weights)
        , m_local(network.attention.isLocal(weights.block))
        , m_sequence(sequence)
        , m_run(run)
    {
        const Attention& attention = network.attention;
        m_turns = nn::turns(m_local ? attention.localRotation : attention.rotation, sequence, run.progress);
    }

    void run(const nn::Rows& hidden)
    {
        Matrix part = attended(normalised(hidden, m_weights.attentionNorm));
        addTo(hidden, part, m_weights.attentionPostNorm);
        part = fed(normalised(hidden, m_weights.feedForwardNorm));
        addTo(hidden, part, m_weights.feedForwardPostNorm);
    }

private:
    Matrix normalised(const nn::ConstRows& x, const nn::Norm& norm) const
    {
        Matrix y(x.rows(), x.cols());
        nn::normalise(x, norm, m_network.epsilon, y, m_run.progress);
        return y;
    }

    void addTo(const nn::Rows& hidden, Matrix& part, const std::optional<nn::Norm>& norm) const
    {
        if (norm)
            nn::normalise(part, *norm, m_network.epsilon, part, m_run.progress);
        nn::add(hidden, part, m_run.progress);
    }

    Matrix attended(const Matrix& x) const
    {
        const Sizes& s = m_network.sizes;
        Matrix query, key, value;
        if (m_weights.fusedHeads) {
            Matrix all = nn::apply(*m_weights.fusedHeads, x, m_run);
            const long queries = s.heads * s.headSize, keys = s.kvHeads * s.headSize;
            return attended(all.leftCols(queries), all.middleCols(queries, keys),
                            all.rightCols(s.kvHeads * s.valueSize));
        }
        query = nn::apply(*m_weights.query, x, m_run);
        key = nn::apply(*m_weights.key, x, m_run);
        value = nn::apply(*m_weights.value, x, m_run);
        return attended(query, key, value);
    }

    Matrix attended(const nn::Rows& query, const nn::Rows& key, const nn::ConstRows& value) const
    {
        const Sizes& s = m_network.sizes;
        const Attention& attention = m_network.attention;
        if (m_weights.queryNorm)
            nn::normalise(query, *m_weights.queryNorm, m_network.epsilon, query, m_run.progress);
        if (m_weights.keyNorm)
            nn::normalise(key, *m_weights.keyNorm, m_network.epsilon, key, m_run.progress);
        if (m_turns.cosines.cols() > 0) {
            nn::rotate(query, s.headSize, m_turns, m_sequence, m_run.progress);
            nn::rotate(key, s.headSize, m_turns, m_sequence, m_run.progress);
        }
        const long window = m_local ? attention.window : m_sequence;
        const Matrix out = nn::attend({query, key, value}, s, attention, window, m_sequence, m_run.progress);
        return nn::apply(m_weights.output, out, m_run);
    }

    Matrix fed(const Matrix& x) const
    {
        if (m_weights.router)
            return fedToExperts(x);
        return fed(x, m_weights.gate, *m_weights.up, *m_weights.down);
    }

    Matrix fed(const nn::ConstRows& x, const std::optional<nn::Linear>& gate, const nn::Linear& up,
               const nn::Linear& down, long expert = 0) const
    {
        const Computation& family = m_network.architecture->computation;
        if (gate) {
            Matrix active = nn::apply(*gate, x, m_run, expert);
            nn::gate(family.activation, active, nn::apply(up, x, m_run, expert), m_run.progress);
            return nn::apply(down, active, m_run, expert);
        }
        Matrix active = nn::apply(up, x, m_run, expert);
        if (!family.gated) {
            nn::activate(family.activation, active, m_run.progress);
            return nn::apply(down, active, m_run, expert);
        }
        const long half = active.cols() / 2; // the gate comes first
        Matrix gated = active.leftCols(half);
        nn::gate(family.activation, gated, active.rightCols(half), m_run.progress);
        return nn::apply(down, gated, m_run, expert);
    }

    Matrix fedToExperts(const Matrix& x) const
    {
        const Sizes& s = m_network.sizes;
        const bool normalised = m_network.architecture->computation.normsExperts;
        const nn::Routes routes = nn::routes(nn::apply(*m_weights.router, x, m_run), s.expertsUsed, normalised);
        Matrix sum = Matrix::Zero(x.rows(), x.cols());
        for (int expert = 0; expert < s.experts; ++expert) {
            std::vector<long> tokens;
            std::vector<float> shares;
            for (long t = 0; t < x.rows(); ++t)
                for (long i = 0; i < s.expertsUsed; ++i)
                    if (routes.experts(t, i) == expert) {
                        tokens.push_back(t);
                        shares.push_back(routes.weights(t, i));
                    }
            if (tokens.empty())
                continue;
            const Matrix some = x(tokens, Eigen::all);
            const Matrix y = fed(some, m_weights.expertGate, *m_weights.expertUp, *m_weights.expertDown, expert);
            for (std::size_t i = 0; i < tokens.size(); ++i)
                sum.row(tokens[i]) += y.row(static_cast<long>(i)) * shares[i];
        }
        if (m_weights.sharedRouter)
            addShared(x, sum);
        return sum;
    }

    // The expert of all tokens, as much of it as each token's own gate lets through.
    void addShared(const Matrix& x, Matrix& sum) const
    {
        const Matrix gate = nn::apply(*m_weights.sharedRouter, x, m_run);
        const Matrix y = fed(x, m_weights.sharedGate, *m_weights.sharedUp, *m_weights.sharedDown);
        for (long t = 0; t < x.rows(); ++t)
            sum.row(t) += y.row(t) / (1 + std::exp(-gate(t, 0)));
    }

    const Network& m_network;
    const DecodedBlock& m_weights;
    bool m_local;
    long m_sequence;
    const nn::Run& m_run;
    nn::Turns m_turns;
};

} // namespace

Matrix embed(const Network& network, std::span<const int> tokens, long sequence)
{
    assert(sequence > 0 && static_cast<long>(tokens.size()) % sequence == 0);
    const Sizes& s = network.sizes;
    if (network.positions && sequence > s.context)
        fail(QUERN_TEXT("core", "Sequences of %1 tokens are longer than the %2 that the model has positions for."),
             sequence, s.context);
    Matrix x(static_cast<long>(tokens.size()), s.width);
    Matrix position(1, s.width);
    for (long t = 0; t < x.rows(); ++t) {
        const long token = tokens[static_cast<std::size_t>(t)];
        if (token < 0 || token >= s.vocabulary)
            fail(QUERN_TEXT("core", "The model has %1 tokens; there is no token %2."), s.vocabulary, token);
        decodeRows(network.embedding, token, 1, x.row(t).data());
        if (network.embeddingScale != 1)
            x.row(t) *= static_cast<float>(network.embeddingScale);
        if (!network.positions)
            continue;
        decodeRows(*network.positions, t % sequence, 1, position.data());
        x.row(t) += position;
    }
    network.check();
    return x;
}

BlockWeights decodedBlock(const Network& network, long block, Progress& progress)
{
    const BlockTensors& from = network.blocks.at(static_cast<std::size_t>(block));
    auto weights = std::make_unique<DecodedBlock>(DecodedBlock {.block = block,
                                                                .attentionNorm = norm(from.attentionNorm),
                                                                .feedForwardNorm = norm(from.feedForwardNorm),
                                                                .query = linear(from.query, progress),
                                                                .key = linear(from.key, progress),
                                                                .value = linear(from.value, progress),
                                                                .fusedHeads = linear(from.fusedHeads, progress),
                                                                .queryNorm = norm(from.queryNorm),
                                                                .keyNorm = norm(from.keyNorm),
                                                                .attentionPostNorm = norm(from.attentionPostNorm),
                                                                .feedForwardPostNorm = norm(from.feedForwardPostNorm),
                                                                .output = nn::linear(from.output, progress),
                                                                .gate = linear(from.gate, progress),
                                                                .up = linear(from.up, progress),
                                                                .down = linear(from.down, progress),
                                                                .router = linear(from.router, progress),
                                                                .expertGate = linearOnUse(from.expertGate),
                                                                .expertUp = linearOnUse(from.expertUp),
                                                                .expertDown = linearOnUse(from.expertDown),
                                                                .sharedRouter = linear(from.sharedRouter, progress),
                                                                .sharedGate = linear(from.sharedGate, progress),
                                                                .sharedUp = linear(from.sharedUp, progress),
                                                                .sharedDown = linear(from.sharedDown, progress)});
    network.check();
    return BlockWeights(std::move(weights));
}

void runBlock(const Network& network, const BlockWeights& weights, Matrix& hidden, long sequence,
              const Observer& observer, Progress& progress)
{
    assert(sequence > 0 && hidden.rows() % sequence == 0 && hidden.cols() == network.sizes.width);
    const long step = sequence * sequencesAtOnce(network, sequence);
    const nn::Run run {observer, progress};
    Pass pass(network, *weights, sequence, run);
    for (long first = 0; first < hidden.rows(); first += step) {
        progress.check();
        pass.run(hidden.middleRows(first, std::min(step, hidden.rows() - first)));
    }
    network.check();
}

Matrix outputInputs(const Network& network, const Eigen::Ref<const Matrix>& hidden, Progress& progress)
{
    Matrix x(hidden.rows(), hidden.cols());
    nn::normalise(hidden, norm(network.outputNorm), network.epsilon, x, progress);
    return x;
}

Matrix logits(const Network& network, const Eigen::Ref<const Matrix>& hidden, const Observer& observer,
              Progress& progress)
{
    const Matrix x = outputInputs(network, hidden, progress);
    Matrix y = nn::apply(nn::linearOnUse(network.head), x, {observer, progress});
    if (network.logitCap > 0)
        nn::cap(y, network.logitCap, progress);
    network.check();
    return y;
}

} // namespace quern
