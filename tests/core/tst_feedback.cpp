// What GPTQ promises, on every kind of format; tst_gptq.cpp compares it with its authors' own.
#include "tests/core/solverrun.h"

#include <Eigen/LU>

using namespace quern;
using namespace solverrun;

class TestFeedback : public QObject {
    Q_OBJECT

private slots:
    void takesTheBestOfWhatIsLeft_data();
    void takesTheBestOfWhatIsLeft();
    void isNearestWithoutCorrelations_data();
    void isNearestWithoutCorrelations();
    void costsWhatTheWalkSays();
    void doesNotDependOnTheUnitOfInputs();
    void treatsRowsByThemselves_data();
    void treatsRowsByThemselves();
    void followsBlocksWhereverTheyAre();
    void keepsDeadInputsApart();
    void staysBelowBabaisBound();
    void savesWhatIsKnownOfKQuants_data();
    void savesWhatIsKnownOfKQuants();
};

void TestFeedback::takesTheBestOfWhatIsLeft_data()
{
    addFormats({"Q4_0", "INT2_G16_MIN", "INT3_ROW_SYM"});
}

// The definition: once some columns are rounded, those that are left take the values that are best for all tokens.
void TestFeedback::takesTheBestOfWhatIsLeft()
{
    QFETCH(const BlockFormat*, format);
    const long n = 64;
    const Matrix weights = moments::normal(1, n, 3) * 0.02F, h = moments::of(n, 2 * n, 4);
    const Bytes blocks = withFeedback(weights, curvature(h, *format), *format);
    const Eigen::RowVectorXd errors = (weights - moments::decoded(*format, blocks, 1, n)).cast<double>();
    Eigen::MatrixXd damped = h.cast<double>();
    damped.diagonal().array() += 0.01 * damped.diagonal().mean();
    for (long j = 1; j < n; ++j) {
        const long rest = n - j;
        const Eigen::RowVectorXd target = weights.rightCols(rest).cast<double>()
            + errors.head(j) * damped.topRightCorner(j, rest) * damped.bottomRightCorner(rest, rest).inverse();
        const double chosen = double {weights(0, j)} - errors(j);
        Bytes row(blocks);
        const long block = format->values == 0 ? n : format->values;
        auto* at = row.data() + static_cast<std::size_t>(j / block) * static_cast<std::size_t>(format->bytes);
        auto x = static_cast<float>(target(0));
        format->place(*format, at, static_cast<int>(j % block), {&x, 1});
        QVERIFY2(std::abs(double {x} - chosen) < 1e-9, qPrintable(QString("column %1").arg(j)));
    }
}

void TestFeedback::isNearestWithoutCorrelations_data()
{
    addFormats({"Q4_0", "Q4_K", "Q3_K", "IQ4_XS", "INT4_G32_SYM", "INT3_ROW_MIN", "INT8_TENSOR_ZP"});
}

void TestFeedback::isNearestWithoutCorrelations()
{
    QFETCH(const BlockFormat*, format);
    const long n = 512;
    const Matrix weights = moments::normal(kRows, n, 5) * 0.02F, correlated = moments::of(n, n, 6);
    const Matrix h = correlated.diagonal().asDiagonal();
    const Matrix near = moments::decoded(*format, nearest(weights, h, *format), kRows, n);
    for (const Ordering ordering : {Ordering::Natural, Ordering::Largest}) {
        const Bytes blocks = withFeedback(weights, curvature(h, *format, ordering), *format);
        QVERIFY(moments::decoded(*format, blocks, kRows, n) == near);
    }
}

