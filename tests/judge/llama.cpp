#include "llama.h"

#include "llamaabi.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

namespace judge {

namespace {

constexpr int kF32 = 0;      // ggml type
constexpr int kError = 4;    // log level of ggml
constexpr int kContinue = 5; // log level of ggml: goes on with the line before

// What llama.cpp logged as errors since it was last emptied; written while one of its functions runs.
std::string& complaints()
{
    static std::string text;
    return text;
}

void keepErrors(int level, const char* text, void*)
{
    static bool keeping = false;
    keeping = level == kError || (level == kContinue && keeping);
    if (keeping)
        complaints() += text;
}

// The interface, ready for a call whose failure is then explained by complaints().
const Api& api()
{
    const Api& api = Api::instance();
    if (!api.reason.empty())
        throw std::runtime_error(api.reason);
    complaints().clear();
    api.setLog(keepErrors, nullptr);
    return api;
}

[[noreturn]] void fail(const std::string& sentence)
{
    std::string cause = complaints();
    while (cause.ends_with('\n'))
        cause.pop_back();
    std::ranges::replace(cause, '\n', ' ');
    throw std::runtime_error(cause.empty() ? sentence : sentence + " It says: " + cause);
}

// Runs tokens through a model with an empty memory.
class Run {
public:
    // observer: null, or called with `self` for every operation.
    Run(Model* model, const RunOptions& options, std::size_t positions, NodeObserver* observer = nullptr,
        void* self = nullptr)
        : m_context(nullptr, api().freeContext)
    {
        Params params;
        api().contextDefaults(&params);
        params.set(kContext, static_cast<std::uint32_t>(positions));
        params.set(kBatch, static_cast<std::uint32_t>(positions));
        params.set(kThreads, std::int32_t(options.threads));
        params.set(kThreadsBatch, std::int32_t(options.threads));
        params.set(kObserver, observer);
        params.set(kObserverSelf, self);
        if (options.exact) {
            params.set(kFlashAttention, std::int32_t(0));
            params.set(kTypeK, std::int32_t(kF32));
            params.set(kTypeV, std::int32_t(kF32));
        }
        m_context.reset(api().newContext(model, params));
        if (!m_context)
            fail("llama.cpp cannot make a context of " + std::to_string(positions) + " tokens.");
        m_cols = static_cast<std::size_t>(api().tokens(api().vocabulary(model)));
    }

    // Continues with these tokens; the logits of those from first on, valid until the next call.
    Logits after(std::span<const std::int32_t> tokens, std::size_t first)
    {
        const std::size_t count = tokens.size();
        Tokens ids(tokens.begin(), tokens.end());
        Tokens positions(count);
        std::iota(positions.begin(), positions.end(), m_position);
        Tokens sequences(count, 1);
        std::int32_t zero = 0;
        std::vector<std::int32_t*> sequenceIds(count, &zero);
        std::vector<std::int8_t> outputs(count, 0);
        std::fill(outputs.begin() + static_cast<std::ptrdiff_t>(first), outputs.end(), std::int8_t(1));
        const Batch batch {static_cast<std::int32_t>(count),
                           ids.data(),
                           nullptr,
                           positions.data(),
                           sequences.data(),
                           sequenceIds.data(),
                           outputs.data()};
        if (api().decode(m_context.get(), batch) != 0)
            fail("llama.cpp cannot run " + std::to_string(count) + " tokens.");
        m_position += static_cast<std::int32_t>(count);
        const float* logits = api().logits(m_context.get());
        if (!logits)
            fail("llama.cpp gives no logits.");
        return {count - first, m_cols, {logits, logits + (count - first) * m_cols}};
    }

    void forget()
    {
        api().clear(api().memory(m_context.get()), true);
        m_position = 0;
    }

private:
    std::unique_ptr<Context, void (*)(Context*)> m_context;
    std::size_t m_cols = 0;
    std::int32_t m_position = 0; // tokens seen
};

const float* vectorAt(const Node& x, std::int64_t i, std::int64_t j)
{
    return reinterpret_cast<const float*>(x.data + static_cast<std::size_t>(i) * x.strides[1]
                                          + static_cast<std::size_t>(j) * x.strides[2]);
}

class Collector {
public:
    static bool observe(Node* node, bool ask, void* self)
    {
        const std::string operation = api().operation(node);
        const bool wanted = (operation == "MUL_MAT" || operation == "MUL_MAT_ID")
            && std::string_view(node->sources[0]->name).starts_with("blk.");
        if (wanted && !ask)
            static_cast<Collector*>(self)->collect(*node, operation == "MUL_MAT_ID");
        return wanted || !ask;
    }

