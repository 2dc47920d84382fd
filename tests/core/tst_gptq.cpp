// GPTQ against what its authors wrote, on every kind of format.
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

class TestGptq : public QObject {
    Q_OBJECT

private slots:
    void isGptq_data();
    void isGptq();
};

void TestGptq::isGptq_data()
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

void TestGptq::isGptq()
{
    QFETCH(const BlockFormat*, format);
    QFETCH(Ordering, ordering);
    const long n = 512;
    const Matrix weights = moments::normal(kRows, n, 1) * 0.02F, h = moments::of(n, n, 2);
    const Bytes blocks = withFeedback(weights, curvature(h, *format, ordering), *format);
    const Bytes expected = Textbook(weights, h, *format, ordering, blocks).run();
    QCOMPARE(rowsAlike(blocks, expected), kRows);
}

QTEST_GUILESS_MAIN(TestGptq)
#include "tst_gptq.moc"
