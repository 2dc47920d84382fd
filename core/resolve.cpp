#include "core/coverage.h"
#include "core/methodchoice.h"
#include "core/pattern.h"
#include "core/preset.h"
#include "core/quantize.h"
#include "core/rewriting.h"
#include "core/sequence.h"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <map>

// Recipe x Model -> Plan.
namespace quern {
namespace {

std::string sentence(const char* text, std::vector<std::string> args)
{
    return Error(text, std::move(args)).what();
}

std::uint64_t bytesOf(const Tensor& tensor, const BlockFormat& format)
{
    return static_cast<std::uint64_t>(tensor.rows()) * format.rowBytes(tensor.cols());
}

void checkFits(const Choice& choice, const Tensor& tensor, Purpose purpose)
{
    const BlockFormat& format = *choice.format;
    if (!format.encode && purpose == Purpose::Quantize)
        fail(QUERN_TEXT("core",
                        "Tensor %1 is to become %2, which this program reads but cannot write yet. Another preset or "
                        "format is needed."),
             tensor.name, format.name);
    if (format.encode && !choice.quantizer->supports(format))
        fail(QUERN_TEXT("core", "Tensor %1: the method %2 cannot produce %3."), tensor.name, choice.quantizer->name,
             format.name);
    if (!format.fits(tensor.cols()))
        fail(QUERN_TEXT("core",
                        "Tensor %1 has rows of %2 weights; %3 needs a multiple of %4. A smaller group, or a format of "
                        "smaller blocks, fits."),
             tensor.name, tensor.cols(), format.name, format.values);
    checkSettings(choice.quantizer->name, choice.quantizer->params, choice.settings);
}

// The GGUF format that holds `format` in rows of `cols`; null if there is none.
const BlockFormat* storedFormat(const BlockFormat& format, long cols)
{
    const BlockFormat& stored = storedAs(format, cols);
    return stored.inGguf() ? &stored : nullptr;
}

// Which rule, if any, decides about a tensor.
class Rules {
public:
    explicit Rules(const std::vector<Rule>& rules)
        : m_rules(rules)
        , m_used(rules.size(), false)
    {
        for (const Rule& rule : rules)
            m_patterns.emplace_back(rule.pattern);
    }

    const Rule* decide(const Tensor& tensor)
    {
        const bool reachable = mayQuantize(tensor);
        const Rule* last = nullptr;
        for (std::size_t i = 0; i < m_rules.size(); ++i) {
            if (!(reachable || !m_patterns[i].wildcard()) || !m_patterns[i].matches(tensor.name))
                continue;
            m_used[i] = true;
            last = &m_rules[i];
        }
        return last;
    }

    void warnOfUnused(std::vector<std::string>& warnings) const
    {
        for (std::size_t i = 0; i < m_rules.size(); ++i)
            if (!m_used[i])
                warnings.push_back(
                    sentence(QUERN_TEXT("core", "No tensor that may be quantized matches the pattern %1."),
                             {toText(std::string_view(m_rules[i].pattern))}));
    }

private:
    const std::vector<Rule>& m_rules;
    std::vector<Pattern> m_patterns;
    std::vector<bool> m_used;
};

class Resolution {
public:
    Resolution(const Recipe& recipe, const Model& model, const Calibration* calibration, Purpose purpose)
        : m_recipe(recipe)
        , m_model(model)
        , m_given(calibration && !calibration->inputs.empty() ? calibration : nullptr)
        , m_foreseen(recipe.sequential ? std::optional(foreseen(model, calibration)) : std::nullopt)
        , m_calibration(m_foreseen ? &*m_foreseen : m_given)
        , m_purpose(purpose)
        , m_methods(recipe, m_calibration)
    {
    }

    Plan plan()
    {
        chooseFormats();
        m_plan.rewrites = m_recipe.rewrites;
        m_plan.sequential = m_recipe.sequential;
        if (m_recipe.sequential)
            checkSettings("sequential", kSequentialParams, *m_recipe.sequential);
        if (m_purpose == Purpose::Quantize)
            std::ranges::copy(checkRewrites(m_recipe, m_model, m_given), std::back_inserter(m_plan.warnings));
        for (const PlannedTensor& planned : m_plan.tensors) {
            m_plan.methodBytes += planned.methodBytes;
            m_plan.storedBytes += planned.storedBytes;
        }
        m_plan.metadata = metadata();
        m_plan.fileBytes = fileBytes();
        warn();
        return std::move(m_plan);
    }

private:
    void chooseFormats()
    {
        std::vector<PresetType> types(m_model.tensors.size(), PresetType {nullptr, nullptr});
        if (m_recipe.preset)
            types = typesOf(*m_recipe.preset, m_model, m_calibration != nullptr);
        Rules rules(m_recipe.rules);
        for (std::size_t i = 0; i < types.size(); ++i) {
            const Tensor& tensor = m_model.tensors[i];
            const Rule* rule = rules.decide(tensor);
            const BlockFormat* asked = rule ? nullptr : types[i].asked;
            Choice choice = rule ? rule->choice : Choice {};
            if (!rule && types[i].format && types[i].format != tensor.format)
                choice = m_methods.ofPreset(tensor, *types[i].format);
            m_plan.tensors.push_back(planned(tensor, std::move(choice), asked));
        }
        if (m_purpose == Purpose::Quantize)
            m_methods.check();
        rules.warnOfUnused(m_plan.warnings);
    }

