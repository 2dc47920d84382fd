// Half-quadratic quantization against its formulas and its authors' claims.
#include "core/quantizer.h"

#include <QTest>

#include <cmath>
#include <random>

using namespace quern;

class TestHqq : public QObject {
    Q_OBJECT

private slots:
    void followsTheFormulas_data() { bits(); }
    void followsTheFormulas();
    void helpsNormalWeights_data() { bits(); }
    void helpsNormalWeights();
    void isNoWorseThanTheRange_data();
    void isNoWorseThanTheRange();
    void staysWhereErrorsAreAllowed();
    void movesByTheMeanOfOthers();
    void keepsConstants();
    void fillsCarriers_data();
    void fillsCarriers();

private:
    static void bits();
};

namespace {

constexpr long kGroup = 64;

Matrix normal(long rows, long cols, unsigned seed = 3)
{
    std::mt19937 random(seed);
    std::normal_distribution<float> draw;
    return Matrix::NullaryExpr(rows, cols, [&] { return draw(random); });
}

Matrix quantized(const char* quantizer, const char* name, const Matrix& weights, const Settings& settings = {})
{
    const BlockFormat& format = *findBlockFormat(name);
    std::vector<std::byte> blocks(static_cast<std::size_t>(weights.rows()) * format.rowBytes(weights.cols()));
    NoProgress progress;
    findQuantizer(quantizer)->run({.weights = weights,
                                   .importance = {},
                                   .low = weights.minCoeff(),
                                   .high = weights.maxCoeff(),
                                   .format = format,
                                   .settings = settings},
                                  blocks, progress);
    Matrix decoded(weights.rows(), weights.cols());
    for (long row = 0; row < weights.rows(); ++row)
        format.decode(format, blocks.data() + static_cast<std::size_t>(row) * format.rowBytes(weights.cols()),
                      {decoded.row(row).data(), static_cast<std::size_t>(weights.cols())});
    return decoded;
}

std::string nameOf(int bits)
{
    return "INT" + std::to_string(bits) + "_G64_MIN";
}

// The loop as its authors write it, in doubles: s is the inverse of the scale, z a float in units of codes. The mean
// size of the errors at the best z.
double meanErrorByTheBook(std::span<const float> w, int bits)
{
    const auto [low, high] = std::minmax_element(w.begin(), w.end());
    const double top = (1 << bits) - 1, s = top / (double {*high} - *low), n = static_cast<double>(w.size());
    double z = -*low * s, beta = 10, least = HUGE_VAL;
    for (int round = 0; round < 20; ++round, beta *= 1.01) {
        double error = 0, next = 0;
        for (const double x : w) {
            const double code = std::clamp(std::nearbyint(x * s + z), 0.0, top), e = x - (code - z) / s;
            const double allowed = std::copysign(std::max(std::abs(e) - std::pow(std::abs(e), -0.3) / beta, 0.0), e);
            error += std::abs(e) / n;
            next += (code - (x - (e == 0 ? 0 : allowed)) * s) / n;
        }
        if (error >= least)
            break;
        least = error;
        z = next;
    }
    return least;
}

} // namespace

void TestHqq::bits()
{
    QTest::addColumn<int>("bits");
    QTest::addColumn<double>("known"); // mean squared error of unit normal weights in groups of 64
    QTest::addRow("2") << 2 << 0.1877;
    QTest::addRow("3") << 3 << 0.0343;
    QTest::addRow("4") << 4 << 0.00760;
}

void TestHqq::followsTheFormulas()
{
    QFETCH(int, bits);
    const Matrix weights = normal(256, kGroup), decoded = quantized("hqq", nameOf(bits).c_str(), weights);
    double ours = 0, book = 0;
    for (long row = 0; row < weights.rows(); ++row) {
        ours += (weights - decoded).row(row).cwiseAbs().mean();
        book += meanErrorByTheBook({weights.row(row).data(), kGroup}, bits);
    }
    QVERIFY2(std::abs(ours / book - 1) < 2e-3, qPrintable(QString("%1 of %2").arg(ours).arg(book)));
}

