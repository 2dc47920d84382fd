#include "core/prediction.h"

#include "core/chunks.h"
#include "core/error.h"
#include "core/modelmaker.h"

#include <QTest>

#include <cmath>
#include <numeric>

using namespace quern;

namespace {

std::vector<float> shifted(std::vector<float> logits, float by)
{
    for (float& x : logits)
        x += by;
    return logits;
}

std::vector<double> probabilities(const std::vector<float>& logits)
{
    std::vector<double> p;
    p.reserve(logits.size());
    for (const float x : logits)
        p.push_back(std::exp(static_cast<double>(x)));
    const double sum = std::accumulate(p.begin(), p.end(), 0.0);
    for (double& x : p)
        x /= sum;
    return p;
}

double divergence(const std::vector<double>& p, const std::vector<double>& q)
{
    double sum = 0;
    for (std::size_t i = 0; i < p.size(); ++i)
        sum += p[i] * std::log(p[i] / q[i]);
    return sum;
}

} // namespace

class TestPrediction : public QObject {
    Q_OBJECT

private slots:
    void scoresAsOnPaper();
    void agreesWithBruteForce_data();
    void agreesWithBruteForce();
    void doesNotCareForAnOffset();
    void findsNoDivergenceFromItself();
    void storesWithin16Bits();
    void cutsOffTheUnlikely();
    void storesEvenTies();
    void summarisesAsOnPaper();
    void summarisesNothing();
    void interpolatesQuantiles();
    void countsByDecades();
    void carriesErrorsThroughExp();
    void cutsTextsIntoChunks();
    void refusesShortTexts();
};

void TestPrediction::scoresAsOnPaper()
{
    // p = 1/2, 1/4, 1/4; q = 1/4, 1/4, 1/2: KL = 1/2 ln 2 - 1/4 ln 2
    const auto ln = [](double x) { return static_cast<float>(std::log(x)); };
    const std::vector<float> reference {ln(2), 0, 0}, candidate {0, 0, ln(2)};
    const Prediction p = predicted(candidate, reference, 0);
    QVERIFY(std::abs(p.nll - std::log(4.0)) < 1e-6);
    QVERIFY(std::abs(p.referenceNll - std::log(2.0)) < 1e-6);
    QVERIFY(std::abs(p.divergence - 0.25 * std::log(2.0)) < 1e-6);
    QVERIFY(!p.sameTop);
    QVERIFY(predicted(reference, reference, 0).sameTop);
    QVERIFY(std::abs(predicted(candidate, 2).nll - std::log(2.0)) < 1e-6);
}

void TestPrediction::agreesWithBruteForce_data()
{
    QTest::addColumn<int>("vocabulary");
    QTest::addColumn<float>("spread");
    QTest::addColumn<float>("difference");
    QTest::newRow("small") << 7 << 1.0f << 0.5f;
    QTest::newRow("even") << 1024 << 0.01f << 0.01f;
    QTest::newRow("peaked") << 5000 << 10.0f << 0.1f;
    QTest::newRow("more than one part") << 150001 << 3.0f << 0.01f;
}

void TestPrediction::agreesWithBruteForce()
{
    QFETCH(int, vocabulary);
    QFETCH(float, spread);
    QFETCH(float, difference);
    std::vector<float> reference = modelmaker::normalWeights(vocabulary, 1), candidate;
    const std::vector<float> noise = modelmaker::normalWeights(vocabulary, 2);
    const float scale = spread / *std::ranges::max_element(reference);
    for (std::size_t i = 0; i < reference.size(); ++i) {
        reference[i] *= scale;
        candidate.push_back(reference[i] + difference * noise[i]);
    }
    const auto p = probabilities(reference), q = probabilities(candidate);
    const double expected = divergence(p, q);
    for (const int next : {0, vocabulary / 2, vocabulary - 1}) {
        const Prediction found = predicted(candidate, reference, next);
        const auto i = static_cast<std::size_t>(next);
        QVERIFY2(std::abs(found.divergence - expected) < 1e-13 + 1e-10 * expected,
                 qPrintable(QString("%1 %2").arg(found.divergence).arg(expected)));
        QVERIFY(std::abs(found.nll + std::log(q[i])) < 1e-12);
        QVERIFY(std::abs(found.referenceNll + std::log(p[i])) < 1e-12);
        QCOMPARE(found.sameTop, std::ranges::max_element(p) - p.begin() == std::ranges::max_element(q) - q.begin());
    }
}

