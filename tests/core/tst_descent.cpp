// What coordinate descent promises, on every kind of format.
#include "core/quantizer.h"
#include "tests/core/solverrun.h"

using namespace quern;
using namespace solverrun;

class TestDescent : public QObject {
    Q_OBJECT

private slots:
    void descendsToALocalMinimum_data();
    void descendsToALocalMinimum();
    void neverCostsMoreThanItsStart_data();
    void neverCostsMoreThanItsStart();
    void searchesNoLongerThanAsked();
    void triesEverythingThatMayPay_data();
    void triesEverythingThatMayPay();
    void tellsCosts_data();
    void tellsCosts();
};

void TestDescent::descendsToALocalMinimum_data()
{
    addFormats({"Q4_0", "Q4_K", "INT3_ROW_SYM"});
}

void TestDescent::descendsToALocalMinimum()
{
    QFETCH(const BlockFormat*, format);
    const long n = 256, rows = 3;
    const Matrix weights = moments::normal(rows, n, 19) * 0.02F, h = moments::of(n, 2 * n, 20);
    const Bytes blocks = descended(nearest(weights, h, *format), weights, curvature(h, *format), *format, 100);
    const Matrix values = moments::decoded(*format, blocks, rows, n);
    const Eigen::MatrixXd errors = (weights - values).cast<double>(), slopes = errors * h.cast<double>();
    const long block = format->values == 0 ? n : format->values;
    for (long row = 0; row < rows; ++row)
        for (long j = 0; j < n; ++j) {
            const auto at = static_cast<std::size_t>(row) * format->rowBytes(n)
                + static_cast<std::size_t>(j / block) * static_cast<std::size_t>(format->bytes);
            const std::size_t size
                = format->values == 0 ? format->rowBytes(n) : static_cast<std::size_t>(format->bytes);
            const double curve = double {h(j, j)};
            for (const float level :
                 levels(*format, std::span(blocks).subspan(at, size), static_cast<int>(j % block))) {
                const double move = double {level} - double {values(row, j)};
                const double change = move * (curve * move - 2 * slopes(row, j));
                QVERIFY2(change > -1e-6 * curve * 4e-4, qPrintable(QString("row %1, column %2").arg(row).arg(j)));
            }
        }
}

void TestDescent::neverCostsMoreThanItsStart_data()
{
    addFormats({"Q4_0", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "MXFP4", "NVFP4", "TQ1_0", "IQ1_S",
                "IQ2_XXS", "IQ3_XXS", "IQ3_S", "INT2_G16_MIN", "INT4_G128_ZP", "INT3_ROW_SYM", "INT4_TENSOR_SYM"});
}

void TestDescent::neverCostsMoreThanItsStart()
{
    QFETCH(const BlockFormat*, format);
    const long n = 512;
    const Matrix weights = moments::normal(kRows, n, 21) * 0.02F;
    // Far fewer tokens than features as well: H is singular, and what GPTQ starts from may be worse than the nearest.
    for (const long tokens : {2 * n, n / 8}) {
        const Matrix h = moments::of(n, tokens, 22);
        const Curvature c = curvature(h, *format);
        for (const Bytes& start : {nearest(weights, h, *format), withFeedback(weights, c, *format)}) {
            Eigen::VectorXd last = moments::costs(weights - moments::decoded(*format, start, kRows, n), h);
            for (const int passes : {1, 2, 4}) {
                const Bytes blocks = descended(start, weights, c, *format, passes);
                const Eigen::VectorXd now = moments::costs(weights - moments::decoded(*format, blocks, kRows, n), h);
                QVERIFY(((now - last).array() <= 1e-6 * last.array()).all());
                last = now;
            }
            QVERIFY(last.sum() < cost(start, weights, h, *format));
        }
    }
}

// Previews start from what a short search finds, files from what a long one does.
void TestDescent::searchesNoLongerThanAsked()
{
    const BlockFormat& format = *findBlockFormat("Q4_K");
    const long n = 512;
    const Matrix weights = moments::normal(kRows, n, 27) * 0.02F, h = moments::of(n, n, 28);
    const Curvature c = curvature(h, format);
    const Settings settings {{"passes", 1}, {"refits", 0}};
    std::vector<Bytes> made;
    for (const Effort effort : {Effort::Fast, Effort::Best}) {
        Bytes& blocks = made.emplace_back(room(weights, format));
        NoProgress progress;
        findQuantizer("descent")->run({.weights = weights,
                                       .importance = {},
                                       .low = 0,
                                       .high = 0,
                                       .format = format,
                                       .settings = settings,
                                       .curvature = &c,
                                       .effort = effort},
                                      blocks, progress);
        QVERIFY(blocks == descended(nearest(weights, h, format, effort), weights, c, format, 1));
    }
    QVERIFY(made[0] != made[1]);
}

