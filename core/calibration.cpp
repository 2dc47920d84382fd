#include "core/calibration.h"

#include "core/error.h"
#include "core/parallel.h"

#include <algorithm>
#include <cassert>

namespace quern {
namespace {

using SharedHessian = std::shared_ptr<const Hessian>;

// Mean of two, weighed by their counts.
SharedHessian merged(const Hessian& a, double countA, const Hessian& b, double countB, Progress& progress)
{
    assert(!a.scale && !b.scale);
    std::vector<float> lower(a.lower.size());
    const double share = countB / (countA + countB);
    parallelFor(a.size, progress, [&](long i) {
        for (long j = Hessian::values(i); j < Hessian::values(i + 1); ++j) {
            const auto k = static_cast<std::size_t>(j);
            const double x = a.lower[k], y = b.lower[k];
            lower[k] = static_cast<float>(x + (y - x) * share);
        }
    });
    return std::make_shared<const Hessian>(Hessian::of(a.size, std::move(lower)));
}

class Merger {
public:
    explicit Merger(Progress& progress)
        : m_progress(progress)
    {
    }

    void add(InputStats& to, const InputStats& from)
    {
        if (to.hessians.size() == from.hessians.size()) {
            for (std::size_t i = 0; i < to.hessians.size(); ++i)
                to.hessians[i] = hessian({to.hessians[i], to.counts[i]}, {from.hessians[i], from.counts[i]});
        } else {
            to.hessians.clear();
        }
        to.drifted = nullptr;
        to.sumSquares += from.sumSquares;
        std::ranges::transform(to.counts, from.counts, to.counts.begin(), std::plus());
        const bool both = to.sumMagnitudes.size() == from.sumMagnitudes.size();
        to.sumMagnitudes = both ? Eigen::MatrixXd(to.sumMagnitudes + from.sumMagnitudes) : Eigen::MatrixXd();
        to.maxMagnitudes = to.maxMagnitudes.size() == from.maxMagnitudes.size()
            ? Matrix(to.maxMagnitudes.cwiseMax(from.maxMagnitudes))
            : Matrix();
        add(to.inputs, from.inputs);
        add(to.outputs, from.outputs);
    }

private:
    struct Part {
        const SharedHessian& h;
        double count;
    };

    static void add(LogHistogram& to, const LogHistogram& from)
    {
        if (to.counts.empty() != from.counts.empty())
            to.counts.clear();
        else
            to.merge(from);
    }

    // What was one object in both stays one.
    SharedHessian hessian(const Part& a, const Part& b)
    {
        if (!a.h || !b.h)
            return a.h ? a.h : b.h;
        SharedHessian& made = m_made[{a.h, b.h}];
        if (!made)
            made = merged(*a.h, a.count, *b.h, b.count, m_progress);
        return made;
    }

    Progress& m_progress;
    std::map<std::pair<SharedHessian, SharedHessian>, SharedHessian> m_made;
};

} // namespace

bool InputStats::saw(long matrix) const
{
    return counts.at(static_cast<std::size_t>(matrix)) > 0 && (sumSquares.row(matrix).array() != 0.0).any();
}

std::vector<float> InputStats::importance(long matrix) const
{
    std::vector<float> h(static_cast<std::size_t>(sumSquares.cols()), 1.0F);
    const double n = counts.at(static_cast<std::size_t>(matrix));
    if (saw(matrix))
        for (long i = 0; i < sumSquares.cols(); ++i)
            h[static_cast<std::size_t>(i)] = static_cast<float>(sumSquares(matrix, i) / n);
    return h;
}

const InputStats* Calibration::find(std::string_view tensor) const
{
    const auto it = inputs.find(tensor);
    return it == inputs.end() ? nullptr : &it->second;
}

void Calibration::merge(const Calibration& other, Progress& progress)
{
    for (const auto& [name, stats] : other.inputs) {
        const InputStats* mine = find(name);
        const Eigen::MatrixXd& theirs = stats.sumSquares;
        if (mine && (mine->sumSquares.rows() != theirs.rows() || mine->sumSquares.cols() != theirs.cols()))
            fail(QUERN_TEXT("core",
                            "The inputs of %1 are %2 x %3 in one calibration and %4 x %5 in the other; they are of "
                            "different models."),
                 name, mine->sumSquares.rows(), mine->sumSquares.cols(), theirs.rows(), theirs.cols());
    }
    Calibration sum = *this;
    Merger merger(progress);
    for (const auto& [name, stats] : other.inputs)
        if (const auto [it, isNew] = sum.inputs.try_emplace(name, stats); !isNew)
            merger.add(it->second, stats);
    sum.datasets.insert(sum.datasets.end(), other.datasets.begin(), other.datasets.end());
    sum.chunks += other.chunks;
    sum.context = context == other.context ? context : 0;
    sum.sourceHash = sourceHash == other.sourceHash ? sourceHash : std::string();
    *this = std::move(sum);
}

} // namespace quern
