// What a change of grids promises, on every kind of format.
#include "core/levels.h"
#include "tests/core/solverrun.h"

using namespace quern;
using namespace solverrun;

namespace {

constexpr float kSize = 0.02F; // of weights

struct Case {
    long n;
    Matrix weights, h;
    Curvature c;

    Case(const BlockFormat& format, long columns, unsigned seed)
        : n(columns)
        , weights(moments::normal(kRows, n, seed) * kSize)
        , h(moments::of(n, 2 * n, seed + 1))
        , c(curvature(h, format))
    {
    }
    Eigen::VectorXd costs(const BlockFormat& format, const Bytes& blocks) const
    {
        return moments::costs(weights - moments::decoded(format, blocks, kRows, n), h);
    }
    Bytes refitted(const BlockFormat& format, const Bytes& blocks) const
    {
        Solution solution(weights, c, format, blocks);
        solution.refit();
        return solution.blocks();
    }
};

// What codes stand for, whatever the grid's scale: every value less the offset, over the scale.
std::vector<float> integers(const BlockFormat& format, const Bytes& blocks, long n)
{
    const Matrix values = moments::decoded(format, blocks, kRows, n);
    std::vector<float> found;
    for (long row = 0; row < kRows; ++row)
        for (long c = 0; c < n; ++c) {
            const std::byte* block = blocks.data() + static_cast<std::size_t>(row) * format.rowBytes(n)
                + static_cast<std::size_t>(c / format.values) * static_cast<std::size_t>(format.bytes);
            const Grid grid = format.regrid.read(format, block, static_cast<int>(c % format.values));
            found.push_back(grid.scale == 0.0F ? 0.0F : (values(row, c) - grid.offset) / grid.scale);
        }
    return found;
}

} // namespace

class TestRefit : public QObject {
    Q_OBJECT

private slots:
    void lowersCosts_data();
    void lowersCosts();
    void keepsCodes_data();
    void keepsCodes();
    void findsTheBestScale_data();
    void findsTheBestScale();
    void findsTheBestStep_data();
    void findsTheBestStep();
    void leavesOthersAlone_data();
    void leavesOthersAlone();
};

void TestRefit::lowersCosts_data()
{
    addFormats({"Q4_0",    "Q4_1",  "Q5_0",         "Q8_0",         "Q2_K",         "Q3_K",
                "Q4_K",    "Q5_K",  "Q6_K",         "IQ4_NL",       "IQ4_XS",       "TQ1_0",
                "TQ2_0",   "IQ1_S", "IQ1_M",        "IQ2_XXS",      "IQ2_XS",       "IQ2_S",
                "IQ3_XXS", "IQ3_S", "INT2_G16_MIN", "INT3_G32_SYM", "INT4_G128_ZP", "INT4_G256_SYM"});
}

// In every row, and costs are told as they are. The columns fill no whole number of walks where the format allows it.
void TestRefit::lowersCosts()
{
    QFETCH(const BlockFormat*, format);
    const Case a(*format, format->fits(608) ? 608 : 768, 31);
    Solution solution(a.weights, a.c, *format, nearest(a.weights, a.h, *format));
    Eigen::VectorXd last = a.costs(*format, solution.blocks());
    for (int round = 0; round < 3; ++round) {
        solution.refit();
        const Eigen::VectorXd now = a.costs(*format, solution.blocks());
        QVERIFY(((now - last).array() <= 1e-6 * last.array()).all());
        QVERIFY(round > 0 || now.sum() < last.sum());
        const std::vector<double> told = solution.costs();
        for (long row = 0; row < kRows; ++row)
            QVERIFY(std::abs(told[static_cast<std::size_t>(row)] / now(row) - 1) < 1e-4);
        last = now;
    }
}

void TestRefit::keepsCodes_data()
{
    addFormats({"Q4_0", "Q4_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS", "TQ1_0", "IQ1_M", "IQ2_S", "IQ3_S",
                "INT3_G32_SYM", "INT4_G128_ZP"});
}

void TestRefit::keepsCodes()
{
    QFETCH(const BlockFormat*, format);
    const Case a(*format, 512, 33);
    const Bytes before = nearest(a.weights, a.h, *format);
    const Bytes after = a.refitted(*format, before);
    QVERIFY(after != before);
    const std::vector<float> was = integers(*format, before, a.n), is = integers(*format, after, a.n);
    for (std::size_t i = 0; i < is.size(); ++i)
        QVERIFY(is[i] == 0.0F || std::abs(is[i] - was[i]) < 1e-3F * std::max(1.0F, std::abs(was[i])));
}

void TestRefit::findsTheBestScale_data()
{
    addFormats({"Q4_0", "Q5_0", "Q8_0", "IQ4_NL", "INT3_G32_SYM"});
}

// A block of its own: no half beside the scale found costs less.
void TestRefit::findsTheBestScale()
{
    QFETCH(const BlockFormat*, format);
    const Case a(*format, 32, 35);
    const Bytes refitted = a.refitted(*format, nearest(a.weights, a.h, *format));
    const Eigen::VectorXd best = a.costs(*format, refitted);
    for (const float by : {1 - 0x1p-10F, 1 + 0x1p-10F}) {
        Bytes blocks = refitted;
        for (std::size_t row = 0; row < kRows; ++row) {
            std::byte* block = blocks.data() + row * format->rowBytes(a.n);
            const Grid grid = format->regrid.read(*format, block, 0);
            format->regrid.write(*format, block, 0, {grid.scale * by, grid.offset});
        }
        QVERIFY(blocks != refitted);
        QVERIFY((a.costs(*format, blocks).array() >= best.array() * (1 - 1e-6)).all());
    }
}

void TestRefit::findsTheBestStep_data()
{
    addFormats({"Q3_K", "Q6_K", "IQ4_XS", "IQ2_XS", "IQ3_S", "IQ1_S"});
}

// Of the last group, which nothing that was changed later could spoil: no other step of its scale costs less.
void TestRefit::findsTheBestStep()
{
    QFETCH(const BlockFormat*, format);
    const Case a(*format, 256, 37);
    const Bytes refitted = a.refitted(*format, nearest(a.weights, a.h, *format));
    const Eigen::VectorXd best = a.costs(*format, refitted);
    const int last = 256 - static_cast<int>(groupSize(*format, a.n));
    std::size_t others = 0;
    for (std::size_t row = 0; row < kRows; ++row)
        for (int step = -15; step <= 15; ++step) {
            Bytes blocks = refitted;
            std::byte* block = blocks.data() + row * format->rowBytes(a.n);
            const float scale = format->regrid.read(*format, block, last).scale;
            format->regrid.write(*format, block, last, {scale * (1 + 0.04F * static_cast<float>(step)), 0});
            others += blocks != refitted ? 1 : 0;
            const auto at = static_cast<long>(row);
            QVERIFY(a.costs(*format, blocks)(at) >= best(at) * (1 - 1e-6));
        }
    QVERIFY(others > kRows);
}

void TestRefit::leavesOthersAlone_data()
{
    addFormats({"F16", "MXFP4", "NVFP4", "INT3_ROW_SYM", "INT4_TENSOR_MIN"});
}

// Scales of rows and tensors, powers of two, and what has none.
void TestRefit::leavesOthersAlone()
{
    QFETCH(const BlockFormat*, format);
    const Case a(*format, 256, 39);
    const Bytes before = nearest(a.weights, a.h, *format);
    QVERIFY(a.refitted(*format, before) == before);
}

QTEST_GUILESS_MAIN(TestRefit)
#include "tst_refit.moc"
