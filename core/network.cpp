#include "core/network.h"

#include "core/familykeys.h"
#include "core/rotation.h"

#include <cmath>

namespace quern {
namespace {

constexpr long kMostLayers = 512; // of llama.cpp, LLAMA_MAX_LAYERS

Sizes sizesOf(const FamilyKeys& keys, const Computation& family)
{
    Sizes sizes;
    sizes.blocks = keys.integer("block_count", 1, 0);
    if (sizes.blocks > kMostLayers)
        fail(QUERN_TEXT("core", "%1 is %2; at most %3 layers are expected there. The file may be damaged."),
             keys.name("block_count"), sizes.blocks, kMostLayers);
    sizes.width = keys.integer("embedding_length", 1, 0);
    sizes.context = keys.integer("context_length", 1, 0);
    sizes.heads = keys.integer("attention.head_count", 1, 0);
    sizes.kvHeads = keys.integer("attention.head_count_kv", 1, sizes.heads);
    if (sizes.heads % sizes.kvHeads != 0)
        fail(QUERN_TEXT("core", "The model has %1 query heads for %2 key heads; a multiple of them is expected."),
             sizes.heads, sizes.kvHeads);
    const bool divides = sizes.width % sizes.heads == 0;
    if (!divides && !keys.has("attention.key_length"))
        fail(QUERN_TEXT("core", "A width of %1 does not divide among %2 heads, and %3 is absent."), sizes.width,
             sizes.heads, keys.name("attention.key_length"));
    sizes.headSize = keys.integer("attention.key_length", 1, divides ? sizes.width / sizes.heads : 0);
    sizes.valueSize = keys.integer("attention.value_length", 1, divides ? sizes.width / sizes.heads : 0);

    sizes.experts = family.needsExperts || family.mayHaveExperts
        ? keys.integer("expert_count", family.needsExperts ? 1 : 0, family.needsExperts ? -1 : 0)
        : 0;
    sizes.feedForward = keys.integer("feed_forward_length", sizes.experts > 0 ? 0 : 1, 0);
    if (sizes.experts == 0)
        return sizes;
    sizes.expertsUsed = keys.integer("expert_used_count", 1, 0);
    if (sizes.expertsUsed > sizes.experts)
        fail(QUERN_TEXT("core", "%1 is %2, but the model has %3 experts."), keys.name("expert_used_count"),
             sizes.expertsUsed, sizes.experts);
    const long shared = family.sharedExpert ? sizes.feedForward : 0;
    const long each = family.needsExperts ? sizes.feedForward / sizes.expertsUsed : sizes.feedForward;
    sizes.expertFeedForward = keys.integer("expert_feed_forward_length", 1, each);
    if (family.sharedExpert)
        sizes.sharedFeedForward = keys.integer("expert_shared_feed_forward_length", 1, shared);
    return sizes;
}

// Finds tensors by name and checks their shapes.
class Tensors {
public:
    Tensors(const Model& model, std::string prefix)
        : m_model(model)
        , m_prefix(std::move(prefix))
    {
    }

    bool has(std::string_view name) const { return m_model.find(m_prefix + std::string(name)); }

    Tensor tensor(std::string_view name, const std::vector<long>& shape) const
    {
        const std::string full = m_prefix + std::string(name);
        const Tensor* found = m_model.find(full);
        if (!found)
            fail(QUERN_TEXT("core", "The model has no tensor %1, without which it cannot run. It may be incomplete."),
                 full);
        if (found->shape != shape)
            fail(QUERN_TEXT("core", "Tensor %1 has the shape %2; its metadata ask for %3."), full, text(found->shape),
                 text(shape));
        return *found;
    }

    NormTensors norm(const std::string& name, long width, bool bias) const
    {
        return {tensor(name + ".weight", {width}), optional(name + ".bias", width, bias)};
    }

    LinearTensors linear(const std::string& name, long rows, long cols, bool bias = false) const
    {
        return {tensor(name + ".weight", {rows, cols}), optional(name + ".bias", rows, bias)};
    }

