#pragma once

#include "library.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

// The part of libllama v0.5.0's binary interface that the judge uses. The structs are described by size and offset, and
// Api's constructor compares them with what the library itself fills in, since they change between releases.
namespace judge {

struct Model;      // llama_model
struct Context;    // llama_context
struct Vocabulary; // llama_vocab
struct Memory;     // what llama_get_memory points to
struct Nodes;      // ggml_context
struct Gguf;       // gguf_context

// Stands for any of libllama's parameter structs. They are 78 to 160 bytes; on x86-64 System V a struct of that size is
// passed by value on the stack, so a callee that knows a shorter one reads the front of this one.
struct Params {
    alignas(8) std::array<unsigned char, 512> bytes {};

    template <typename T>
    T at(std::size_t offset) const
    {
        T value;
        std::memcpy(&value, bytes.data() + offset, sizeof value);
        return value;
    }
    template <typename T>
    void set(std::size_t offset, T value)
    {
        const auto from = std::as_bytes(std::span(&value, 1));
        std::memcpy(bytes.data() + offset, from.data(), from.size());
    }
};

// llama_model_params
constexpr std::size_t kVocabularyOnly = 72; // bool: read no weights
constexpr std::size_t kCheckTensors = 73;   // bool: refuse weights that are no finite numbers

// llama_context_params
constexpr std::size_t kContext = 0;         // uint32: positions, all sequences together
constexpr std::size_t kBatch = 4;           // uint32: tokens of one llama_decode
constexpr std::size_t kSequences = 12;      // uint32
constexpr std::size_t kThreads = 28;        // int32: when one token is decoded
constexpr std::size_t kThreadsBatch = 32;   // int32: when several are
constexpr std::size_t kFlashAttention = 52; // int32: -1 by itself, 0 off, 1 on
constexpr std::size_t kObserver = 88;       // ggml_backend_sched_eval_callback, then what it is called with
constexpr std::size_t kObserverSelf = 96;   // void*
constexpr std::size_t kTypeK = 104;         // int32: ggml type of the cached keys
constexpr std::size_t kTypeV = 108;         // int32: ggml type of the cached values

// llama_model_quantize_params
constexpr std::size_t kQuantizeThreads = 0; // int32
constexpr std::size_t kQuantizeType = 4;    // int32: llama_ftype
constexpr std::size_t kQuantizeInputs = 24; // const ImportanceEntry*, the last one without a name

// llama_model_imatrix_data
struct ImportanceEntry {
    const char* name;
    const float* values;
    std::size_t count;
};

// ggml_tensor, as far as it is needed
struct Node {
    std::int32_t type;
    void* buffer;
    std::int64_t sizes[4];  // innermost first
    std::size_t strides[4]; // bytes
    std::int32_t operation;
    std::int32_t parameters[16];
    std::int32_t flags;
    Node* sources[10];
    Node* viewed;
    std::size_t viewOffset;
    std::byte* data;
    char name[64];
};

// gguf_init_params
struct GgufParams {
    bool withoutData;
    Nodes** nodes; // gets the tensors
};

// Called before a node is computed with ask, whether it is of interest, and if so afterwards without; false then stops.
using NodeObserver = bool(Node* node, bool ask, void* self);

// llama_batch; passed by value. All arrays have one entry per token.
struct Batch {
    std::int32_t count;
    std::int32_t* tokens;
    float* embeddings;       // null: tokens are given
    std::int32_t* positions; // within the token's sequence
    std::int32_t* sequences; // how many sequences the token belongs to
    std::int32_t** sequenceIds;
    std::int8_t* outputs; // not 0: give the logits after this token
};

// The functions of libllama and libggml, loaded with the CPU backend that suits this processor best.
struct Api {
    static const Api& instance(); // loaded at the first call

    std::string reason; // empty if everything is as expected, else one sentence; then no function may be called

    Library base {"libggml-base.so"};
    Library ggml {"libggml.v0.5.0.so"};
    Library library {"libllama.v0.5.0.so"};

    template <typename F>
    F* llama(const char* name)
    {
        return library.find<F>(name);
    }

