#include "core/evaluationfile.h"

#include "core/error.h"
#include "core/gguf.h"
#include "core/mappedfile.h"

#include <algorithm>
#include <limits>

namespace quern {
namespace {

constexpr const char* kType = "quern.evaluation"; // general.type, and what the keys below begin with
constexpr std::uint32_t kVersion = 1;
constexpr const char* kVersionKey = "quern.evaluation.version";
constexpr const char* kTextKey = "quern.evaluation.text";
constexpr const char* kContextKey = "quern.evaluation.context";
constexpr const char* kChunksKey = "quern.evaluation.chunks";

constexpr const char* kFigures = "figures";
constexpr const char* kDivergences = "divergences";
constexpr const char* kChanges = "changes";
constexpr const char* kHiddenErrors = "hidden_errors";

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kFinite = std::numeric_limits<double>::max();

// The numbers of tensor `figures`, in order, and what they may be; the first kAlone where nothing was compared.
struct Figure {
    double& (*of)(PredictionSummary&);
    double least, most;
};
using Summary = PredictionSummary;
constexpr Figure kSummary[] {
    {[](Summary& s) -> double& { return s.perplexity; }, 0, kInfinity},
    {[](Summary& s) -> double& { return s.lnPerplexity.value; }, -kFinite, kFinite},
    {[](Summary& s) -> double& { return s.lnPerplexity.error; }, 0, kFinite},
    {[](Summary& s) -> double& { return s.referencePerplexity; }, 0, kInfinity},
    {[](Summary& s) -> double& { return s.lnRatio.value; }, -kFinite, kFinite},
    {[](Summary& s) -> double& { return s.lnRatio.error; }, 0, kFinite},
    {[](Summary& s) -> double& { return s.correlation; }, -kFinite, kFinite},
    {[](Summary& s) -> double& { return s.divergence.value; }, -kFinite, kFinite},
    {[](Summary& s) -> double& { return s.divergence.error; }, 0, kFinite},
    {[](Summary& s) -> double& { return s.change.value; }, -1, 1},
    {[](Summary& s) -> double& { return s.change.error; }, 0, 1},
    {[](Summary& s) -> double& { return s.changeRms; }, 0, 1},
    {[](Summary& s) -> double& { return s.sameTop.value; }, 0, 1},
    {[](Summary& s) -> double& { return s.sameTop.error; }, 0, 1},
};
constexpr long kAlone = 3;

struct Part {
    const char* name;
    std::span<const double> values;
};

class Reader {
public:
    Reader(std::span<const std::byte> file, std::string_view source)
        : m_directory(gguf::directory(file, source))
        , m_source(source)
    {
    }

    Evaluation evaluation() const
    {
        if (m_directory.metadata.text("general.type") != kType || integer(kVersionKey) != kVersion)
            fail(QUERN_TEXT("core", "%1 is no evaluation of version %2."), m_source, kVersion);
        Evaluation evaluation;
        evaluation.text = m_directory.metadata.text(kTextKey).value_or("");
        evaluation.context = integer(kContextKey);
        evaluation.chunks = integer(kChunksKey);
        PredictionSummary& summary = evaluation.predictions;
        summary.tokens = evaluation.chunks * Chunks {evaluation.context, {}}.scored();
        summary.compared = find(kDivergences) != nullptr;
        readFigures(summary);
        if (!summary.compared)
            return evaluation;
        summary.divergences = ascending(kDivergences, summary.tokens, -kFinite, kFinite);
        summary.changes = ascending(kChanges, summary.tokens, -1, 1);
        if (const Tensor* hidden = find(kHiddenErrors))
            evaluation.hiddenErrors = numbers(*hidden, hidden->count(), 0, kFinite);
        return evaluation;
    }

private:
    // A number from 1 to 2^31 - 1.
    long integer(const char* key) const
    {
        const auto value = m_directory.metadata.integer(key);
        if (!value || *value < 1 || *value > std::numeric_limits<std::int32_t>::max())
            fail(QUERN_TEXT("core", "%1: %2 is missing or no number from 1 to 2147483647."), m_source, key);
        return *value;
    }