    std::map<std::string, InputSums> sums;

private:
    void collect(const Node& node, bool ofExperts)
    {
        const Node &weight = *node.sources[0], &x = *node.sources[1];
        if (x.type != kF32)
            throw std::runtime_error("The inputs of " + std::string(weight.name) + " are no floats.");
        InputSums& of = sums[weight.name];
        of.squares.resize(static_cast<std::size_t>(weight.sizes[0] * weight.sizes[2]));
        of.counts.resize(static_cast<std::size_t>(weight.sizes[2]));
        if (!ofExperts) {
            for (std::int64_t j = 0; j < x.sizes[2]; ++j)
                for (std::int64_t i = 0; i < x.sizes[1]; ++i)
                    add(of, 0, vectorAt(x, i, j), x.sizes[0]);
            return;
        }
        const Node& experts = *node.sources[2]; // used x tokens
        for (std::int64_t token = 0; token < experts.sizes[1]; ++token)
            for (std::int64_t i = 0; i < experts.sizes[0]; ++i) {
                std::int32_t expert = 0;
                std::memcpy(&expert,
                            experts.data + static_cast<std::size_t>(i) * experts.strides[0]
                                + static_cast<std::size_t>(token) * experts.strides[1],
                            sizeof expert);
                add(of, static_cast<std::size_t>(expert), vectorAt(x, i % x.sizes[1], token), x.sizes[0]);
            }
    }