void TestPrediction::doesNotCareForAnOffset()
{
    const std::vector<float> a = modelmaker::normalWeights(300, 1), b = modelmaker::normalWeights(300, 2);
    const Prediction plain = predicted(a, b, 5), offset = predicted(shifted(a, 64), shifted(b, -64), 5);
    QVERIFY(std::abs(plain.divergence - offset.divergence) < 1e-5);
    QVERIFY(std::abs(plain.nll - offset.nll) < 1e-5);
}

void TestPrediction::findsNoDivergenceFromItself()
{
    const std::vector<float> a = modelmaker::normalWeights(4096, 1);
    QCOMPARE(predicted(a, a, 1).divergence, 0.0);
}

void TestPrediction::storesWithin16Bits()
{
    std::vector<float> logits = modelmaker::normalWeights(2001, 1);
    for (float& x : logits)
        x *= 40.0f; // a range of about 10
    std::vector<std::uint16_t> codes(logits.size());
    const StoredDistribution kept = stored(logits, codes);
    const auto p = probabilities(logits);
    for (std::size_t i = 0; i < logits.size(); ++i) {
        const double ln = static_cast<double>(kept.scale) * codes[i] + static_cast<double>(kept.lowest);
        QVERIFY(std::abs(ln - std::log(p[i])) < static_cast<double>(kept.scale) * 0.51 + 1e-5);
    }
    const Prediction found = predicted(logits, kept, 3);
    QVERIFY(std::abs(found.divergence) < 1e-5);
    QVERIFY(std::abs(found.nll - found.referenceNll) < 2e-4);
    QVERIFY(found.sameTop);
}

void TestPrediction::cutsOffTheUnlikely()
{
    const std::vector<float> logits {0, -16, -17, -100};
    std::vector<std::uint16_t> codes(4);
    const StoredDistribution kept = stored(logits, codes);
    QCOMPARE(codes, (std::vector<std::uint16_t> {65535, 0, 0, 0}));
    QVERIFY(std::abs(kept.lowest + 16.0f) < 1e-5f);
}

void TestPrediction::storesEvenTies()
{
    const std::vector<float> logits(5, 2.0f);
    std::vector<std::uint16_t> codes(5, 1);
    const StoredDistribution kept = stored(logits, codes);
    QCOMPARE(kept.scale, 0.0f);
    QVERIFY(std::abs(kept.lowest + std::log(5.0f)) < 1e-6f);
    QCOMPARE(codes, std::vector<std::uint16_t>(5, 0));
}

void TestPrediction::summarisesAsOnPaper()
{
    const std::vector<Prediction> predictions {{.nll = 1, .referenceNll = 0.5, .divergence = 0.2, .sameTop = true},
                                               {.nll = 3, .referenceNll = 3, .divergence = 0.1, .sameTop = false},
                                               {.nll = 2, .referenceNll = 2.5, .divergence = 0.6, .sameTop = true}};
    const PredictionSummary all = summary(predictions, true);
    QCOMPARE(all.tokens, 3L);
    QCOMPARE(all.lnPerplexity.value, 2.0);
    QCOMPARE(all.lnPerplexity.error, std::sqrt(2.0 / 3.0 / 2.0));
    QCOMPARE(all.perplexity, std::exp(2.0));
    QCOMPARE(all.referencePerplexity, std::exp(2.0));
    QCOMPARE(all.lnRatio.value, 0.0);
    QVERIFY(std::abs(all.lnRatio.error - std::sqrt(0.5 / 3.0 / 2.0)) < 1e-15);
    QCOMPARE(all.divergence.value, 0.9 / 3);
    QCOMPARE(all.divergences, (std::vector<double> {0.1, 0.2, 0.6}));
    QCOMPARE(all.sameTop.value, 2.0 / 3);
    // covariance of (1, 3, 2) and (0.5, 3, 2.5): 2.5 / 3; variances 2 / 3 and 3.5 / 3
    QVERIFY(std::abs(all.correlation - 2.5 / std::sqrt(2 * 3.5)) < 1e-12);
    const double first = std::exp(-1.0) - std::exp(-0.5), last = std::exp(-2.0) - std::exp(-2.5);
    QCOMPARE(all.changes, (std::vector<double> {first, 0, last}));
    QVERIFY(std::abs(all.changeRms - std::sqrt((first * first + last * last) / 3)) < 1e-15);
    QVERIFY(summary(predictions, false).divergences.empty());
}

