// What is made of second moments is made once.
#include "core/curvatures.h"
#include "core/group.h"
#include "core/parallel.h"
#include "tests/core/moments.h"

#include <QTest>

using namespace quern;

namespace {

constexpr long kCols = 256;
const std::uint64_t kPart = WalkMatrix::bytes(kCols); // moments, or a factor

InputStats inputs(unsigned seed)
{
    const Matrix& h = moments::of(kCols, 2 * kCols, seed);
    InputStats stats {.sumSquares = h.diagonal().transpose().cast<double>(), .counts = {1}};
    stats.hessians = {std::make_shared<const Hessian>(moments::hessian(h))};
    return stats;
}

Choice to(const char* method, const char* format = "Q4_K", Settings settings = {})
{
    return {findQuantizer(method), findBlockFormat(std::string_view(format)), std::move(settings)};
}

std::shared_ptr<const Curvature> ask(Curvatures& curvatures, const Choice& choice, const InputStats& stats)
{
    NoProgress progress;
    return curvatures.of(choice, &stats, 0, progress);
}

// Counts the steps of making factors.
class Counting final : public Progress {
public:
    void report(double, std::string_view text) override { steps += text == "factor"; }
    bool cancelled() const override { return false; }
    std::atomic<int> steps = 0;
};

} // namespace

class TestCurvatures : public QObject {
    Q_OBJECT

private slots:
    void shareWhatDoesNotDependOnTheChoice();
    void keepNoMoreThanTold();
    void keepTheLastWhateverItTakes();
    void forgetWhatNobodyKnowsAnyMore();
    void serveManyThreads();
    void arePassedOnByPreviews();
};

void TestCurvatures::shareWhatDoesNotDependOnTheChoice()
{
    Curvatures curvatures(100 * kPart);
    const InputStats stats = inputs(1), others = inputs(2);
    const auto feedback = [&](const Choice& choice) { return ask(curvatures, choice, stats)->feedback; };
    const auto first = feedback(to("gptq"));
    QVERIFY(first);
    QVERIFY(!ask(curvatures, to("gptq"), stats)->moments);
    QCOMPARE(feedback(to("gptq")), first);
    QCOMPARE(feedback(to("gptq+descent", "Q3_K", {{"passes", 9}})), first);
    QVERIFY(feedback(to("gptq", "Q4_K", {{"damping", 0.02}})) != first);
    QVERIFY(feedback(to("gptq", "Q4_0")) != first); // other blocks, in another order
    QVERIFY(ask(curvatures, to("gptq"), others)->feedback != first);
    const auto natural = feedback(to("gptq", "Q4_K", {{"ordering", 0}}));
    QVERIFY(natural != first);
    QCOMPARE(feedback(to("gptq", "Q4_0", {{"ordering", 0}})), natural);
    const auto columns = feedback(to("gptq", "Q4_K", {{"ordering", 2}}));
    QCOMPARE(feedback(to("gptq", "INT4_ROW_SYM", {{"ordering", 2}})), columns);
    QCOMPARE(ask(curvatures, to("descent"), stats)->moments,
             ask(curvatures, to("gptq+descent", "Q4_0"), stats)->moments);
    QVERIFY(!ask(curvatures, to("descent"), stats)->feedback);
    QVERIFY(!ask(curvatures, to("nearest"), stats));
    QVERIFY(!ask(curvatures, to("gptq"), {}));
    QCOMPARE(curvatures.bytes(), 7 * kPart);
}

void TestCurvatures::keepNoMoreThanTold()
{
    Curvatures curvatures(3 * kPart);
    std::vector<InputStats> all;
    for (unsigned seed = 1; seed <= 4; ++seed)
        all.push_back(inputs(seed));
    std::vector<std::shared_ptr<const Feedback>> made;
    for (std::size_t i = 0; i < 3; ++i)
        made.push_back(ask(curvatures, to("gptq"), all[i])->feedback);
    QCOMPARE(ask(curvatures, to("gptq"), all[0])->feedback, made[0]); // so that the second is the longest unused
    ask(curvatures, to("gptq"), all[3]);
    QCOMPARE(curvatures.bytes(), 3 * kPart);
    QCOMPARE(ask(curvatures, to("gptq"), all[0])->feedback, made[0]);
    QCOMPARE(ask(curvatures, to("gptq"), all[2])->feedback, made[2]);
    QVERIFY(ask(curvatures, to("gptq"), all[1])->feedback != made[1]);
    QCOMPARE(curvatures.bytes(), 3 * kPart);
}

