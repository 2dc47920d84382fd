#include "core/group.h"
#include "core/measure.h"
#include "core/parallel.h"
#include "core/slab.h"
#include "tests/core/modelmaker.h"

#include <QTest>

#include <numeric>

using namespace quern;

namespace {

constexpr long kRows = 24, kCols = 512;

Choice choice(const char* format)
{
    return {.quantizer = findQuantizer("nearest"), .format = findBlockFormat(format), .settings = {}};
}

Model model(std::uint64_t seed = 1)
{
    Model made;
    modelmaker::add(made, "blk.0.ffn_down.weight", {kRows, kCols},
                    modelmaker::normalWeights(static_cast<std::size_t>(kRows * kCols), seed));
    return made;
}

NoProgress quiet;

} // namespace

class TestGroup : public QObject {
    Q_OBJECT

private slots:
    // Every decoded weight of the group must be one of its levels.
    void levelsAreWhatWeightsBecome_data()
    {
        QTest::addColumn<QByteArray>("format");
        QTest::addColumn<int>("levels"); // at most
        for (const auto& [name, levels] : {std::pair("Q8_0", 256),
                                           {"Q4_0", 16},
                                           {"Q4_1", 16},
                                           {"Q5_1", 32},
                                           {"Q4_K", 16},
                                           {"Q6_K", 64},
                                           {"Q3_K", 8},
                                           {"IQ4_NL", 16}})
            if (findBlockFormat(name))
                QTest::newRow(name) << QByteArray(name) << levels;
    }
    void levelsAreWhatWeightsBecome()
    {
        QFETCH(QByteArray, format);
        QFETCH(int, levels);
        const Model made = model();
        const long size = groupSize(*findBlockFormat(format.constData()), kCols);
        for (const long group : {0L, 1L, kCols / size - 1}) {
            const GroupLevels found
                = groupLevels(made.tensors[0], choice(format.constData()), nullptr, 5, group, quiet);
            QCOMPARE(found.first, group * size);
            QCOMPARE(static_cast<long>(found.original.size()), size);
            QVERIFY(found.levels.size() > 2 && static_cast<int>(found.levels.size()) <= levels);
            QVERIFY(std::ranges::is_sorted(found.levels));
            for (const float q : found.decoded)
                QVERIFY2(std::ranges::find(found.levels, q) != found.levels.end(), "a decoded weight is no level");
        }
    }
    void groupsAreWhatSharesAScale()
    {
        for (const auto& [name, size] : {std::pair("Q4_0", 32),
                                         {"Q8_0", 32},
                                         {"Q2_K", 16},
                                         {"Q3_K", 16},
                                         {"Q4_K", 32},
                                         {"Q5_K", 32},
                                         {"Q6_K", 16},
                                         {"IQ4_XS", 32},
                                         {"IQ2_XXS", 32},
                                         {"IQ1_M", 16},
                                         {"NVFP4", 16}})
            QCOMPARE(groupSize(*findBlockFormat(name), kCols), static_cast<long>(size));
    }
    void groupBeyondTheRowIsTheLast()
    {
        const Model made = model();
        const GroupLevels found = groupLevels(made.tensors[0], choice("Q8_0"), nullptr, 0, 1000, quiet);
        QCOMPARE(found.first, kCols - 32);
    }
    // These levels lie absmax / 128 apart, rounded to FP16.
    void stepsAreDistancesOfLevels()
    {
        const Model made = model();
        const Matrix w = decoded(made.tensors[0]);
        const Matrix steps = groupSteps(made.tensors[0], choice("INT8_G32_SYM"), nullptr, quiet);
        QCOMPARE(steps.rows(), kRows);
        QCOMPARE(steps.cols(), kCols / 32);
        for (long row = 0; row < kRows; ++row)
            for (long g = 0; g < steps.cols(); ++g) {
                const float expected = w.row(row).segment(g * 32, 32).cwiseAbs().maxCoeff() / 128.0F;
                QVERIFY(std::abs(steps(row, g) - expected) < expected * 2e-3F);
            }
    }
    void formatsWithoutLevelsHaveNoSteps()
    {
        const Model made = model();
        QCOMPARE(groupSteps(made.tensors[0], choice("F16"), nullptr, quiet).size(), 0);
        QCOMPARE(groupSteps(made.tensors[0], {}, nullptr, quiet).size(), 0);
        QVERIFY(groupLevels(made.tensors[0], {}, nullptr, 0, 0, quiet).levels.empty());
    }
    void sampleCountsEveryWeightOnce()
    {
        const Model made = model();
        const std::array bins {Histogram {.low = -0.04, .high = 0.04, .counts = std::vector<std::uint64_t>(64)}};
        const QuantizedSample sample = quantizedSample(made.tensors[0], choice("Q4_0"), nullptr, bins, 1, quiet);
        QCOMPARE(sample.rows, kRows);
        const Histogram& found = sample.histograms.at(0);
        QVERIFY(found.below > 0 && found.above > 0);
        QCOMPARE(std::accumulate(found.counts.begin(), found.counts.end(), found.below + found.above),
                 static_cast<std::uint64_t>(kRows * kCols));
        const QuantizedSample third = quantizedSample(made.tensors[0], choice("Q4_0"), nullptr, bins, 3, quiet);
        QCOMPARE(third.rows, kRows / 3);
    }
    // A uniform grid whose range holds all weights errs by 1/sqrt(12) of a step; this one meets one weight in 32
    // exactly.
    void errorPerStepOfRounding()
    {
        const Model made = model();
        const auto sample = quantizedSample(made.tensors[0], choice("INT8_G32_SYM"), nullptr, {}, 1, quiet);
        QVERIFY(sample.errorPerStep.has_value());
        QVERIFY2(std::abs(*sample.errorPerStep - std::sqrt(31.0 / 32 / 12)) < 0.005,
                 qPrintable(QString::number(*sample.errorPerStep)));
    }
    void sampleDoesNotDependOnThreads()
    {
        const Model made = model();
        const std::array bins {Histogram {.low = -0.04, .high = 0.04, .counts = std::vector<std::uint64_t>(64)}};
        const int before = threads();
        setThreads(1);
        const auto one = quantizedSample(made.tensors[0], choice("Q4_0"), nullptr, bins, 2, quiet);
        setThreads(4);
        const auto four = quantizedSample(made.tensors[0], choice("Q4_0"), nullptr, bins, 2, quiet);
        setThreads(before);
        QCOMPARE(one.errorPerStep, four.errorPerStep);
        QCOMPARE(one.histograms[0].counts, four.histograms[0].counts);
    }
    void copyDecodesToTheSameAsRows()
    {
        const Model made = model();
        const auto copy = quantizedCopy(made.tensors[0], choice("Q4_0"), nullptr, quiet);
        const QuantizedRows rows = quantizedRows(made.tensors[0], choice("Q4_0"), nullptr, 0, kRows, quiet);
        QVERIFY(decoded(copy->tensor) == rows.decoded);
        const auto kept = quantizedCopy(made.tensors[0], {}, nullptr, quiet);
        QVERIFY(decoded(kept->tensor) == decoded(made.tensors[0]));
    }
    void emptyTensorsAreNoTrouble()
    {
        Model made;
        modelmaker::add(made, "empty", {0, 32}, {});
        QCOMPARE(quantizedSample(made.tensors[0], choice("Q4_0"), nullptr, {}, 1, quiet).rows, 0L);
        QCOMPARE(groupSteps(made.tensors[0], choice("Q4_0"), nullptr, quiet).size(), 0);
        QVERIFY(quantizedCopy(made.tensors[0], choice("Q4_0"), nullptr, quiet)->bytes.empty());
    }
    void measuresSayWhatTheyMeasure()
    {
        const Model made = model();
        TensorStats stats;
        stats.count = 1'000'002;
        stats.nonFinite = 2;
        stats.outliers = 5;
        stats.absMax = 0.4;
        stats.std = 0.02;
        stats.kurtosis = 3;
        Distortion distortion;
        distortion.errorSquares = 1;
        distortion.weightSquares = 100;
        PlannedTensor planned {};
        planned.methodBytes = kRows * kCols / 2;
        planned.storedBytes = 999;
        const Measured known {made.tensors[0], &stats, distortion, &planned};
        const auto value = [&](const char* name) { return findMeasure(name)->value(known).value_or(-1); };
        QCOMPARE(value("relative_error"), 0.1);
        QCOMPARE(value("sqnr"), 20.0);
        QCOMPARE(value("outliers"), 5.0);
        QCOMPARE(value("kurtosis"), 3.0);
        QCOMPARE(value("absmax_std"), 20.0);
        QCOMPARE(value("bits_per_weight"), 4.0);
        QCOMPARE(value("bytes"), 999.0);
        QCOMPARE(value("output_error"), -1.0); // not without calibration
        for (const Measure& measure : measures())
            QVERIFY(!measure.value({made.tensors[0]}).has_value());
        QCOMPARE(findMeasure("no such"), nullptr);
    }
};

QTEST_GUILESS_MAIN(TestGroup)
#include "tst_group.moc"