// The sum of D_j (t_j - q_j)^2 = tr(E (H + damping) E^T)
void TestFeedback::costsWhatTheWalkSays()
{
    const long n = 512;
    const BlockFormat& format = *findBlockFormat("Q4_K");
    const Matrix weights = moments::normal(kRows, n, 7) * 0.02F;
    Matrix h = moments::of(n, 2 * n, 8);
    NoProgress progress;
    const auto f = factor(h, 0.01, progress);
    QVERIFY(f);
    const Bytes blocks = withFeedback(weights, curvature(h, format), format);
    const Eigen::MatrixXd errors = (weights - moments::decoded(format, blocks, kRows, n)).cast<double>();
    const Eigen::MatrixXd steps = errors * f->unit.cast<double>(); // t_j - q_j
    double walked = 0;
    for (long j = 0; j < n; ++j)
        walked += steps.col(j).squaredNorm() * double {f->pivot[static_cast<std::size_t>(j)]};
    h.diagonal().array() += static_cast<float>(0.01 * h.diagonal().cast<double>().mean());
    const double all = cost(blocks, weights, h, format);
    QVERIFY2(std::abs(walked / all - 1) < 1e-4, qPrintable(QString::number(walked / all)));
    // A walk with no error on the way, the nearest, costs more.
    QVERIFY(all < cost(nearest(weights, h, format), weights, h, format));
}

void TestFeedback::doesNotDependOnTheUnitOfInputs()
{
    const long n = 512;
    const Matrix weights = moments::normal(kRows, n, 9) * 0.02F, h = moments::of(n, 2 * n, 10);
    for (const char* name : {"Q4_K", "Q2_K", "INT4_G64_MIN"}) {
        const BlockFormat& format = *findBlockFormat(name);
        QVERIFY(withFeedback(weights, curvature(h, format), format)
                == withFeedback(weights, curvature(h * 0x1p-20F, format), format));
    }
}

void TestFeedback::treatsRowsByThemselves_data()
{
    addFormats({"Q4_0", "Q4_K", "Q3_K", "INT4_ROW_SYM", "IQ3_XXS"});
}

void TestFeedback::treatsRowsByThemselves()
{
    QFETCH(const BlockFormat*, format);
    const long n = 768;
    const Matrix weights = moments::normal(kRows, n, 11) * 0.02F, h = moments::of(n, 2 * n, 12);
    const Curvature c = curvature(h, *format, Ordering::Largest);
    const auto solved = [&](const Matrix& rows) {
        Bytes blocks = room(rows, *format);
        encodeWithFeedback(rows, c, *format, rangeOf(weights), blocks);
        return descended(std::move(blocks), rows, c, *format, 2);
    };
    const Bytes all = solved(weights);
    Bytes parts;
    for (long first = 0; first < kRows;) {
        const long rows = std::min(1 + first / 2, kRows - first);
        const Bytes part = solved(weights.middleRows(first, rows));
        parts.insert(parts.end(), part.begin(), part.end());
        first += rows;
    }
    QVERIFY(parts == all);
}

// Blocks by their largest input: the same blocks at other places of the row become the same.
void TestFeedback::followsBlocksWhereverTheyAre()
{
    const BlockFormat& format = *findBlockFormat("Q4_K");
    const long n = 768, block = 256;
    const Matrix weights = moments::normal(kRows, n, 13) * 0.02F, h = moments::of(n, 2 * n, 14);
    const std::array<long, 3> from {2, 0, 1};
    const auto source
        = [&](long column) { return from[static_cast<std::size_t>(column / block)] * block + column % block; };
    Matrix moved(kRows, n), movedH(n, n);
    for (long i = 0; i < n; ++i) {
        moved.col(i) = weights.col(source(i));
        for (long j = 0; j < n; ++j)
            movedH(i, j) = h(source(i), source(j));
    }
    const Matrix a
        = moments::decoded(format, withFeedback(weights, curvature(h, format, Ordering::Largest), format), kRows, n);
    const Matrix b
        = moments::decoded(format, withFeedback(moved, curvature(movedH, format, Ordering::Largest), format), kRows, n);
    for (long i = 0; i < n; ++i)
        QVERIFY(b.col(i) == a.col(source(i)));
}