void TestCurvatures::keepTheLastWhateverItTakes()
{
    Curvatures curvatures;
    const InputStats stats = inputs(1), others = inputs(2);
    const auto first = ask(curvatures, to("gptq+descent"), stats);
    QCOMPARE(curvatures.bytes(), 2 * kPart);
    const auto again = ask(curvatures, to("gptq+descent"), stats);
    QCOMPARE(again->moments, first->moments);
    QCOMPARE(again->feedback, first->feedback);
    const std::weak_ptr<const Feedback> old = first->feedback;
    QVERIFY(ask(curvatures, to("gptq+descent"), others)->feedback != first->feedback);
    QCOMPARE(curvatures.bytes(), 2 * kPart);
    // The moments that are there are not dropped for the factor that is asked for beside them.
    const auto moments = ask(curvatures, to("descent"), stats)->moments;
    QCOMPARE(curvatures.bytes(), kPart);
    QCOMPARE(ask(curvatures, to("gptq+descent"), stats)->moments, moments);
}

void TestCurvatures::forgetWhatNobodyKnowsAnyMore()
{
    Curvatures curvatures(100 * kPart);
    {
        const InputStats stats = inputs(1);
        ask(curvatures, to("gptq+descent"), stats);
    }
    const InputStats others = inputs(2);
    ask(curvatures, to("gptq"), others);
    QCOMPARE(curvatures.bytes(), kPart);
}

void TestCurvatures::serveManyThreads()
{
    const std::vector<InputStats> all {inputs(1), inputs(2), inputs(3)};
    Curvatures curvatures(2 * kPart);
    std::vector<float> expected;
    for (const InputStats& stats : all) {
        Curvatures alone;
        expected.push_back(ask(alone, to("gptq"), stats)->feedback->unit.near(3, 7));
    }
    std::atomic<int> wrong = 0;
    NoProgress progress;
    setThreads(7);
    parallelFor(60, progress, [&](long i) {
        const auto which = static_cast<std::size_t>(i % 3);
        const auto got = ask(curvatures, to(i % 2 == 0 ? "gptq" : "gptq+descent"), all[which]);
        wrong += got->feedback->unit.near(3, 7) != expected[which] || (i % 2 == 1) != (got->moments != nullptr);
    });
    setThreads(0);
    QCOMPARE(wrong.load(), 0);
}

// One tensor, looked at again and again while settings change that the factor does not depend on.
void TestCurvatures::arePassedOnByPreviews()
{
    Model model;
    const Tensor& tensor
        = modelmaker::add(model, "w.weight", {40, kCols}, modelmaker::normalWeights(40 * kCols, 1), "F32");
    const InputStats stats = inputs(1);
    Curvatures curvatures(100 * kPart);
    const KnownInputs kept(&stats, &curvatures);
    const Choice choice = to("gptq+descent");
    Counting progress;
    const Distortion first = preview(tensor, choice, kept, 1, progress);
    const int once = progress.steps;
    QVERIFY(once > 0);
    QCOMPARE(preview(tensor, choice, kept, 1, progress).errorSquares, first.errorSquares);
    preview(tensor, to("gptq+descent", "Q3_K", {{"passes", 1}}), kept, 4, progress);
    quantizedRows(tensor, choice, kept, 3, 5, progress);
    groupLevels(tensor, choice, kept, 3, 1, progress);
    groupSteps(tensor, choice, kept, progress);
    quantizedSample(tensor, choice, kept, {}, 2, progress);
    quantizedCopy(tensor, choice, kept, progress);
    QCOMPARE(progress.steps.load(), once);
    QCOMPARE(preview(tensor, choice, &stats, 1, progress).errorSquares, first.errorSquares);
    QCOMPARE(progress.steps.load(), 2 * once);
}

QTEST_GUILESS_MAIN(TestCurvatures)
#include "tst_curvatures.moc"
