#include "llamaabi.h"

#include <initializer_list>

namespace judge {

namespace {

struct Field {
    std::size_t offset;
    std::int32_t value;
};

// Where the last byte lies that the library writes, plus one: told by filling the struct with two different bytes.
std::size_t written(void (*defaults)(Params*))
{
    Params a;
    Params b;
    a.bytes.fill(0x55);
    b.bytes.fill(0xAA);
    defaults(&a);
    defaults(&b);
    std::size_t size = a.bytes.size();
    while (size > 0 && a.bytes[size - 1] == 0x55 && b.bytes[size - 1] == 0xAA)
        --size;
    return size;
}

bool matches(void (*defaults)(Params*), std::size_t size, std::initializer_list<Field> fields)
{
    if (written(defaults) != size)
        return false;
    Params params;
    defaults(&params);
    for (const Field& field : fields)
        if (params.at<std::int32_t>(field.offset) != field.value)
            return false;
    return true;
}

std::string unexpected(const std::string& what)
{
    return "libllama's " + what + " is not that of v0.5.0, which the judge was written for.";
}

} // namespace

const Api& Api::instance()
{
    static const Api api;
    return api;
}

Api::Api()
{
    reason = check();
}

std::string Api::check() const
{
    if (!base.reason().empty())
        return base.reason();
    const Node node {};
    if (nodeName(&node) != node.name)
        return unexpected("ggml_tensor");
    if (!ggml.reason().empty())
        return ggml.reason();
    if (!library.reason().empty())
        return library.reason();
    // All layers on the GPU -1, split by layer 1, load mode auto -1, lazy mode 1, main GPU 0; then six bools, of which
    // the third (use repacked weights) is on.
    if (!matches(modelDefaults, 78, {{16, -1}, {20, 1}, {24, -1}, {28, 1}, {32, 0}, {72, 0x10000}}))
        return unexpected("llama_model_params");
    // 512 positions, batches of 2048, 512 at a time, 1 sequence; 4 threads; RoPE scaling, pooling, attention and flash
    // attention unspecified or auto; keys and values cached as F16.
    if (!matches(contextDefaults, 160,
                 {{kContext, 512},
                  {kBatch, 2048},
                  {8, 512},
                  {kSequences, 1},
                  {kThreads, 4},
                  {kThreadsBatch, 4},
                  {40, -1},
                  {44, -1},
                  {48, -1},
                  {kFlashAttention, -1},
                  {kTypeK, 1},
                  {kTypeV, 1},
                  {128, 0x01010100}}))
        return unexpected("llama_context_params");
    // Threads by itself, Q8_0, types of output and embedding not given (GGML_TYPE_COUNT).
    if (!matches(quantizeDefaults, 64, {{kQuantizeThreads, 0}, {kQuantizeType, 7}, {8, 43}, {12, 43}}))
        return unexpected("llama_model_quantize_params");
    std::int32_t token = 0;
    const Batch batch = batchOf(&token, 1);
    if (batch.count != 1 || batch.tokens != &token || batch.embeddings || batch.positions || batch.outputs)
        return unexpected("llama_batch");
    setLog([](int, const char*, void*) {}, nullptr);
    loadBackends(Library::folder().c_str());
    return backends() > 0 ? std::string() : "No CPU backend of ggml runs on this processor.";
}

} // namespace judge