    PlannedTensor planned(const Tensor& tensor, Choice choice, const BlockFormat* asked)
    {
        if (choice.quantizer) {
            checkFits(choice, tensor, m_purpose);
            m_methods.replaceBlind(tensor, choice);
        } else {
            choice.format = tensor.format;
        }
        const BlockFormat* stored = storedFormat(*choice.format, tensor.cols());
        if (!stored)
            fail(QUERN_TEXT("core",
                            "Tensor %1 is stored as %2, which GGUF does not know. Choose a preset, or a rule with a "
                            "format for it."),
                 tensor.name, choice.format->name);
        if (choice.quantizer)
            note(tensor, choice, asked);
        const std::uint64_t method = choice.quantizer ? choice.format->methodBytes(tensor.rows(), tensor.cols())
                                                      : bytesOf(tensor, *choice.format);
        return {std::move(choice), stored, method, bytesOf(tensor, *stored), asked};
    }

    void note(const Tensor& tensor, const Choice& choice, const BlockFormat* asked)
    {
        if (asked)
            m_fallbacks[{asked, choice.format}].add(tensor.name);
        if (!tensor.format->floating())
            m_again[tensor.format].add(tensor.name);
        const InputStats* stats = inputsOf(tensor, m_calibration);
        const bool seen = stats != nullptr;
        if (stats && static_cast<long>(stats->counts.size()) == tensor.matrices())
            m_experts.add(tensor.name, *stats);
        const bool ends = tensor.name == "token_embd.weight" || tensor.name == "output.weight";
        const bool coarse = choice.format->needsImportance
            || (m_recipe.preset && m_recipe.preset->name == "Q2_K_S" && choice.format->name == "Q2_K");
        if (coarse && !seen && !ends)
            m_blind[choice.format].add(tensor.name);
        else if (m_calibration && !seen && !ends)
            m_unseen.add(tensor.name);
    }

    // llama.cpp wants one number for a mix: the preset's, or that of the preset most weights are of.
    std::optional<std::uint32_t> fileType() const
    {
        if (m_recipe.preset && m_recipe.preset->fileType != kKeepFileType)
            return m_recipe.preset->fileType;
        std::map<std::string_view, std::uint64_t> weights;
        for (std::size_t i = 0; i < m_plan.tensors.size(); ++i)
            weights[m_plan.tensors[i].stored->name] += static_cast<std::uint64_t>(m_model.tensors[i].count());
        if (weights.empty())
            return {};
        const std::string_view most = std::ranges::max_element(weights, {}, [](auto& w) { return w.second; })->first;
        const Preset* preset = findPreset(most);
        return preset ? std::optional(preset->fileType) : std::nullopt;
    }

    bool changed() const
    {
        return std::ranges::any_of(m_plan.tensors, [](const PlannedTensor& t) { return t.choice.quantizer; });
    }

    Metadata metadata() const
    {
        Metadata metadata = m_model.metadata;
        for (const char* key : {"split.no", "split.count", "split.tensors.count", "quern.calibration"})
            metadata.remove(key);
        if (changed() || !metadata.find("general.file_type"))
            if (const auto type = fileType())
                metadata.set("general.file_type", *type);
        metadata.set("general.quantization_version", std::uint32_t {2});
        metadata.set("quern.version", std::string(QUERN_VERSION));
        metadata.set("quern.recipe", toJson(m_recipe, -1));
        metadata.set("quern.source_hash", m_model.sourceHash);
        if (m_calibration && changed())
            describeCalibration(metadata);
        return metadata;
    }

    void describeCalibration(Metadata& metadata) const
    {
        std::string texts;
        for (const std::string& dataset : m_calibration->datasets)
            texts += (texts.empty() ? "" : ", ") + toText(std::string_view(dataset));
        const std::string file = toText(std::string_view(m_calibration->path.filename().string()));
        const auto number = [](auto n) { return static_cast<std::uint32_t>(n); };
        metadata.set("quern.calibration", file.empty() ? texts : file);
        metadata.set("quantize.imatrix.file", file);
        metadata.set("quantize.imatrix.dataset", texts);
        metadata.set("quantize.imatrix.entries_count", number(m_calibration->inputs.size()));
        metadata.set("quantize.imatrix.chunks_count", number(m_calibration->chunks));
    }

