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
    const Settings settings {{"passes", 1}};
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