void TestHqq::helpsNormalWeights()
{
    QFETCH(int, bits);
    QFETCH(double, known);
    const Matrix weights = normal(4096, kGroup);
    const auto error = [&](const char* quantizer) {
        return double {(weights - quantized(quantizer, nameOf(bits).c_str(), weights)).array().square().mean()};
    };
    const double nearest = error("nearest"), hqq = error("hqq");
    QVERIFY2(std::abs(hqq / known - 1) < 0.02, qPrintable(QString::number(hqq)));
    QVERIFY2(hqq < 0.97 * nearest, qPrintable(QString("%1 against %2").arg(hqq).arg(nearest)));
}

void TestHqq::isNoWorseThanTheRange_data()
{
    QTest::addColumn<QString>("format");
    for (const BlockFormat* format : blockFormats())
        if (findQuantizer("hqq")->supports(*format) && format->affine.bits > 0)
            QTest::addRow("%s", std::string(format->name).c_str()) << QString::fromStdString(std::string(format->name));
}

// In the measure that chooses, of every group.
void TestHqq::isNoWorseThanTheRange()
{
    QFETCH(QString, format);
    const std::string name = format.toStdString();
    Matrix weights = normal(24, 512, 7);
    weights.topRows(8) = weights.topRows(8).array().cube() * 0.01F; // long tails, small
    const long n = findBlockFormat(name)->values, group = n > 0 ? n : weights.cols();
    const Matrix range = weights - quantized("nearest", name.c_str(), weights);
    const Matrix moved = weights - quantized("hqq", name.c_str(), weights);
    for (long row = 0; row < weights.rows(); ++row)
        for (long c = 0; c < weights.cols(); c += group) {
            const double before = range.row(row).segment(c, group).cwiseAbs().sum();
            const double after = moved.row(row).segment(c, group).cwiseAbs().sum();
            QVERIFY2(after <= before * (1 + 1e-5), qPrintable(QString("%1 instead of %2").arg(after).arg(before)));
        }
}

// A large beta: every error is an outlier's, and nothing moves.
void TestHqq::staysWhereErrorsAreAllowed()
{
    const Matrix weights = normal(16, 256);
    QCOMPARE(quantized("hqq", "INT3_G64_MIN", weights, {{"beta", 1e6}}), quantized("nearest", "INT3_G64_MIN", weights));
}

// A small one: none is, and the minimum moves by the mean of the errors. It is what the lowest weight becomes.
void TestHqq::movesByTheMeanOfOthers()
{
    const Matrix weights = normal(64, kGroup), range = quantized("nearest", "INT2_G64_MIN", weights);
    const Matrix moved = quantized("hqq", "INT2_G64_MIN", weights, {{"beta", 1}, {"rounds", 2}});
    int moves = 0;
    for (long row = 0; row < weights.rows(); ++row) {
        const float before = range.row(row).minCoeff(), after = moved.row(row).minCoeff();
        if (after == before)
            continue;
        ++moves;
        const float expected = before + (weights - range).row(row).mean();
        QVERIFY2(std::abs(after - expected) < 2e-3F, qPrintable(QString("%1, not %2").arg(after).arg(expected)));
    }
    QVERIFY(moves > 32);
}

void TestHqq::keepsConstants()
{
    for (const float value : {0.0F, -0.375F, 3.0F}) {
        const Matrix weights = Matrix::Constant(3, 256, value);
        QCOMPARE(quantized("hqq", "INT4_G128_MIN", weights), weights);
    }
}

void TestHqq::fillsCarriers_data()
{
    QTest::addColumn<QString>("carrier");
    QTest::addColumn<QString>("own");
    QTest::addRow("Q4_1") << "Q4_1"
                          << "INT4_G32_MIN";
    QTest::addRow("Q5_1") << "Q5_1"
                          << "INT5_G32_MIN";
}

void TestHqq::fillsCarriers()
{
    QFETCH(QString, carrier);
    QFETCH(QString, own);
    const Matrix weights = normal(5, 256);
    QCOMPARE(quantized("hqq", qPrintable(carrier), weights), quantized("hqq", qPrintable(own), weights));
    QVERIFY(!findQuantizer("hqq")->supports(*findBlockFormat("Q4_0")));
    QVERIFY(!findQuantizer("hqq")->supports(*findBlockFormat("INT4_G32_SYM")));
    QVERIFY(!findQuantizer("hqq")->supports(*findBlockFormat("INT4_TENSOR_MIN")));
}

QTEST_GUILESS_MAIN(TestHqq)
#include "tst_hqq.moc"