    static void add(InputSums& of, std::size_t expert, const float* x, std::int64_t n)
    {
        for (std::int64_t i = 0; i < n; ++i)
            of.squares[expert * static_cast<std::size_t>(n) + static_cast<std::size_t>(i)]
                += static_cast<double>(x[i]) * static_cast<double>(x[i]);
        of.counts[expert] += 1;
    }
};

// Negative logarithm of the token's probability; float and double as in llama-perplexity.
double surprise(std::span<const float> logits, std::int32_t token)
{
    const float largest = *std::ranges::max_element(logits);
    double sum = 0;
    for (const float logit : logits)
        sum += std::exp(logit - largest);
    return -(logits[static_cast<std::size_t>(token)] - largest - std::log(sum));
}

// option: set to true.
std::unique_ptr<Model, void (*)(Model*)> load(const std::string& path, std::size_t option)
{
    const Api& llama = api();
    Params params;
    llama.modelDefaults(&params);
    params.set(option, true);
    std::unique_ptr<Model, void (*)(Model*)> model(llama.load(path.c_str(), params), llama.freeModel);
    if (!model)
        fail("llama.cpp cannot load " + path + '.');
    return model;
}

void refuseUnknown(std::span<const std::int32_t> tokens, std::size_t vocabulary)
{
    for (const std::int32_t token : tokens)
        if (token < 0 || static_cast<std::size_t>(token) >= vocabulary)
            throw std::runtime_error("The vocabulary has no token " + std::to_string(token) + '.');
}

} // namespace

const std::string& Llama::reason()
{
    return Api::instance().reason;
}

Llama::Llama(std::unique_ptr<Model, void (*)(Model*)> model, const RunOptions& options)
    : m_model(std::move(model))
    , m_options(options)
{
}

Llama Llama::open(const std::string& path, const RunOptions& options)
{
    return {load(path, kCheckTensors), options};
}

Llama Llama::openTokenizer(const std::string& path)
{
    return {load(path, kVocabularyOnly), {}};
}

std::size_t Llama::vocabulary() const
{
    return static_cast<std::size_t>(api().tokens(api().vocabulary(m_model.get())));
}

Tokens Llama::tokenize(std::string_view text, bool addSpecial, bool parseSpecial) const
{
    const Vocabulary* vocabulary = api().vocabulary(m_model.get());
    const auto length = static_cast<std::int32_t>(text.size());
    Tokens tokens(text.size() + 2); // at most one a byte, and BOS and EOS; yet a leading space may come on top
    const auto run = [&] {
        return api().tokenize(vocabulary, text.data(), length, tokens.data(), static_cast<std::int32_t>(tokens.size()),
                              addSpecial, parseSpecial);
    };
    std::int32_t count = run();
    if (count < 0) {
        tokens.resize(static_cast<std::size_t>(-std::int64_t(count)));
        count = run();
    }
    if (count < 0)
        fail("llama.cpp cannot tokenize " + std::to_string(text.size()) + " bytes.");
    tokens.resize(static_cast<std::size_t>(count));
    return tokens;
}

std::string Llama::piece(std::int32_t token, bool special) const
{
    refuseUnknown({&token, 1}, vocabulary());
    const Vocabulary* vocabulary = api().vocabulary(m_model.get());
    std::string text(256, '\0');
    const auto run = [&] {
        return api().piece(vocabulary, token, text.data(), static_cast<std::int32_t>(text.size()), 0, special);
    };
    std::int32_t length = run();
    if (length < 0) {
        text.resize(static_cast<std::size_t>(-length));
        length = run();
    }
    text.resize(static_cast<std::size_t>(std::max(length, 0)));
    return text;
}

std::string Llama::detokenize(std::span<const std::int32_t> tokens) const
{
    std::string text;
    for (const std::int32_t token : tokens)
        text += piece(token, false);
    return text;
}

std::string Llama::greedy(std::string_view prompt, int count) const
{
    Tokens next = tokenize(prompt, true);
    if (next.empty() || count <= 0)
        return {};
    const Vocabulary* vocabulary = api().vocabulary(m_model.get());
    Run run(m_model.get(), m_options, next.size() + static_cast<std::size_t>(count));
    Tokens found;
    while (found.size() < static_cast<std::size_t>(count)) {
        const Logits logits = run.after(next, next.size() - 1);
        const auto token = static_cast<std::int32_t>(std::ranges::max_element(logits.values) - logits.values.begin());
        if (api().ends(vocabulary, token))
            break;
        found.push_back(token);
        next = {token};
    }
    return detokenize(found);
}

Logits Llama::logits(std::span<const std::int32_t> tokens) const
{
    refuseUnknown(tokens, vocabulary());
    if (tokens.empty())
        return {0, vocabulary(), {}};
    return Run(m_model.get(), m_options, tokens.size()).after(tokens, 0);
}

void Llama::predict(std::string_view text, int context, int chunks, const Visit& visit) const
{
    const Tokens tokens = tokenize(text, true);
    const auto size = static_cast<std::size_t>(context);
    if (context < 4 || tokens.size() < 2 * size)
        throw std::runtime_error("Predictions in chunks of " + std::to_string(context)
                                 + " need twice as many tokens; the text has " + std::to_string(tokens.size()) + '.');
    const std::size_t all = tokens.size() / size;
    const std::size_t wanted = chunks <= 0 ? all : std::min(static_cast<std::size_t>(chunks), all);
    const Vocabulary* vocabulary = api().vocabulary(m_model.get());
    const std::size_t first = size / 2;
    Run run(m_model.get(), m_options, size);
    for (std::size_t chunk = 0; chunk < wanted; ++chunk) {
        Tokens part(tokens.begin() + static_cast<std::ptrdiff_t>(chunk * size),
                    tokens.begin() + static_cast<std::ptrdiff_t>((chunk + 1) * size));
        if (api().addsBos(vocabulary))
            part[0] = api().bos(vocabulary);
        run.forget();
        const Logits logits = run.after(part, first);
        for (std::size_t i = 0; first + i + 1 < size; ++i)
            visit(logits.row(i), part[first + i + 1]);
    }
}

double Llama::perplexity(std::string_view text, int context, int chunks) const
{
    double sum = 0, count = 0;
    predict(text, context, chunks, [&](std::span<const float> logits, std::int32_t next) {
        sum += surprise(logits, next);
        ++count;
    });
    return std::exp(sum / count);
}

std::map<std::string, InputSums> Llama::inputSums(std::span<const std::int32_t> tokens, int context) const
{
    refuseUnknown(tokens, vocabulary());
    const auto size = static_cast<std::size_t>(context);
    Collector collector;
    Run run(m_model.get(), m_options, size, Collector::observe, &collector);
    for (std::size_t first = 0; first + size <= tokens.size(); first += size) {
        run.forget();
        run.after(tokens.subspan(first, size), 0);
    }
    return std::move(collector.sums);
}

void quantize(const std::string& in, const std::string& out, int ftype, int threads, const Importance& importance)
{
    Params params;
    api().quantizeDefaults(&params);
    params.set(kQuantizeThreads, std::int32_t(threads));
    params.set(kQuantizeType, std::int32_t(ftype));
    std::vector<ImportanceEntry> entries;
    for (const auto& [name, values] : importance)
        entries.push_back({name.c_str(), values.data(), values.size()});
    entries.push_back({});
    if (!importance.empty())
        params.set(kQuantizeInputs, static_cast<const ImportanceEntry*>(entries.data()));
    if (api().quantize(in.c_str(), out.c_str(), &params) != 0)
        fail("llama.cpp cannot quantize " + in + '.');
}

Importance importanceIn(const std::string& path)
{
    Nodes* opened = nullptr;
    const std::unique_ptr<Gguf, void (*)(Gguf*)> file(api().openGguf(path.c_str(), {false, &opened}), api().freeGguf);
    const std::unique_ptr<Nodes, void (*)(Nodes*)> nodes(opened, api().freeNodes);
    if (!file)
        fail("ggml cannot read " + path + '.');
    std::map<std::string, std::pair<const Node*, const Node*>> weights; // sums and counts
    for (Node* node = api().firstNode(nodes.get()); node; node = api().nextNode(nodes.get(), node)) {
        const std::string name = node->name;
        if (name.ends_with(".in_sum2"))
            weights[name.substr(0, name.size() - 8)].first = node;
        else if (name.ends_with(".counts"))
            weights[name.substr(0, name.size() - 7)].second = node;
    }
    Importance importance;
    for (const auto& [name, nodes] : weights) {
        const auto [sums, counts] = nodes;
        if (!sums || !counts || sums->type != kF32 || counts->type != kF32 || sums->sizes[1] != counts->sizes[1])
            throw std::runtime_error("Sums and counts of " + name + " do not go together.");
        for (std::int64_t row = 0; row < sums->sizes[1]; ++row) {
            const float count = reinterpret_cast<const float*>(counts->data)[row];
            for (std::int64_t i = 0; i < sums->sizes[0]; ++i) {
                const float sum = reinterpret_cast<const float*>(sums->data)[row * sums->sizes[0] + i];
                importance[name].push_back(count > 0 ? sum / count : 1.0F);
            }
        }
    }
    return importance;
}

} // namespace judge