    // Where no file can be written: what the tensors take.
    std::uint64_t fileBytes() const
    {
        if (m_model.obstacle)
            return m_plan.storedBytes;
        return gguf::layout(m_plan.metadata, tensorInfos(m_model, m_plan)).fileBytes;
    }

    void warn()
    {
        auto& warnings = m_plan.warnings;
        const auto n = [](const TensorGroup& group) { return std::to_string(group.count); };
        const auto name = [](const TensorGroup& group) { return toText(std::string_view(group.first)); };
        for (const auto& [formats, group] : m_fallbacks)
            warnings.push_back(
                sentence(QUERN_TEXT("core", "%1 of %2, for example %3, become %4: their rows are no multiple of %5."),
                         {n(group), std::string(formats.first->name), name(group), std::string(formats.second->name),
                          std::to_string(formats.first->values)}));
        for (const auto& [format, group] : m_again)
            warnings.push_back(sentence(
                QUERN_TEXT("core",
                           "%1 tensors, for example %2, are %3 already: quantizing them again adds to the loss."),
                {n(group), name(group), std::string(format->name)}));
        for (const auto& [format, group] : m_blind)
            warnings.push_back(sentence(
                QUERN_TEXT("core",
                           "%1 tensors, for example %2, become %3, which is too coarse to be of use without an "
                           "importance matrix of theirs."),
                {n(group), name(group), std::string(format->name)}));
        if (!m_blind.empty())
            m_plan.tooCoarse = tooCoarse(*m_blind.begin()->first, m_blind.begin()->second);
        std::ranges::copy(m_methods.sentences(), std::back_inserter(warnings));
        if (m_unseen.count > 0)
            warnings.push_back(
                sentence(QUERN_TEXT("core", "The importance matrix says nothing of %1 tensors, for example %2."),
                         {n(m_unseen), name(m_unseen)}));
        std::ranges::copy(m_experts.sentences(), std::back_inserter(warnings));
    }

    static Error tooCoarse(const BlockFormat& format, const TensorGroup& group)
    {
        return {QUERN_TEXT("core",
                           "%1 is too coarse to be of use without an importance matrix, and nothing is known of the "
                           "inputs of %2 tensors, for example %3. Calibrate the model first, or ask to export it as "
                           "it is."),
                {std::string(format.name), std::to_string(group.count), toText(std::string_view(group.first))}};
    }

    struct ByName {
        static std::string_view key(const BlockFormat* format) { return format->name; }
        bool operator()(const BlockFormat* a, const BlockFormat* b) const { return a->name < b->name; }
        using Pair = std::pair<const BlockFormat*, const BlockFormat*>;
        bool operator()(const Pair& a, const Pair& b) const
        {
            return std::pair(key(a.first), key(a.second)) < std::pair(key(b.first), key(b.second));
        }
    };

    const Recipe& m_recipe;
    const Model& m_model;
    const Calibration* m_given;
    const std::optional<Calibration> m_foreseen;
    const Calibration* m_calibration; // of what is known, or will be
    Purpose m_purpose;
    MethodChoice m_methods;
    Plan m_plan;
    std::map<std::pair<const BlockFormat*, const BlockFormat*>, TensorGroup, ByName> m_fallbacks;
    std::map<const BlockFormat*, TensorGroup, ByName> m_again, m_blind;
    TensorGroup m_unseen;
    Coverage m_experts;
};

} // namespace

std::vector<gguf::TensorInfo> tensorInfos(const Model& model, const Plan& plan)
{
    assert(plan.tensors.size() == model.tensors.size());
    std::vector<gguf::TensorInfo> infos;
    infos.reserve(model.tensors.size());
    for (std::size_t i = 0; i < model.tensors.size(); ++i)
        infos.push_back({model.tensors[i].name, model.tensors[i].shape, plan.tensors[i].stored});
    return infos;
}

double Plan::bitsPerWeight(const Model& model) const
{
    const std::uint64_t n = model.parameters();
    return n > 0 ? 8.0 * static_cast<double>(storedBytes) / static_cast<double>(n) : 0.0;
}

double Plan::methodBitsPerWeight(const Model& model) const
{
    const std::uint64_t n = model.parameters();
    return n > 0 ? 8.0 * static_cast<double>(methodBytes) / static_cast<double>(n) : 0.0;
}

Plan resolve(const Recipe& recipe, const Model& model, const Calibration* calibration, Purpose purpose)
{
    return Resolution(recipe, model, calibration, purpose).plan();
}

} // namespace quern
