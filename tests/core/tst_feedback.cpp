// What GPTQ promises, on every kind of format.
#include "core/metric.h"
#include "tests/core/solverrun.h"

#include <Eigen/Cholesky>
#include <Eigen/LU>

using namespace quern;
using namespace solverrun;

namespace {

// GPTQ as its authors wrote it (gptq.py), in double precision: H^-1, its upper Cholesky factor U; after a code of g
// columns k the columns that follow lose (error) U_kk^-1 U_k,rest. Grids are fitted to what weights are by then.
// The search of a grid may end in another one for the last digit of a weight, in one of 6 rows of Q5_1 in a better one
// by 2 %: where the grid of another result fits no worse, it is taken, so that codes can be compared.
class Textbook {
public:
    Textbook(const Matrix& weights, const Matrix& h, const BlockFormat& format, Ordering ordering, const Bytes& other)
        : m_format(format)
        , m_other(other)
        , m_fit(rangeOf(weights))
        , m_block(format.values == 0 ? weights.cols() : format.values)
        , m_before(format.values == 0 || ordering == Ordering::Columns)
        , m_weights(weights.cast<double>())
        , m_blocks(room(weights, format))
        , m_fitted(static_cast<std::size_t>(weights.rows() * weights.cols() / m_block))
    {
        const Eigen::VectorXf diagonal = h.diagonal();
        m_importance.assign(diagonal.begin(), diagonal.end());
        m_order = visits(m_importance, format, ordering);
        const long n = h.rows();
        Eigen::MatrixXd ordered(n, n);
        for (long i = 0; i < n; ++i)
            for (long j = 0; j < n; ++j)
                ordered(i, j) = double {h(column(i), column(j))};
        ordered.diagonal().array() += 0.01 * ordered.diagonal().mean();
        m_upper = upperOfInverse(ordered);
        if (m_before)
            for (long row = 0; row < weights.rows(); ++row)
                for (long c = 0; c < weights.cols(); c += m_block)
                    fit(row, c);
    }

    Bytes run()
    {
        for (long row = 0; row < m_weights.rows(); ++row)
            for (long s = 0; s < m_weights.cols(); s += m_format.group)
                step(row, s);
        return m_blocks;
    }

private:
    // Kept while the next one asks for the same.
    static const Eigen::MatrixXd& upperOfInverse(const Eigen::MatrixXd& h)
    {
        static std::vector<std::pair<Eigen::MatrixXd, Eigen::MatrixXd>> known;
        for (const auto& [matrix, upper] : known)
            if (matrix == h)
                return upper;
        known.emplace_back(h, h.inverse().llt().matrixU());
        return known.back().second;
    }

    long column(long visit) const { return m_order[static_cast<std::size_t>(visit)]; }
    std::byte* at(long row, long column)
    {
        return m_blocks.data() + static_cast<std::size_t>(row) * m_format.rowBytes(m_weights.cols())
            + static_cast<std::size_t>(column / m_block) * static_cast<std::size_t>(m_format.bytes);
    }

    void fit(long row, long first)
    {
        std::vector<float> x;
        for (long c = first; c < first + m_block; ++c)
            x.push_back(static_cast<float>(m_weights(row, c)));
        Fit fit = m_fit;
        fit.importance
            = std::span(m_importance).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(m_block));
        const std::span block(at(row, first),
                              m_format.values == 0 ? m_format.rowBytes(m_block)
                                                   : static_cast<std::size_t>(m_format.bytes));
        m_format.encode(m_format, x, fit, block.data());
        Bytes theirs(block.size());
        std::copy_n(m_other.data() + (block.data() - m_blocks.data()), theirs.size(), theirs.data());
        if (errorOn(theirs, x, fit.importance) <= 1.0001 * errorOn({block.begin(), block.end()}, x, fit.importance))
            std::ranges::copy(theirs, block.begin());
    }

    // Of the points nearest to x, on a block's grid.
    double errorOn(Bytes block, std::span<const float> x, std::span<const float> importance) const
    {
        double error = 0;
        const auto group = static_cast<std::size_t>(m_format.group);
        for (std::size_t first = 0; first < x.size(); first += group) {
            std::vector<float> values(x.begin() + static_cast<std::ptrdiff_t>(first),
                                      x.begin() + static_cast<std::ptrdiff_t>(first + group));
            if (group == 1)
                m_format.place(m_format, block.data(), static_cast<int>(first), values);
            else {
                std::byte* const bytes = block.data();
                m_format.placeWeighted(m_format, {&bytes, 1}, static_cast<int>(first), values,
                                       importance.subspan(first, group));
            }
            for (std::size_t i = first; i < first + group; ++i)
                error += double {importance[i]} * std::pow(double {x[i]} - values[i - first], 2);
        }
        return error;
    }

