#include "core/distortion.h"

#include "core/modelmaker.h"
#include "core/parallel.h"

#include <QTest>

#include <cmath>
#include <limits>

using namespace quern;

namespace {

Distortion bruteForce(const std::vector<float>& w, const std::vector<float>& q, const std::vector<float>& h)
{
    Distortion d;
    for (std::size_t i = 0; i < w.size(); ++i) {
        const long double wi = w[i], qi = q[i], e = wi - qi, hi = h.empty() ? 0 : h[i];
        d.errorSquares += static_cast<double>(e * e);
        d.weightSquares += static_cast<double>(wi * wi);
        d.decodedSquares += static_cast<double>(qi * qi);
        d.product += static_cast<double>(wi * qi);
        d.outputError += static_cast<double>(hi * e * e);
        d.outputPower += static_cast<double>(hi * wi * wi);
        d.largest = std::max(d.largest, std::abs(static_cast<double>(wi) - static_cast<double>(qi)));
    }
    d.count = static_cast<long>(w.size());
    return d;
}

bool near(double a, double b)
{
    return std::abs(a - b) <= 2e-6 * std::abs(b);
}

} // namespace

class TestDistortion : public QObject {
    Q_OBJECT

private slots:
    void addsUpAsOnPaper();
    void agreesWithBruteForce_data();
    void agreesWithBruteForce();
    void knowsWhatIsExact();
    void knowsWhatIsAllWrong();
    void mergesParts();
    void isTheSameForAnyNumberOfThreads();
    void weighsExpertsByTheirOwnInputs();
    void refusesOtherShapes();
};

void TestDistortion::addsUpAsOnPaper()
{
    const float w[] {3, 4, 0}, q[] {3, 3, 1}, h[] {1, 2, 10};
    const Distortion d = distortion(w, q, h, 3);
    QCOMPARE(d.errorSquares, 2.0);
    QCOMPARE(d.weightSquares, 25.0);
    QCOMPARE(d.decodedSquares, 19.0);
    QCOMPARE(d.product, 21.0);
    QCOMPARE(d.outputError, 12.0);
    QCOMPARE(d.outputPower, 41.0);
    QCOMPARE(d.largest, 1.0);
    QCOMPARE(d.count, 3L);
    QCOMPARE(d.relative(), std::sqrt(2.0 / 25));
    QCOMPARE(d.sqnr(), 10 * std::log10(12.5));
    QCOMPARE(d.rmse(), std::sqrt(2.0 / 3));
    QCOMPARE(d.rho(), 12.0 / 41);
    QCOMPARE(d.cosine(), 21 / std::sqrt(25.0 * 19));
}

void TestDistortion::agreesWithBruteForce_data()
{
    QTest::addColumn<int>("n");
    QTest::addColumn<double>("scale");
    QTest::addColumn<bool>("weighted");
    for (const int n : {1, 15, 16, 17, 255, 256, 257, 4096, 5003})
        QTest::addRow("%d", n) << n << 0.02 << (n % 2 == 1);
    QTest::addRow("squares overflow floats") << 300 << 1e25 << true;
    QTest::addRow("squares vanish in floats") << 300 << 1e-30 << true;
}

void TestDistortion::agreesWithBruteForce()
{
    QFETCH(int, n);
    QFETCH(double, scale);
    QFETCH(bool, weighted);
    const auto size = static_cast<std::size_t>(n);
    const auto w = modelmaker::normalWeights(size, 1, static_cast<float>(scale));
    auto q = modelmaker::normalWeights(size, 2, static_cast<float>(scale) / 20),
         h = modelmaker::normalWeights(size, 3, 1);
    for (std::size_t i = 0; i < size; ++i) {
        q[i] += w[i];
        h[i] = h[i] * h[i];
    }
    if (!weighted)
        h.clear();
    const Distortion d = distortion(w.data(), q.data(), weighted ? h.data() : nullptr, n), b = bruteForce(w, q, h);
    QVERIFY(near(d.errorSquares, b.errorSquares));
    QVERIFY(near(d.weightSquares, b.weightSquares));
    QVERIFY(near(d.decodedSquares, b.decodedSquares));
    QVERIFY(near(d.product, b.product));
    QVERIFY(near(d.outputError, b.outputError));
    QVERIFY(near(d.outputPower, b.outputPower));
    QVERIFY(near(d.largest, b.largest));
    QCOMPARE(d.count, b.count);
}

