// What every quantizer promises. A new one is tested by being in the catalogue.
#include "core/error.h"
#include "core/modelmaker.h"
#include "core/parallel.h"
#include "core/quantizer.h"

#include <QTest>

#include <cmath>
#include <set>

using namespace quern;

class TestQuantizers : public QObject {
    Q_OBJECT

private slots:
    void haveNamesAndSettings();
    void doNotMixRows_data();
    void doNotMixRows();
    void doBetterThanZeros_data();
    void doBetterThanZeros();
    void stopWhenTold_data();
    void stopWhenTold();
};

Q_DECLARE_METATYPE(const quern::Quantizer*)
Q_DECLARE_METATYPE(const quern::BlockFormat*)

namespace {

constexpr long kRows = 7, kCols = 512;

// Every quantizer on every format that it supports.
void addPairs()
{
    QTest::addColumn<const Quantizer*>("quantizer");
    QTest::addColumn<const BlockFormat*>("format");
    for (const Quantizer* quantizer : quantizers())
        for (const BlockFormat* format : blockFormats())
            if (quantizer->supports(*format))
                QTest::addRow("%s %s", std::string(quantizer->name).c_str(), std::string(format->name).c_str())
                    << quantizer << format;
}

Matrix weights()
{
    const std::vector<float> values = modelmaker::normalWeights(kRows * kCols, 5);
    return Eigen::Map<const Matrix>(values.data(), kRows, kCols);
}

std::vector<float> importance()
{
    std::vector<float> squares = modelmaker::normalWeights(kCols, 6, 1);
    for (float& x : squares)
        x *= x;
    return squares;
}

// Rows [first, first + n) as a slab of the matrix.
std::vector<std::byte> quantized(const Quantizer& quantizer, const BlockFormat& format, long first, long n,
                                 Progress& progress)
{
    const Matrix all = weights(), slab = all.middleRows(first, n);
    const std::vector<float> squares = importance();
    const Settings settings;
    std::vector<std::byte> out(static_cast<std::size_t>(n) * format.rowBytes(kCols));
    quantizer.run({.weights = slab,
                   .importance = squares,
                   .low = all.minCoeff(),
                   .high = all.maxCoeff(),
                   .format = format,
                   .settings = settings},
                  out, progress);
    return out;
}

class Stopped final : public Progress {
public:
    void report(double, std::string_view) override { }
    bool cancelled() const override { return true; }
};

} // namespace

void TestQuantizers::haveNamesAndSettings()
{
    std::set<std::string_view> names;
    for (const Quantizer* quantizer : quantizers()) {
        const std::string name(quantizer->name);
        QVERIFY2(names.insert(quantizer->name).second && name != "copy", name.c_str());
        QCOMPARE(findQuantizer(quantizer->name), quantizer);
        QVERIFY2(quantizer->summary && *quantizer->summary && quantizer->run, name.c_str());
        std::set<std::string_view> params;
        for (const Param& param : quantizer->params) {
            QVERIFY2(params.insert(param.name).second && param.name.find('=') == std::string_view::npos, name.c_str());
            QVERIFY2(param.minimum <= param.preset && param.preset <= param.maximum, name.c_str());
        }
    }
}

void TestQuantizers::doNotMixRows_data()
{
    addPairs();
}

void TestQuantizers::doNotMixRows()
{
    QFETCH(const Quantizer*, quantizer);
    QFETCH(const BlockFormat*, format);
    NoProgress progress;
    setThreads(1);
    const auto whole = quantized(*quantizer, *format, 0, kRows, progress);
    setThreads(3);
    auto parts = quantized(*quantizer, *format, 0, 5, progress);
    const auto rest = quantized(*quantizer, *format, 5, kRows - 5, progress);
    setThreads(0);
    parts.insert(parts.end(), rest.begin(), rest.end());
    QVERIFY(parts == whole);
}

void TestQuantizers::doBetterThanZeros_data()
{
    addPairs();
}

void TestQuantizers::doBetterThanZeros()
{
    QFETCH(const Quantizer*, quantizer);
    QFETCH(const BlockFormat*, format);
    NoProgress progress;
    const auto blocks = quantized(*quantizer, *format, 0, kRows, progress);
    const Matrix original = weights();
    const std::vector<float> squares = importance();
    std::vector<float> decoded(kCols);
    for (long row = 0; row < kRows; ++row) {
        format->decode(*format, blocks.data() + static_cast<std::size_t>(row) * format->rowBytes(kCols), decoded);
        double error = 0, power = 0;
        for (long c = 0; c < kCols; ++c) {
            const double x = original(row, c), w = squares[static_cast<std::size_t>(c)];
            error += w * std::pow(x - double(decoded[static_cast<std::size_t>(c)]), 2);
            power += w * x * x;
        }
        QVERIFY2(error < power, qPrintable(QString("row %1: %2 of its power").arg(row).arg(error / power)));
    }
}

void TestQuantizers::stopWhenTold_data()
{
    addPairs();
}

void TestQuantizers::stopWhenTold()
{
    QFETCH(const Quantizer*, quantizer);
    QFETCH(const BlockFormat*, format);
    Stopped progress;
    QVERIFY_EXCEPTION_THROWN(quantized(*quantizer, *format, 0, kRows, progress), Cancelled);
}

QTEST_GUILESS_MAIN(TestQuantizers)
#include "tst_quantizers.moc"