void TestFeedback::keepsDeadInputsApart()
{
    const BlockFormat& format = *findBlockFormat("INT4_TENSOR_SYM");
    const long n = 300, dead = 100;
    Matrix weights = moments::normal(kRows, n, 15) * 0.02F, h = moments::of(n, 2 * n, 16);
    h.row(dead).setZero();
    h.col(dead).setZero();
    const Fit range = rangeOf(weights);
    const Curvature c = curvature(h, format);
    const auto solved = [&] {
        Bytes blocks = room(weights, format);
        encodeWithFeedback(weights, c, format, range, blocks);
        return moments::decoded(format, descended(std::move(blocks), weights, c, format, 2), kRows, n);
    };
    const Matrix before = solved();
    weights.col(dead).setConstant(0.01F);
    const Matrix after = solved();
    QVERIFY(before.leftCols(dead) == after.leftCols(dead));
    QVERIFY(before.rightCols(n - dead - 1) == after.rightCols(n - dead - 1));
    const float step = (range.high - range.low) / 15 * 2; // it is still rounded: other texts may use it
    QVERIFY((after.col(dead).array() - 0.01F).abs().maxCoeff() < step / 2);
}

// Without clipping, every |t_j - q_j| is at most half a step: the cost is at most sum of D_j s^2 / 4 in each row.
void TestFeedback::staysBelowBabaisBound()
{
    const BlockFormat& format = *findBlockFormat("INT8_TENSOR_SYM");
    const long n = 300;
    const Matrix weights = moments::normal(kRows, n, 17) * 0.02F;
    Matrix h = moments::of(n, 2 * n, 18);
    NoProgress progress;
    const auto f = factor(h, 0.01, progress);
    QVERIFY(f);
    const Fit range {.importance = {}, .low = -1, .high = 1}; // far wider than the weights
    Bytes blocks = room(weights, format);
    encodeWithFeedback(weights, curvature(h, format), format, range, blocks);
    const std::vector<float> points = levels(format, std::span(blocks).first(format.rowBytes(n)), 0);
    const double step = double {points[101]} - double {points[100]};
    double sum = 0;
    for (const float d : f->pivot)
        sum += double {d};
    h.diagonal().array() += static_cast<float>(0.01 * h.diagonal().cast<double>().mean());
    const Eigen::VectorXd of = moments::costs(weights - moments::decoded(format, blocks, kRows, n), h);
    QVERIFY(of.maxCoeff() <= sum * step * step / 4 * 1.0001);
    // On average a third of it, which the nearest values, without feedback, do not reach.
    QVERIFY(of.mean() < sum * step * step / 10);
    QVERIFY(sum < 0.8 * h.diagonal().cast<double>().sum());
}

void TestFeedback::savesWhatIsKnownOfKQuants_data()
{
    addFormats({"Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q4_0", "IQ4_XS", "IQ2_XXS", "IQ3_S", "MXFP4", "NVFP4"});
}

// GPTQ on the grids of k-quants costs at most 0.6 of rounding by importance, and coordinate descent takes a tenth off
// that.
void TestFeedback::savesWhatIsKnownOfKQuants()
{
    QFETCH(const BlockFormat*, format);
    const long n = 512;
    const Matrix weights = moments::normal(kRows, n, 23) * 0.02F, h = moments::of(n, 4 * n, 24, 1);
    const double rounded = cost(nearest(weights, h, *format), weights, h, *format);
    const Curvature c = curvature(h, *format);
    const Bytes blocks = withFeedback(weights, c, *format);
    const double fedBack = cost(blocks, weights, h, *format);
    QVERIFY2(fedBack < 0.6 * rounded, qPrintable(QString::number(fedBack / rounded)));
    const double polished = cost(descended(blocks, weights, c, *format, 4), weights, h, *format);
    QVERIFY2(polished < 0.9 * fedBack, qPrintable(QString::number(polished / fedBack)));
}

QTEST_GUILESS_MAIN(TestFeedback)
#include "tst_feedback.moc"