    // A matrix for each expert.
    LinearTensors experts(const std::string& name, long count, long rows, long cols) const
    {
        return {tensor(name + ".weight", {count, rows, cols}), {}};
    }

    std::optional<Tensor> optional(const std::string& name, long size, bool needed) const
    {
        return needed || has(name) ? std::optional(tensor(name, {size})) : std::nullopt;
    }

private:
    static std::string text(const std::vector<long>& shape)
    {
        std::string text;
        for (const long size : shape)
            text += (text.empty() ? "" : " x ") + std::to_string(size);
        return text;
    }

    const Model& m_model;
    std::string m_prefix;
};

void bindAttention(BlockTensors& block, const Tensors& tensors, const Sizes& sizes, const Computation& family)
{
    const long queries = sizes.heads * sizes.headSize, keys = sizes.kvHeads * sizes.headSize,
               values = sizes.kvHeads * sizes.valueSize;
    const bool biases = family.biases || family.layerNorms;
    block.attentionNorm = tensors.norm("attn_norm", sizes.width, family.layerNorms);
    if (family.fusedHeads) {
        block.fusedHeads = tensors.linear("attn_qkv", queries + keys + values, sizes.width, biases);
    } else {
        block.query = tensors.linear("attn_q", queries, sizes.width, biases);
        block.key = tensors.linear("attn_k", keys, sizes.width, biases);
        block.value = tensors.linear("attn_v", values, sizes.width, biases);
    }
    if (family.headNorms) {
        block.queryNorm = tensors.norm("attn_q_norm", sizes.headSize, false);
        block.keyNorm = tensors.norm("attn_k_norm", sizes.headSize, false);
    }
    block.output = tensors.linear("attn_output", sizes.width, sizes.heads * sizes.valueSize, family.layerNorms);
    if (family.postNorms)
        block.attentionPostNorm = tensors.norm("post_attention_norm", sizes.width, false);
}

void bindExperts(BlockTensors& block, const Tensors& tensors, const Sizes& sizes, const Computation& family)
{
    const long experts = sizes.experts, width = sizes.width, feed = sizes.expertFeedForward;
    block.router = tensors.linear("ffn_gate_inp", experts, width);
    block.expertGate = tensors.experts("ffn_gate_exps", experts, feed, width);
    block.expertUp = tensors.experts("ffn_up_exps", experts, feed, width);
    block.expertDown = tensors.experts("ffn_down_exps", experts, width, feed);
    if (!family.sharedExpert)
        return;
    block.sharedRouter = LinearTensors {tensors.tensor("ffn_gate_inp_shexp.weight", {width}), {}};
    block.sharedGate = tensors.linear("ffn_gate_shexp", sizes.sharedFeedForward, width);
    block.sharedUp = tensors.linear("ffn_up_shexp", sizes.sharedFeedForward, width);
    block.sharedDown = tensors.linear("ffn_down_shexp", width, sizes.sharedFeedForward);
}

void bindFeedForward(BlockTensors& block, const Tensors& tensors, const Sizes& sizes, const Computation& family)
{
    block.feedForwardNorm = tensors.norm("ffn_norm", sizes.width, family.layerNorms);
    if (family.postNorms)
        block.feedForwardPostNorm = tensors.norm("post_ffw_norm", sizes.width, false);
    if (sizes.experts > 0) {
        bindExperts(block, tensors, sizes, family);
        return;
    }
    const bool biases = family.layerNorms;
    if (family.gated && !family.fusedGate)
        block.gate = tensors.linear("ffn_gate", sizes.feedForward, sizes.width, biases);
    block.up = tensors.linear("ffn_up", sizes.feedForward * (family.fusedGate ? 2 : 1), sizes.width, biases);
    block.down = tensors.linear("ffn_down", sizes.width, sizes.feedForward, biases);
}

Attention attentionOf(const FamilyKeys& keys, const Network& network)
{
    const Computation& family = network.architecture->computation;
    const Sizes& sizes = network.sizes;
    Attention attention;
    const bool byWidth = sizes.blocks == family.widthScaledLayers;
    attention.scale = 1
        / std::sqrt(byWidth ? static_cast<double>(sizes.width) / static_cast<double>(sizes.heads)
                            : static_cast<double>(sizes.headSize));
    if (family.attentionCap > 0)
        attention.cap
            = keys.has("attn_logit_softcapping") ? keys.positive("attn_logit_softcapping") : family.attentionCap;
    const bool windowed = family.windowPeriod > 0 && (family.window > 0 || keys.has("attention.sliding_window"));
    if (windowed) {
        attention.window = keys.integer("attention.sliding_window", 1, family.window);
        attention.period = keys.integer("attention.sliding_window_pattern", 0, family.windowPeriod);
    }
    return attention;
}

const Architecture& familyOf(const Model& model)
{
    const std::string_view name = model.architecture();
    if (name.empty())
        fail(QUERN_TEXT("core",
                        "The model does not say of which family it is (general.architecture), so it cannot run."));
    const Architecture* architecture = findArchitecture(name);
    if (!architecture)
        fail(QUERN_TEXT("core", "Models of the family %1 cannot be run; quern-cli architectures lists those that can."),
             name);
    return *architecture;
}

double logitCapOf(const FamilyKeys& keys, const Computation& family)
{
    if (family.logitCap == 0 && !family.capsLogits)
        return 0;
    const double cap = keys.number("final_logit_softcapping", family.logitCap);
    if (cap < 0)
        fail(QUERN_TEXT("core", "%1 is %2; a number from 0 is expected there. The file may be damaged."),
             keys.name("final_logit_softcapping"), keys.shown("final_logit_softcapping"));
    return cap;
}

void bindOutside(Network& network, const Model& model, const FamilyKeys& keys)
{
    const Computation& family = network.architecture->computation;
    const Tensors tensors(model, "");
    const Tensor* embedding = model.find("token_embd.weight");
    Sizes& sizes = network.sizes;
    sizes.vocabulary = embedding ? embedding->rows() : 0;
    network.embedding = tensors.tensor("token_embd.weight", {sizes.vocabulary, sizes.width});
    if (sizes.vocabulary < 1)
        fail(QUERN_TEXT("core", "Tensor %1 has no rows, so the model knows no token."), network.embedding.name);
    if (family.learnedPositions)
        network.positions = tensors.tensor("position_embd.weight", {sizes.context, sizes.width});
    network.outputNorm = tensors.norm("output_norm", sizes.width, family.layerNorms);
    network.head = tensors.has("output.weight") ? tensors.linear("output", sizes.vocabulary, sizes.width)
                                                : LinearTensors {network.embedding, {}};
    if (family.scaledEmbedding)
        network.embeddingScale = std::sqrt(static_cast<double>(sizes.width));
    network.epsilon
        = keys.positive(family.layerNorms ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon");
    network.logitCap = logitCapOf(keys, family);
}

} // namespace

void Network::check() const
{
    for (const auto& part : storage)
        part->check();
}

Network openNetwork(const Model& model)
{
    Network network;
    network.architecture = &familyOf(model);
    network.storage = model.storage;
    const Computation& family = network.architecture->computation;
    const FamilyKeys keys(model);
    network.sizes = sizesOf(keys, family);
    bindOutside(network, model, keys);
    network.attention = attentionOf(keys, network);
    for (long i = 0; i < network.sizes.blocks; ++i) {
        const Tensors tensors(model, "blk." + std::to_string(i) + '.');
        BlockTensors& block = network.blocks.emplace_back();
        bindAttention(block, tensors, network.sizes, family);
        bindFeedForward(block, tensors, network.sizes, family);
    }
    if (!family.learnedPositions) // now that the tensors confirm the size of a head
        readRotations(network.attention, model, network.sizes, family);
    return network;
}

} // namespace quern
