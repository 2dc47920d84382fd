#include "core/rewriting.h"

#include "core/error.h"
#include "core/rescale.h"
#include "core/rewrite.h"
#include "core/secondmoments.h"

#include <algorithm>

namespace quern {
namespace {

constexpr double kSearching = 0.9; // share of a preview's progress; the rest is quantizing

Targets targetsOf(const Model& model, const Plan& plan)
{
    Targets targets;
    for (std::size_t i = 0; i < plan.tensors.size(); ++i)
        if (const Choice& choice = plan.tensors[i].choice; choice.quantizer && !choice.format->floating())
            targets.emplace(model.tensors[i].name, Target {choice.quantizer, choice.format, choice.settings});
    return targets;
}

// Whether a tensor's values may be other ones: those of blocks that are copied may not.
bool changeable(const Tensor& tensor, const Targets& targets)
{
    return targets.contains(tensor.name) || (tensor.format->floating() && tensor.format->encode);
}

// Whether it scales only what may change.
bool usable(const Fold& fold, const Targets& targets)
{
    const auto may = [&](const Tensor& tensor) { return changeable(tensor, targets); };
    return may(fold.producer) && (!fold.bias || may(*fold.bias)) && std::ranges::all_of(fold.consumers, may);
}

std::vector<Fold> usableFolds(const Network& network, const Targets& targets)
{
    std::vector<Fold> folds;
    for (long block = 0; block < network.sizes.blocks; ++block)
        for (Fold& fold : foldsOf(network, block))
            if (usable(fold, targets))
                folds.push_back(std::move(fold));
    return folds;
}

// The one that scales the columns of a tensor, alone.
std::vector<Fold> foldFeeding(const Tensor& tensor, const Network& network, const Targets& targets)
{
    if (const int block = layerOf(tensor.name); block >= 0 && block < network.sizes.blocks)
        for (Fold& fold : foldsOf(network, block))
            if (std::ranges::find(fold.consumers, tensor.name, &Tensor::name) != fold.consumers.end()) {
                if (!usable(fold, targets))
                    fail(QUERN_TEXT("core",
                                    "The channels that %1 reads cannot be scaled: what makes them (%2), or another "
                                    "tensor that reads them, keeps blocks as they are."),
                         tensor.name, fold.producer.name);
                return {std::move(fold)};
            }
    fail(QUERN_TEXT("core", "Nothing feeds %1 that could be scaled to make up for scaling its columns."), tensor.name);
}

// What is copied has the format in the file that it has in the model as it was.
void keepFormats(const Model& model, const FactorsByName& factors, Plan& plan)
{
    for (std::size_t i = 0; i < plan.tensors.size(); ++i)
        if (Choice& choice = plan.tensors[i].choice; !choice.quantizer && factors.contains(model.tensors[i].name))
            choice = {.quantizer = findQuantizer("nearest"), .format = choice.format, .settings = {}};
}

// Mean and largest magnitudes, which importance matrices of other programs lack.
bool knowsMagnitudes(const Calibration& calibration)
{
    return std::ranges::any_of(calibration.inputs, [](const auto& input) {
        return input.second.sumMagnitudes.size() > 0 && input.second.maxMagnitudes.size() > 0;
    });
}

} // namespace

Rewritten rewritten(const Model& model, const Plan& plan, const Calibration* calibration,
                    const QuantizeOptions& options, Progress& progress)
{
    if (!calibration)
        fail(QUERN_TEXT("core", "Rewrites need a calibration. Calibrate the model first."));
    Rewritten result {model, *calibration, plan};
    result.plan.rewrites.clear();
    if (options.heldOut)
        result.heldOut = *options.heldOut;
    for (std::size_t i = 0; i < plan.rewrites.size(); ++i) {
        const auto [rewrite, settings] = plan.rewrites[i];
        const auto all = static_cast<double>(plan.rewrites.size()), before = static_cast<double>(i) / all;
        ProgressPart searching(progress, before, before + 1 / all);
        const Network network = openNetwork(result.model);
        const Targets targets = targetsOf(result.model, result.plan);
        const std::vector<Fold> folds = usableFolds(network, targets);
        std::vector<FoldReport> reports;
        const FactorsByName factors
            = rewrite->factors({folds, result.calibration, targets, settings}, reports, searching);
        network.check();
        keepFormats(result.model, factors, result.plan);
        result.model = rescaled(result.model, factors);
        result.calibration = rescaled(result.calibration, factors);
        result.heldOut = rescaled(result.heldOut, factors);
        if (options.rewritten)
            options.rewritten(*rewrite, reports);
    }
    return result;
}

double rewritingShare(const Plan& plan)
{
    return plan.rewrites.empty() ? 0 : 0.5;
}

RewrittenPreview previewRewritten(const Model& model, std::size_t tensor, const Plan& plan,
                                  const RewriteChoice& rewrite, const Calibration& calibration, Progress& progress)
{
    checkRewrite(rewrite, &calibration);
    ProgressPart searching(progress, 0, kSearching), rest(progress, kSearching, 1);
    const Network network = openNetwork(model);
    const Targets targets = targetsOf(model, plan);
    Model one = model;
    one.tensors = {model.tensors[tensor]};
    const std::string name = one.tensors[0].name;
    const std::vector<Fold> folds = foldFeeding(one.tensors[0], network, targets);
    std::vector<FoldReport> reports;
    FactorsByName factors
        = rewrite.rewrite->factors({folds, calibration, targets, rewrite.settings}, reports, searching);
    if (reports.empty())
        fail(QUERN_TEXT("core", "The calibration does not know the inputs of %1."), name);
    std::erase_if(factors, [&](const auto& factor) { return factor.first != name; });
    Calibration known;
    if (const InputStats* stats = calibration.find(name))
        known.inputs.emplace(name, *stats);
    one = rescaled(one, factors);
    known = rescaled(known, factors);
    const InputStats* inputs = inputsOf(one.tensors[0], &known);
    const Distortion distortion = preview(one.tensors[0], plan.tensors[tensor].choice, inputs, 1, rest);
    model.check();
    return {distortion, summaryOf(reports)};
}

void checkRewrite(const RewriteChoice& choice, const Calibration* calibration)
{
    const Rewrite& rewrite = *choice.rewrite;
    checkSettings(rewrite.name, rewrite.params, choice.settings);
    if (!calibration)
        fail(QUERN_TEXT("core",
                        "The rewrite %1 needs a calibration, which says how large the inputs of weights are. Calibrate "
                        "the model first."),
             rewrite.name);
    if (!knowsMagnitudes(*calibration))
        fail(QUERN_TEXT("core",
                        "The rewrite %1 needs to know how large the inputs of weights are. This calibration holds only "
                        "their squares, as importance matrices of other programs do. Calibrate the model here."),
             rewrite.name);
}

std::vector<std::string> checkRewrites(const Recipe& recipe, const Model& model, const Calibration* calibration)
{
    std::vector<std::string> sentences;
    if (recipe.rewrites.empty())
        return sentences;
    openNetwork(model);
    for (const RewriteChoice& choice : recipe.rewrites) {
        checkRewrite(choice, calibration);
        if (choice.rewrite->uses == Needs::SecondMoments && !hasMoments(calibration))
            sentences.push_back(
                sentence(QUERN_TEXT("core",
                                    "The calibration has no second moments of the inputs, so the rewrite %1 judges "
                                    "scales as if inputs were not correlated. It finds better ones with them "
                                    "(--hessian)."),
                         choice.rewrite->name));
    }
    return sentences;
}

} // namespace quern
