#include "core/recipe.h"

#include "core/error.h"

// Calibration x Model: whose inputs are whose.
namespace quern {

const InputStats* inputsOf(const Tensor& tensor, const Calibration* calibration)
{
    const InputStats* stats = calibration ? calibration->find(tensor.name) : nullptr;
    if (!stats)
        return nullptr;
    const long matrices = tensor.matrices(), rows = stats->sumSquares.rows();
    if (stats->sumSquares.cols() == tensor.cols() && (rows == matrices || rows == 1))
        return stats;
    if (tensor.name == "token_embd.weight") // a look-up: its inputs are no vectors
        return nullptr;
    fail(QUERN_TEXT(
             "core",
             "The importance matrix has %1 x %2 values for tensor %3, which has %4 matrices of %5 columns. It may "
             "be of another model."),
         rows, static_cast<long>(stats->sumSquares.cols()), tensor.name, matrices, tensor.cols());
}

void splitExperts(Calibration& calibration, const Model& model)
{
    for (const Tensor& tensor : model.tensors) {
        const auto it = calibration.inputs.find(tensor.name);
        const long matrices = tensor.matrices(), cols = tensor.cols();
        if (it == calibration.inputs.end() || matrices < 2 || it->second.sumSquares.rows() != 1
            || it->second.sumSquares.cols() / matrices != cols || it->second.sumSquares.cols() % matrices != 0)
            continue;
        InputStats& stats = it->second;
        const Eigen::VectorXd all = stats.sumSquares.row(0);
        stats.sumSquares = Eigen::Map<const Eigen::Matrix<double, -1, -1, Eigen::RowMajor>>(all.data(), matrices, cols);
        stats.counts.assign(static_cast<std::size_t>(matrices), stats.counts.at(0));
    }
}

} // namespace quern
