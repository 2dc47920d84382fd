// What every quantizer promises. A new one is tested by being in the catalogue.
#include "core/curvature.h"
#include "core/error.h"
#include "core/modelmaker.h"
#include "core/moments.h"
#include "core/parallel.h"
#include "core/quantizer.h"

#include <QTest>

#include <map>
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

// Every quantizer on every format that it supports; of the large family of our own and of codebooks, those that take
// long on some.
void addPairs()
{
    QTest::addColumn<const Quantizer*>("quantizer");
    QTest::addColumn<const BlockFormat*>("format");
    for (const Quantizer* quantizer : quantizers()) {
        int own = 0, books = 0;
        const auto some = [&](const BlockFormat& format) {
            return format.group > 1 ? books++ % 3 == 0 : format.inGguf() || own++ % 8 == 0;
        };
        for (const BlockFormat* format : blockFormats())
            if (quantizer->supports(*format) && (!quantizer->curvature || some(*format)))
                QTest::addRow("%s %s", std::string(quantizer->name).c_str(), std::string(format->name).c_str())
                    << quantizer << format;
    }
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

// Of inputs that depend on each other, with `importance` as their squares.
const Matrix& secondMoments()
{
    static const Matrix all = [] {
        const std::vector<float> squares = importance();
        const Eigen::Map<const Eigen::RowVectorXf> wanted(squares.data(), kCols);
        Matrix h = moments::of(kCols, 300, 7);
        const Eigen::RowVectorXf scales = (wanted.array() / h.diagonal().transpose().array()).sqrt();
        h = scales.asDiagonal() * h * scales.asDiagonal();
        return h;
    }();
    return all;
}

const Curvature* curvatureFor(const Quantizer& quantizer, const BlockFormat& format)
{
    static std::map<std::tuple<std::string_view, int, int>, Curvature> known; // of an order of columns
    if (!quantizer.curvature)
        return nullptr;
    const std::tuple key(quantizer.name, format.values, format.group);
    if (!known.contains(key)) {
        NoProgress progress;
        known.emplace(key, curvatureOf(moments::hessian(secondMoments()), format, quantizer.curvature({}), progress));
    }
    return &known.at(key);
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
                   .settings = settings,
                   .curvature = curvatureFor(quantizer, format)},
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
        QVERIFY2((quantizer->needs == Needs::SecondMoments) == (quantizer->curvature != nullptr), name.c_str());
        std::set<std::string_view> params;
        for (const Param& param : quantizer->params) {
            QVERIFY2(params.insert(param.name).second && param.name.find('=') == std::string_view::npos, name.c_str());
            QVERIFY2(param.minimum <= param.preset && param.preset <= param.maximum, name.c_str());
            if (!param.choices.empty()) // each has a name
                QCOMPARE(static_cast<double>(param.choices.size()), param.maximum - param.minimum + 1);
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
    const Matrix decoded = moments::decoded(*format, blocks, kRows, kCols);
    Matrix h = secondMoments(); // what the method makes small
    if (!quantizer->curvature)
        h = Matrix(secondMoments().diagonal().asDiagonal());
    const Eigen::VectorXd error = moments::costs(original - decoded, h), power = moments::costs(original, h);
    for (long row = 0; row < kRows; ++row)
        QVERIFY2(error(row) < power(row),
                 qPrintable(QString("row %1: %2 of its power").arg(row).arg(error(row) / power(row))));
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