void TestDistortion::knowsWhatIsExact()
{
    const std::vector<float> w = modelmaker::normalWeights(1000, 4);
    const Distortion d = distortion(w.data(), w.data(), nullptr, 1000);
    QCOMPARE(d.relative(), 0.0);
    QVERIFY(std::isinf(d.sqnr()) && d.sqnr() > 0);
    QCOMPARE(d.cosine(), 1.0);
    QCOMPARE(d.largest, 0.0);
    const std::vector<float> zeros(100);
    const Distortion nothing = distortion(zeros.data(), zeros.data(), nullptr, 100);
    QCOMPARE(nothing.relative(), 0.0);
    QCOMPARE(nothing.cosine(), 1.0);
    QCOMPARE(nothing.rho(), 0.0);
}

void TestDistortion::knowsWhatIsAllWrong()
{
    const std::vector<float> zeros(64), ones(64, 1.0F);
    QCOMPARE(distortion(ones.data(), zeros.data(), nullptr, 64).relative(), 1.0);
    QCOMPARE(distortion(ones.data(), zeros.data(), nullptr, 64).cosine(), 0.0);
    QVERIFY(std::isinf(distortion(zeros.data(), ones.data(), nullptr, 64).relative()));
    QCOMPARE(distortion(zeros.data(), ones.data(), nullptr, 64).sqnr(), -std::numeric_limits<double>::infinity());
}

void TestDistortion::mergesParts()
{
    const auto w = modelmaker::normalWeights(1024, 5), q = modelmaker::normalWeights(1024, 6);
    Distortion parts = distortion(w.data(), q.data(), nullptr, 512);
    parts.merge(distortion(w.data() + 512, q.data() + 512, nullptr, 512));
    const Distortion whole = distortion(w.data(), q.data(), nullptr, 1024);
    QCOMPARE(parts.errorSquares, whole.errorSquares);
    QCOMPARE(parts.largest, whole.largest);
    QCOMPARE(parts.count, whole.count);
}

void TestDistortion::isTheSameForAnyNumberOfThreads()
{
    Model model;
    const auto w = modelmaker::normalWeights(600 * 512, 7);
    modelmaker::add(model, "a", {600, 512}, w);
    modelmaker::add(model, "b", {600, 512}, w, "Q4_0");
    NoProgress progress;
    std::vector<double> errors;
    for (const int threads : {1, 2, 7}) {
        setThreads(threads);
        errors.push_back(distortion(model.tensors[0], model.tensors[1], {}, progress).errorSquares);
    }
    setThreads(0);
    QCOMPARE(errors[1], errors[0]);
    QCOMPARE(errors[2], errors[0]);
    QVERIFY(errors[0] > 0);
}

void TestDistortion::weighsExpertsByTheirOwnInputs()
{
    Model model;
    modelmaker::add(model, "w", {2, 3, 4}, std::vector<float>(24, 1.0F));
    std::vector<float> off(24, 1.0F);
    off[0] = 2;  // first expert
    off[23] = 3; // second
    modelmaker::add(model, "q", {2, 3, 4}, off);
    NoProgress progress;
    const std::vector<float> h {10, 1, 1, 1, 1, 1, 1, 100};
    QCOMPARE(distortion(model.tensors[0], model.tensors[1], h, progress).outputError, 10.0 * 1 + 100.0 * 4);
    const std::vector<float> shared {10, 1, 1, 100};
    QCOMPARE(distortion(model.tensors[0], model.tensors[1], shared, progress).outputError, 10.0 * 1 + 100.0 * 4);
}

void TestDistortion::refusesOtherShapes()
{
    Model model;
    modelmaker::add(model, "w", {4, 8}, std::vector<float>(32));
    modelmaker::add(model, "q", {8, 4}, std::vector<float>(32));
    NoProgress progress;
    QVERIFY_EXCEPTION_THROWN(distortion(model.tensors[0], model.tensors[1], {}, progress), Error);
}

QTEST_GUILESS_MAIN(TestDistortion)
#include "tst_distortion.moc"
