#include "core/rescale.h"

#include "core/parallel.h"
#include "core/scratchfile.h"

#include <algorithm>

namespace quern {
namespace {

constexpr long kWeightsAtOnce = 1 << 20;

// Rows [first, first + n), decoded and multiplied.
Matrix multiplied(const Tensor& tensor, const Factors& factors, long first, long n)
{
    Matrix x(n, tensor.cols());
    decodeRows(tensor, first, n, x.data());
    const long rowsOfMatrix = tensor.rows() / tensor.matrices();
    for (long i = 0; i < n; ++i) {
        if (factors.cols.size() > 0)
            x.row(i).array() *= factors.cols.row((first + i) / rowsOfMatrix).array();
        if (!factors.rows.empty())
            x.row(i) *= factors.rows[static_cast<std::size_t>(first + i)];
    }
    return x;
}

void write(const Tensor& tensor, const Factors& factors, std::uint64_t offset, const ScratchFile& file,
           Progress& progress)
{
    const long step = std::max(1L, kWeightsAtOnce / std::max(1L, tensor.cols()));
    parallelFor((tensor.rows() + step - 1) / step, progress, [&](long part) {
        const long first = part * step;
        const Matrix x = multiplied(tensor, factors, first, std::min(step, tensor.rows() - first));
        file.write(offset + static_cast<std::uint64_t>(first * tensor.cols()) * sizeof(float),
                   std::as_bytes(std::span(x.data(), static_cast<std::size_t>(x.size()))));
    });
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

Model rescaled(const Model& model, const FactorsByName& factors, const std::filesystem::path& workspace,
               Progress& progress)
{
    const ScratchFile file = ScratchFile::unnamed(workspace);
    const BlockFormat& f32 = *findBlockFormat("F32");
    Model result = model; // copies views, not weights
    std::vector<Tensor*> changed;
    std::uint64_t offset = 0;
    for (Tensor& tensor : result.tensors) {
        const auto it = factors.find(tensor.name);
        if (it == factors.end())
            continue;
        progress.report(static_cast<double>(&tensor - result.tensors.data())
                            / static_cast<double>(result.tensors.size()),
                        tensor.name);
        write(tensor, it->second, offset, file, progress);
        model.check();
        tensor.format = &f32;
        tensor.headRows = 0;
        tensor.offset = offset;
        changed.push_back(&tensor);
        offset += static_cast<std::uint64_t>(tensor.count()) * sizeof(float);
    }
    if (changed.empty())
        return result;
    const std::shared_ptr<const MappedFile> mapped = file.mapped();
    for (Tensor* tensor : changed)
        tensor->bytes
            = mapped->bytes().subspan(tensor->offset, static_cast<std::size_t>(tensor->count()) * sizeof(float));
    result.storage.push_back(mapped);
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
