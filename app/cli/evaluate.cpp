#include "core/evaluate.h"

#include "app/cli/chunks.h"
#include "app/cli/command.h"
#include "app/cli/output.h"
#include "core/error.h"

#include <chrono>

namespace {

constexpr Option kOptions[] {
    {"--text", "FILE", "the text to predict"},
    {"--reference", "MODEL", "also compare with what this model predicts: KL divergence, same top"},
    {"--base", "FILE", "compare with a base file of llama-perplexity, on its text"},
    {"--write-base", "FILE", "write such a file of this model's predictions"},
    {"--ctx", "N", "tokens of a chunk, whose second half is scored; 512 if absent"},
    {"--chunks", "N", "chunks at most; all if absent"},
    {"--overwrite", nullptr, "replace the file of --write-base if it exists"},
};

// Shares of the predictions, as llama-perplexity lists them.
struct Quantile {
    const char* key;
    const char* title;
    double share;
};

constexpr Quantile kDivergences[] {
    {"kld_max", "maximum", 1}, {"kld_p999", "99.9 %", 0.999}, {"kld_p99", "99 %", 0.99}, {"kld_p95", "95 %", 0.95},
    {"kld_p90", "90 %", 0.9},  {"kld_median", "median", 0.5}, {"kld_p10", "10 %", 0.1},  {"kld_p05", "5 %", 0.05},
    {"kld_p01", "1 %", 0.01},  {"kld_p001", "0.1 %", 0.001},  {"kld_min", "minimum", 0},
};
constexpr Quantile kChanges[] {
    {"delta_p_max", "maximum", 1},     {"delta_p_p999", "99.9 %", 0.999}, {"delta_p_p99", "99 %", 0.99},
    {"delta_p_p95", "95 %", 0.95},     {"delta_p_p90", "90 %", 0.9},      {"delta_p_p75", "75 %", 0.75},
    {"delta_p_median", "median", 0.5}, {"delta_p_p25", "25 %", 0.25},     {"delta_p_p10", "10 %", 0.1},
    {"delta_p_p05", "5 %", 0.05},      {"delta_p_p01", "1 %", 0.01},      {"delta_p_p001", "0.1 %", 0.001},
    {"delta_p_min", "minimum", 0},
};

Json toJson(const quern::Evaluation& evaluation)
{
    const quern::PredictionSummary& p = evaluation.predictions;
    Json json {{"tokens", p.tokens},
               {"context", evaluation.context},
               {"chunks", evaluation.chunks},
               {"perplexity", p.perplexity},
               {"ln_perplexity", p.lnPerplexity.value},
               {"ln_perplexity_stderr", p.lnPerplexity.error}};
    if (!p.compared)
        return json;
    json["reference_perplexity"] = p.referencePerplexity;
    json["ln_ratio"] = p.lnRatio.value;
    json["ln_ratio_stderr"] = p.lnRatio.error;
    json["correlation"] = p.correlation;
    json["kld_mean"] = p.divergence.value;
    json["kld_stderr"] = p.divergence.error;
    for (const Quantile& q : kDivergences)
        json[q.key] = quern::quantile(p.divergences, q.share);
    json["delta_p_mean"] = p.change.value;
    json["delta_p_stderr"] = p.change.error;
    json["delta_p_rms"] = p.changeRms;
    for (const Quantile& q : kChanges)
        json[q.key] = quern::quantile(p.changes, q.share);
    json["same_top_percent"] = 100 * p.sameTop.value;
    json["same_top_percent_stderr"] = 100 * p.sameTop.error;
    json["hidden_errors"] = evaluation.hiddenErrors;
    return json;
}

// In percent, as changes of probabilities are read.
std::string percent(double share)
{
    return fixed(100 * share, 3) + " %";
}

void printText(const quern::Evaluation& evaluation)
{
    const quern::PredictionSummary& p = evaluation.predictions;
    Table table({"", "value", "standard error"});
    table.add({"perplexity", fixed(p.perplexity, 4), fixed(quern::exponential(p.lnPerplexity).error, 4)});
    if (p.compared) {
        table.add({"perplexity of the reference", fixed(p.referencePerplexity, 4), ""});
        const quern::Mean ratio = quern::exponential(p.lnRatio);
        table.add({"ratio", fixed(ratio.value, 6), fixed(ratio.error, 6)});
        table.add({"correlation of ln p", percent(p.correlation), ""});
        table.add({"KL divergence", fixed(p.divergence.value, 6), fixed(p.divergence.error, 6)});
        for (const Quantile& q : kDivergences)
            table.add({std::string("  ") + q.title, fixed(quern::quantile(p.divergences, q.share), 6), ""});
        table.add({"change of p", percent(p.change.value), percent(p.change.error)});
        table.add({"  root mean square", percent(p.changeRms), ""});
        for (const Quantile& q : kChanges)
            table.add({std::string("  ") + q.title, percent(quern::quantile(p.changes, q.share)), ""});
        table.add({"same most likely token", percent(p.sameTop.value), percent(p.sameTop.error)});
    }
    table.print();
    if (!evaluation.hiddenErrors.empty()) {
        say("");
        Table hidden({"relative error of the hidden state", ""});
        for (std::size_t i = 0; i < evaluation.hiddenErrors.size(); ++i)
            hidden.add({i == 0 ? "after the embedding" : "after block " + std::to_string(i - 1),
                        significant(evaluation.hiddenErrors[i])});
        hidden.print();
    }
    say("\n" + counted(p.tokens, "prediction") + " in " + chunksText(evaluation.chunks, evaluation.context));
}

// What it will take, before it starts.
void announce(const quern::Model& model, const quern::Model* reference, const quern::Chunks& chunks)
{
    note(chunksText(chunks.count(), chunks.context) + ", at most "
         + size(quern::evaluationBytes(model, reference, chunks)) + " of memory besides the files");
}

quern::Evaluation evaluated(const Arguments& arguments, const quern::Model& model, quern::Progress& progress)
{
    const bool json = arguments.has("--json");
    const quern::EvaluateOptions options {
        .logits = arguments.text("--write-base"), .overwrite = arguments.has("--overwrite"), .sofar = {}};
    if (arguments.has("--base")) {
        const quern::LogitFile base = quern::LogitFile::open(arguments.text("--base"));
        if (!json)
            announce(model, nullptr, base.chunks());
        return quern::evaluate(model, base, options, progress);
    }
    const quern::Chunks chunks = textChunks(arguments, model, progress);
    std::optional<quern::Model> reference;
    if (arguments.has("--reference"))
        reference = opened(arguments.text("--reference"), json);
    if (!json)
        announce(model, reference ? &*reference : nullptr, chunks);
    return reference ? quern::evaluate(model, *reference, chunks, options, progress)
                     : quern::evaluate(model, chunks, options, progress);
}

void run(const Arguments& arguments, quern::Progress& progress)
{
    if (arguments.has("--text") == arguments.has("--base"))
        throw WrongUsage("evaluate needs a text: --text FILE, or --base FILE, which holds its tokens");
    if (arguments.has("--base")
        && (arguments.has("--reference") || arguments.has("--ctx") || arguments.has("--chunks")))
        throw WrongUsage("--base brings its own reference, context and chunks");
    const quern::Model model = opened(arguments.positional()[0], arguments.has("--json"));
    const auto start = std::chrono::steady_clock::now();
    const quern::Evaluation evaluation = evaluated(arguments, model, progress);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (!arguments.has("--json"))
        return printText(evaluation);
    Json json = toJson(evaluation);
    json["seconds"] = seconds;
    json["warnings"] = model.warnings;
    print(json);
}

} // namespace

const Command evaluateCommand {.name = "evaluate",
                               .positional = "MODEL --text FILE",
                               .summary = "how well a model predicts a text, and how far from its original",
                               .least = 1,
                               .most = 1,
                               .options = kOptions,
                               .repeatable = {},
                               .run = run};