void TestPrediction::summarisesNothing()
{
    QCOMPARE(summary({}, true).tokens, 0L);
    const Prediction one {.nll = 1, .referenceNll = 1};
    QCOMPARE(summary({&one, 1}, true).lnPerplexity.error, 0.0);
}

void TestPrediction::interpolatesQuantiles()
{
    const std::vector<double> values {1, 2, 4, 8, 16};
    QCOMPARE(quantile(values, 0), 1.0);
    QCOMPARE(quantile(values, 0.5), 4.0);
    QCOMPARE(quantile(values, 0.9), 8 + 0.6 * 8);
    QCOMPARE(quantile(values, 1), 16.0);
    QCOMPARE(quantile({}, 0.5), 0.0);
}

void TestPrediction::countsByDecades()
{
    const std::vector<double> values {-1e-17, 0, 1e-12, 0.002, 0.003, 0.5, 0.9};
    const Histogram h = decades(values, 1e-9, 2);
    QCOMPARE(h.low, -3.0);
    QCOMPARE(h.high, 0.0);
    QCOMPARE(h.below, 3U);
    QCOMPARE(h.above, 0U);
    // Edges at 0.001, 0.0032, 0.01, 0.032, 0.1, 0.32, 1.
    QCOMPARE(h.counts, (std::vector<std::uint64_t> {2, 0, 0, 0, 0, 2}));
    QVERIFY(decades(std::vector<double> {0, 1e-10}, 1e-9, 2).counts.empty());
    QCOMPARE(decades(std::vector<double> {1, 1}, 1e-9, 4).counts, (std::vector<std::uint64_t> {2})); // an edge itself
}

void TestPrediction::carriesErrorsThroughExp()
{
    const Mean x = exponential({std::log(3.0), 0.01});
    QVERIFY(std::abs(x.value - 3) < 1e-12 && std::abs(x.error - 0.03) < 1e-12);
}

void TestPrediction::cutsTextsIntoChunks()
{
    std::vector<int> tokens(23);
    std::iota(tokens.begin(), tokens.end(), 100);
    const Chunks all = inChunks(tokens, 10, 0, 7);
    QCOMPARE(all.count(), 2L);
    QCOMPARE(all.tokens[0], 7);
    QCOMPARE(all.tokens[1], 101);
    QCOMPARE(all.chunk(1)[0], 7);
    QCOMPARE(all.chunk(1)[9], 119);
    QCOMPARE(all.firstScored(), 5L);
    QCOMPARE(all.scored(), 4L); // of tokens 6 to 9
    QCOMPARE(inChunks(tokens, 10, 1, {}).tokens, std::vector<int>(tokens.begin(), tokens.begin() + 10));
}

void TestPrediction::refusesShortTexts()
{
    const std::vector<int> tokens(9);
    QVERIFY_THROWS_EXCEPTION(Error, inChunks(tokens, 10, 0, {}));
    QVERIFY_THROWS_EXCEPTION(Error, inChunks(tokens, 3, 0, {}));
}

QTEST_GUILESS_MAIN(TestPrediction)
#include "tst_prediction.moc"
