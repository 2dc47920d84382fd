#include "core/methodchoice.h"
#include "core/pattern.h"
#include "core/preset.h"
#include "core/quantize.h"
#include "core/rewriting.h"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <map>

// Recipe x Model -> Plan.
namespace quern {
namespace {

// Matrices of experts and how much of a calibration's tokens was routed to them.
struct Coverage {
    static constexpr double kFew = 0.01; // of the mean of its tensor; fewer say little of an expert's inputs

    std::size_t all = 0, none = 0, few = 0;
    std::string firstNone, firstFew; // "3 of blk.0.ffn_up_exps.weight"

    void add(const Tensor& tensor, const InputStats& stats)
    {
        if (tensor.matrices() < 2 || stats.counts.size() != static_cast<std::size_t>(tensor.matrices()))
            return;
        double sum = 0;
        for (const double count : stats.counts)
            sum += count;
        const double mean = sum / static_cast<double>(stats.counts.size());
        all += stats.counts.size();
        for (std::size_t i = 0; i < stats.counts.size(); ++i) {
            const double count = stats.counts[i];
            if (count > 0 && count >= kFew * mean)
                continue;
            std::string& first = count > 0 ? firstFew : firstNone;
            if ((count > 0 ? few : none)++ == 0)
                first = std::to_string(i) + " of " + tensor.name;
        }
    }
};

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
        , m_calibration(calibration && !calibration->inputs.empty() ? calibration : nullptr)
        , m_purpose(purpose)
        , m_methods(recipe, m_calibration)
    {
    }

    Plan plan()
    {
        chooseFormats();
        m_plan.rewrites = m_recipe.rewrites;
        if (m_purpose == Purpose::Quantize)
            std::ranges::copy(checkRewrites(m_recipe, m_model, m_calibration), std::back_inserter(m_plan.warnings));
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
        if (stats)
            m_experts.add(tensor, *stats);
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
        std::ranges::copy(m_methods.sentences(), std::back_inserter(warnings));
        if (m_unseen.count > 0)
            warnings.push_back(
                sentence(QUERN_TEXT("core", "The importance matrix says nothing of %1 tensors, for example %2."),
                         {n(m_unseen), name(m_unseen)}));
        warnOfExperts();
    }

    void warnOfExperts()
    {
        const auto tell = [&](const char* text, std::size_t count, const std::string& first) {
            if (count > 0)
                m_plan.warnings.push_back(sentence(
                    text, {std::to_string(count), std::to_string(m_experts.all), toText(std::string_view(first))}));
        };
        tell(QUERN_TEXT("core",
                        "%1 of %2 matrices of experts, for example number %3, saw no token of the calibration: all of "
                        "their weights count alike."),
             m_experts.none, m_experts.firstNone);
        tell(QUERN_TEXT("core",
                        "%1 of %2 matrices of experts, for example number %3, saw less than 1 % of the tokens that the "
                        "experts beside them saw on average; their importance is a guess. A longer text reaches more."),
             m_experts.few, m_experts.firstFew);
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
    const Calibration* m_calibration;
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