    void step(long row, long s)
    {
        const long g = m_format.group, rest = m_weights.cols() - s - g, first = column(s);
        const auto block = static_cast<std::size_t>((row * m_weights.cols() + first) / m_block);
        if (!m_before && !m_fitted[block])
            fit(row, first / m_block * m_block);
        m_fitted[block] = true;
        std::vector<float> x;
        for (long i = 0; i < g; ++i)
            x.push_back(static_cast<float>(m_weights(row, first + i)));
        if (g == 1)
            m_format.place(m_format, at(row, first), static_cast<int>(first % m_block), x);
        else
            placeCode(row, s, x);
        Eigen::RowVectorXd error(g);
        for (long i = 0; i < g; ++i)
            error(i) = m_weights(row, first + i) - double {x[static_cast<std::size_t>(i)]};
        const Eigen::RowVectorXd change
            = error * m_upper.block(s, s, g, g).inverse() * m_upper.block(s, s + g, g, rest);
        for (long i = 0; i < rest; ++i)
            m_weights(row, column(s + g + i)) -= change(i);
    }

    // By what its errors cost, given that the columns after it make up for them: U_kk^-1 U_kk^-T.
    void placeCode(long row, long s, std::vector<float>& x)
    {
        const long g = m_format.group;
        const Eigen::MatrixXd inverse = m_upper.block(s, s, g, g).inverse();
        const Matrix metric = (inverse * inverse.transpose()).cast<float>();
        Metric::Code code {.block = at(row, column(s)), .values = {}};
        std::ranges::copy(x, code.values.begin());
        Metric(metric.data(), g, g).place(m_format, static_cast<int>(column(s) % m_block), {&code, 1});
        std::copy_n(code.values.begin(), g, x.begin());
    }

    const BlockFormat& m_format;
    const Bytes& m_other;
    Fit m_fit;
    long m_block;
    bool m_before;
    Eigen::MatrixXd m_weights, m_upper;
    Bytes m_blocks;
    std::vector<bool> m_fitted;
    std::vector<float> m_importance;
    std::vector<long> m_order;
};

long rowsAlike(const Bytes& a, const Bytes& b)
{
    const std::size_t row = a.size() / kRows;
    long alike = 0;
    for (std::size_t i = 0; i < a.size(); i += row)
        alike
            += std::equal(a.begin() + static_cast<std::ptrdiff_t>(i), a.begin() + static_cast<std::ptrdiff_t>(i + row),
                          b.begin() + static_cast<std::ptrdiff_t>(i));
    return alike;
}

} // namespace

class TestFeedback : public QObject {
    Q_OBJECT

private slots:
    void isGptq_data();
    void isGptq();
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

void TestFeedback::isGptq_data()
{
    QTest::addColumn<const BlockFormat*>("format");
    QTest::addColumn<Ordering>("ordering");
    const std::pair<const char*, Ordering> orderings[] {
        {"natural", Ordering::Natural}, {"largest", Ordering::Largest}, {"columns", Ordering::Columns}};
    for (const char* name : {"Q4_0", "Q5_1", "Q4_K", "Q3_K", "Q6_K", "IQ4_XS", "INT4_G128_ZP", "INT3_ROW_SYM",
                             "INT8_TENSOR_MIN", "IQ2_XS", "IQ3_XXS"})
        for (const auto& [order, ordering] : orderings)
            QTest::addRow("%s %s", name, order) << findBlockFormat(name) << ordering;
}

void TestFeedback::isGptq()
{
    QFETCH(const BlockFormat*, format);
    QFETCH(Ordering, ordering);
    const long n = 512;
    const Matrix weights = moments::normal(kRows, n, 1) * 0.02F, h = moments::of(n, n, 2);
    const Bytes blocks = withFeedback(weights, curvature(h, *format, ordering), *format);
    const Bytes expected = Textbook(weights, h, *format, ordering, blocks).run();
    QCOMPARE(rowsAlike(blocks, expected), kRows);
}

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