namespace {

// Descent of codes of one row without a thought for time: every one is tried for both bounds at every pass, slopes are
// those of all errors anew.
class LongWalk {
public:
    LongWalk(const Eigen::RowVectorXd& weights, const Matrix& h, const BlockFormat& format, Bytes blocks)
        : m_weights(weights)
        , m_h(h.cast<double>())
        , m_format(format)
        , m_blocks(std::move(blocks))
    {
    }

    const Bytes& descended(int passes)
    {
        const long group = m_format.group;
        for (int pass = 0; pass < passes; ++pass)
            for (long first = 0; first < m_weights.cols(); first += group) {
                const Eigen::MatrixXd b = m_h.block(first, first, group, group);
                if (!move(first, b, b.diagonal()))
                    move(first, b, b.cwiseAbs().rowwise().sum());
            }
        return m_blocks;
    }

private:
    bool move(long first, const Eigen::MatrixXd& b, const Eigen::RowVectorXd& importance)
    {
        const Matrix values = moments::decoded(m_format, m_blocks, 1, m_weights.cols());
        const Eigen::RowVectorXd slopes = (m_weights - values.cast<double>()) * m_h.middleCols(first, b.cols()),
                                 now = values.middleCols(first, b.cols()).cast<double>();
        Eigen::RowVectorXf x = (now + slopes.cwiseQuotient(importance)).cast<float>(),
                           weight = importance.cast<float>();
        Bytes other = m_blocks;
        std::byte* const block = other.data() + first / m_format.values * m_format.bytes;
        m_format.placeWeighted(m_format, {&block, 1}, static_cast<int>(first % m_format.values),
                               {x.data(), static_cast<std::size_t>(x.size())},
                               {weight.data(), static_cast<std::size_t>(weight.size())});
        const Eigen::RowVectorXd step = x.cast<double>() - now;
        if (!((step * b).dot(step) - 2 * step.dot(slopes) < 0))
            return false;
        m_blocks = std::move(other);
        return true;
    }

    Eigen::RowVectorXd m_weights;
    Eigen::MatrixXd m_h;
    const BlockFormat& m_format;
    Bytes m_blocks;
};

} // namespace

void TestDescent::triesEverythingThatMayPay_data()
{
    addFormats({"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S"});
}

// Codes of all rows are tried side by side, and not again where they were found to be the nearest ones.
void TestDescent::triesEverythingThatMayPay()
{
    QFETCH(const BlockFormat*, format);
    constexpr long n = 512, rows = 18; // more than are searched at once
    constexpr int kPasses = 2;
    Matrix weights = moments::normal(rows, n, 29) * 0.02F;
    for (long row = 0; row < rows; ++row)
        weights.row(row) *= static_cast<float>(1 + row); // blocks of unlike scales
    const Matrix h = moments::of(n, n, 30);
    const Curvature c = curvature(h, *format);
    const Bytes start = nearest(weights, h, *format), blocks = descended(start, weights, c, *format, kPasses);
    const auto rowBytes = static_cast<std::ptrdiff_t>(format->rowBytes(n));
    for (long row = 0; row < rows; ++row) {
        const auto rowOf
            = [&](const Bytes& all) { return Bytes(all.begin() + row * rowBytes, all.begin() + (row + 1) * rowBytes); };
        const Matrix one = weights.row(row);
        QVERIFY(rowOf(blocks) == descended(rowOf(start), one, c, *format, kPasses));
        if (row % 8 == 0) {
            LongWalk walk(one.row(0).cast<double>(), h, *format, rowOf(start));
            const double expected = cost(walk.descended(kPasses), one, h, *format);
            QVERIFY(expected < 0.95 * cost(rowOf(start), one, h, *format));
            QVERIFY(std::abs(cost(rowOf(blocks), one, h, *format) / expected - 1) < 1e-5);
        }
    }
}

void TestDescent::tellsCosts_data()
{
    addFormats({"Q4_0", "INT3_ROW_SYM", "INT2_G16_MIN", "IQ2_XS", "IQ3_S"});
}

// Before and after passes, which keep count of what they change; the last columns fill no whole panel.
void TestDescent::tellsCosts()
{
    QFETCH(const BlockFormat*, format);
    const long n = format->fits(608) ? 608 : 768;
    const Matrix weights = moments::normal(kRows, n, 25) * 0.02F, h = moments::of(n, n, 26);
    const Curvature c = curvature(h, *format);
    Solution solution(weights, c, *format, nearest(weights, h, *format));
    for (const int passes : {0, 1, 3}) {
        solution.descend(passes);
        const Eigen::VectorXd expected
            = moments::costs(weights - moments::decoded(*format, solution.blocks(), kRows, n), h);
        const std::vector<double> told = solution.costs();
        for (long row = 0; row < kRows; ++row)
            QVERIFY(std::abs(told[static_cast<std::size_t>(row)] / expected(row) - 1) < 1e-4);
    }
}

QTEST_GUILESS_MAIN(TestDescent)
#include "tst_descent.moc"