    using Log = void(int level, const char* text, void*);
    void (*setLog)(Log*, void*) = llama<void(Log*, void*)>("llama_log_set");
    const char* (*nodeName)(const Node*) = base.find<const char*(const Node*)>("ggml_get_name");
    const char* (*operation)(const Node*) = base.find<const char*(const Node*)>("ggml_op_desc");
    Node* (*firstNode)(const Nodes*) = base.find<Node*(const Nodes*)>("ggml_get_first_tensor");
    Node* (*nextNode)(const Nodes*, Node*) = base.find<Node*(const Nodes*, Node*)>("ggml_get_next_tensor");
    Gguf* (*openGguf)(const char*, GgufParams) = base.find<Gguf*(const char*, GgufParams)>("gguf_init_from_file");
    void (*freeGguf)(Gguf*) = base.find<void(Gguf*)>("gguf_free");
    void (*freeNodes)(Nodes*) = base.find<void(Nodes*)>("ggml_free");
    void (*loadBackends)(const char* folder) = ggml.find<void(const char*)>("ggml_backend_load_all_from_path");
    std::size_t (*backends)() = ggml.find<std::size_t()>("ggml_backend_dev_count");

    // A struct returned by value is written to where a hidden first argument points to, hence these signatures.
    void (*modelDefaults)(Params*) = llama<void(Params*)>("llama_model_default_params");
    void (*contextDefaults)(Params*) = llama<void(Params*)>("llama_context_default_params");
    void (*quantizeDefaults)(Params*) = llama<void(Params*)>("llama_model_quantize_default_params");

    Model* (*load)(const char* path, Params) = llama<Model*(const char*, Params)>("llama_model_load_from_file");
    void (*freeModel)(Model*) = llama<void(Model*)>("llama_model_free");
    Context* (*newContext)(Model*, Params) = llama<Context*(Model*, Params)>("llama_init_from_model");
    void (*freeContext)(Context*) = llama<void(Context*)>("llama_free");
    Batch (*batchOf)(std::int32_t*, std::int32_t) = llama<Batch(std::int32_t*, std::int32_t)>("llama_batch_get_one");
    std::int32_t (*decode)(Context*, Batch) = llama<std::int32_t(Context*, Batch)>("llama_decode");
    float* (*logits)(Context*) = llama<float*(Context*)>("llama_get_logits");
    Memory* (*memory)(Context*) = llama<Memory*(Context*)>("llama_get_memory");
    void (*clear)(Memory*, bool) = llama<void(Memory*, bool)>("llama_memory_clear");

    const Vocabulary* (*vocabulary)(const Model*) = llama<const Vocabulary*(const Model*)>("llama_model_get_vocab");
    std::int32_t (*tokens)(const Vocabulary*) = llama<std::int32_t(const Vocabulary*)>("llama_vocab_n_tokens");
    std::int32_t (*bos)(const Vocabulary*) = llama<std::int32_t(const Vocabulary*)>("llama_vocab_bos");
    bool (*addsBos)(const Vocabulary*) = llama<bool(const Vocabulary*)>("llama_vocab_get_add_bos");
    bool (*ends)(const Vocabulary*, std::int32_t) = llama<bool(const Vocabulary*, std::int32_t)>("llama_vocab_is_eog");
    // text, its length, result, its length, whether to add BOS and EOS, whether to read special tokens in the text
    std::int32_t (*tokenize)(const Vocabulary*, const char*, std::int32_t, std::int32_t*, std::int32_t, bool, bool)
        = llama<std::int32_t(const Vocabulary*, const char*, std::int32_t, std::int32_t*, std::int32_t, bool, bool)>(
            "llama_tokenize");
    // token, result, its length, leading spaces to drop, whether to show special tokens
    std::int32_t (*piece)(const Vocabulary*, std::int32_t, char*, std::int32_t, std::int32_t, bool)
        = llama<std::int32_t(const Vocabulary*, std::int32_t, char*, std::int32_t, std::int32_t, bool)>(
            "llama_token_to_piece");

    std::uint32_t (*quantize)(const char* in, const char* out, const Params*)
        = llama<std::uint32_t(const char*, const char*, const Params*)>("llama_model_quantize");

private:
    Api();
    std::string check() const; // as reason
};

} // namespace judge
