#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace judge {

struct Model;
using Tokens = std::vector<std::int32_t>;

// Row-major: one row per token, one column per token of the vocabulary.
struct Logits {
    std::size_t rows;
    std::size_t cols;
    std::vector<float> values;

    std::span<const float> row(std::size_t i) const { return std::span(values).subspan(i * cols, cols); }
};

// What llama-imatrix collects of a weight, in doubles: sums of squares of its inputs, row after row for every expert,
// and how many inputs each has seen.
struct InputSums {
    std::vector<double> squares, counts;
};

// By default as llama-perplexity: keys and values rounded to F16, flash attention where the model allows it.
struct RunOptions {
    bool exact = false; // keys and values as F32, no flash attention (which would round them to F16 again)
    int threads = 2;
};

// A GGUF file in llama.cpp's hands. Not for several threads at once.
// Functions throw std::runtime_error, with a sentence, for what llama.cpp refuses. A file that is broken in a way it
// does not expect may still end the process: for such files run the command judge.
class Llama {
public:
    // False if the npm package is not installed or not the expected one; reason() is then a sentence, else empty.
    static bool available() { return reason().empty(); }
    static const std::string& reason();

    static Llama open(const std::string& path, const RunOptions& options = {});
    static Llama openTokenizer(const std::string& path); // reads no weights; the file may have none

    std::size_t vocabulary() const; // number of tokens

    // addSpecial: with BOS and EOS, if the file says that the model wants them. parseSpecial: control tokens that are
    // spelled out in the text are those tokens, else plain text.
    Tokens tokenize(std::string_view text, bool addSpecial, bool parseSpecial = false) const;
    std::string piece(std::int32_t token, bool special) const;          // without special, special tokens give nothing
    std::string detokenize(std::span<const std::int32_t> tokens) const; // special tokens give nothing

    // The text of at most count tokens after the prompt, each the most likely one; ends early where the model ends.
    std::string greedy(std::string_view prompt, int count) const;

    Logits logits(std::span<const std::int32_t> tokens) const;

    // As llama-perplexity: chunks of context tokens, the first of each replaced by BOS if the model wants one,
    // predictions of the second half counted. The first chunks of them, or all if chunks is not positive.
    using Visit = std::function<void(std::span<const float> logits, std::int32_t next)>;
    void predict(std::string_view text, int context, int chunks, const Visit& visit) const;
    double perplexity(std::string_view text, int context, int chunks = -1) const;

    // As llama-imatrix: the sums of every weight that begins with "blk.", over whole chunks, each read by itself.
    std::map<std::string, InputSums> inputSums(std::span<const std::int32_t> tokens, int context) const;

private:
    Llama(std::unique_ptr<Model, void (*)(Model*)> model, const RunOptions& options);

    std::unique_ptr<Model, void (*)(Model*)> m_model;
    RunOptions m_options;
};

// The mean KL divergence of the model's predictions from the reference's, nats, as llama-perplexity --kl-divergence but
// for its rounding of the reference's logits to 16 bits. Keeps all of those.
double divergence(const Llama& model, const Llama& reference, std::string_view text, int context, int chunks);

// llama-quantize without options: a mix by its number (llama_ftype; Q4_K_M is 15). threads 0: as many as cores.
// importance: mean squares of the inputs of each weight, of all its experts.
using Importance = std::map<std::string, std::vector<float>>;
void quantize(const std::string& in, const std::string& out, int ftype, int threads = 0,
              const Importance& importance = {});

// The importance matrix in a GGUF file, as llama-quantize reads it: W.in_sum2 over W.counts, other tensors left aside.
Importance importanceIn(const std::string& path);

} // namespace judge