    const Tensor* find(std::string_view name) const
    {
        const auto found = std::ranges::find(m_directory.tensors, name, &Tensor::name);
        return found == m_directory.tensors.end() ? nullptr : &*found;
    }

    const Tensor& tensor(const char* name) const
    {
        if (const Tensor* found = find(name))
            return *found;
        fail(QUERN_TEXT("core", "%1: tensor %2 is missing."), m_source, name);
    }

    std::vector<double> numbers(const Tensor& tensor, long n, double least, double most) const
    {
        if (tensor.format->name != "F64" || tensor.count() != n)
            fail(QUERN_TEXT("core", "%1: tensor %2 holds %3 numbers as %4; %5 as F64 are expected."), m_source,
                 tensor.name, tensor.count(), tensor.format->name, n);
        std::vector<double> values(static_cast<std::size_t>(n));
        std::ranges::copy(tensor.bytes, std::as_writable_bytes(std::span(values)).begin());
        for (const double value : values)
            check(value, tensor.name, least, most);
        return values;
    }

    void check(double value, std::string_view name, double least, double most) const
    {
        if (!(value >= least && value <= most))
            fail(QUERN_TEXT("core", "%1: tensor %2 holds %3; a number from %4 to %5 is expected."), m_source, name,
                 value, least, most);
    }

    void readFigures(PredictionSummary& summary) const
    {
        const long n = summary.compared ? static_cast<long>(std::size(kSummary)) : kAlone;
        const std::vector<double> values = numbers(tensor(kFigures), n, -kInfinity, kInfinity);
        for (std::size_t i = 0; i < values.size(); ++i) {
            check(values[i], kFigures, kSummary[i].least, kSummary[i].most);
            kSummary[i].of(summary) = values[i];
        }
    }

    std::vector<double> ascending(const char* name, long n, double least, double most) const
    {
        std::vector<double> values = numbers(tensor(name), n, least, most);
        if (!std::ranges::is_sorted(values))
            fail(QUERN_TEXT("core", "%1: the numbers of tensor %2 do not ascend."), m_source, name);
        return values;
    }

    gguf::Directory m_directory;
    std::string_view m_source;
};

Metadata metadataOf(const Evaluation& evaluation)
{
    Metadata metadata;
    metadata.set("general.type", std::string(kType));
    metadata.set(kVersionKey, kVersion);
    metadata.set("quern.version", std::string(QUERN_VERSION));
    metadata.set(kTextKey, evaluation.text);
    metadata.set(kContextKey, std::int64_t {evaluation.context});
    metadata.set(kChunksKey, std::int64_t {evaluation.chunks});
    return metadata;
}

} // namespace

void writeEvaluation(const Evaluation& evaluation, const std::filesystem::path& path, bool overwrite)
{
    PredictionSummary summary = evaluation.predictions;
    std::vector<double> figures;
    for (const Figure& figure : kSummary)
        figures.push_back(figure.of(summary));
    std::vector<Part> parts {{kFigures, std::span(figures).first(summary.compared ? figures.size() : kAlone)}};
    if (summary.compared) {
        parts.push_back({kDivergences, summary.divergences});
        parts.push_back({kChanges, summary.changes});
    }
    if (!evaluation.hiddenErrors.empty())
        parts.push_back({kHiddenErrors, evaluation.hiddenErrors});
    std::vector<gguf::TensorInfo> infos;
    infos.reserve(parts.size());
    for (const Part& part : parts)
        infos.push_back({part.name, {static_cast<long>(part.values.size())}, findBlockFormat("F64")});
    const gguf::Layout layout = gguf::layout(metadataOf(evaluation), infos);
    PendingFile file(path, layout.fileBytes, overwrite);
    file.write(0, layout.header);
    for (std::size_t i = 0; i < parts.size(); ++i)
        file.write(layout.offsets[i], std::as_bytes(parts[i].values));
    file.commit();
}

Evaluation evaluationFromBytes(std::span<const std::byte> file, std::string_view source)
{
    return Reader(file, source).evaluation();
}

Evaluation readEvaluation(const std::filesystem::path& path)
{
    const auto file = MappedFile::open(path);
    Evaluation evaluation = evaluationFromBytes(file->bytes(), path.string());
    file->check();
    return evaluation;
}

} // namespace quern
