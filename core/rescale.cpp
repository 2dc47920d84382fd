#include "core/rescale.h"

#include <algorithm>
#include <functional>

namespace quern {
namespace {

// Those of a tensor that has some already.
Factors product(const Factors& a, const Factors& b)
{
    Factors result = a;
    if (a.cols.size() == 0)
        result.cols = b.cols;
    else if (b.cols.size() > 0)
        result.cols = a.cols.cwiseProduct(b.cols);
    if (a.rows.empty())
        result.rows = b.rows;
    else if (!b.rows.empty())
        std::ranges::transform(a.rows, b.rows, result.rows.begin(), std::multiplies());
    return result;
}

// Weights that share their input go on sharing H, since all of them are multiplied alike.
class SharedHessians {
public:
    using Pointer = std::shared_ptr<const Hessian>;

    Pointer rescaled(const Pointer& from, const Eigen::Ref<const Matrix>& divisors)
    {
        auto& [made, by] = m_made[from.get()];
        if (!made || by != divisors) {
            made = std::make_shared<const Hessian>(from->rescaled(divisors.cwiseInverse()));
            by = divisors;
        }
        return made;
    }

private:
    std::map<const Hessian*, std::pair<Pointer, Matrix>> m_made;
};

} // namespace

Model rescaled(const Model& model, const FactorsByName& factors)
{
    Model result = model; // copies views, not weights
    for (Tensor& tensor : result.tensors)
        if (const auto it = factors.find(tensor.name); it != factors.end())
            tensor.factors
                = std::make_shared<const Factors>(tensor.factors ? product(*tensor.factors, it->second) : it->second);
    return result;
}

Calibration rescaled(const Calibration& calibration, const FactorsByName& factors)
{
    Calibration result = calibration;
    SharedHessians shared;
    for (auto& [name, stats] : result.inputs) {
        const auto it = factors.find(name);
        if (it == factors.end())
            continue;
        const auto& [rows, cols] = it->second;
        if (!rows.empty())
            stats.outputs = {};
        if (cols.size() == 0)
            continue;
        stats.inputs = {};
        const Eigen::ArrayXXd divisors = cols.cast<double>().array();
        stats.sumSquares.array() /= divisors * divisors;
        if (stats.sumMagnitudes.size() > 0)
            stats.sumMagnitudes.array() /= divisors;
        if (stats.maxMagnitudes.size() > 0)
            stats.maxMagnitudes.array() /= cols.array();
        for (std::size_t i = 0; i < stats.hessians.size(); ++i)
            if (stats.hessians[i])
                stats.hessians[i] = shared.rescaled(stats.hessians[i], cols.row(static_cast<long>(i)));
    }
    return result;
}

} // namespace quern
