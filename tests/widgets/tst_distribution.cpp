// The distribution: no weight is ever hidden, tails and levels are shown.
#include "core/rebin.h"
#include "tests/strict.h"
#include "tests/widgets/samplesession.h"
#include "widgets/viewframe.h"
#include "widgets/views/distributionplot.h"
#include "widgets/views/numberspanel.h"

#include <QComboBox>
#include <QSignalSpy>
#include <QSpinBox>
#include <QToolButton>

#include <numeric>

using namespace samplesession;

namespace {

constexpr long kRows = 64, kCols = 512;

std::shared_ptr<quern::Model> tailedModel()
{
    auto model = emptyModel();
    auto weights = modelmaker::normalWeights(static_cast<std::size_t>(kRows * kCols), 1);
    for (const std::size_t i : {100U, 5000U, 9000U})
        weights[i] = 0.9F; // far to the right
    modelmaker::add(*model, "blk.0.ffn_down.weight", {kRows, kCols}, weights);
    return model;
}

struct Shown {
    Session session;
    std::unique_ptr<QWidget> view;
    DistributionPlot* plot;

    explicit Shown(const std::shared_ptr<quern::Model>& model, const char* format = "Q4_0")
    {
        session.setModel(model);
        session.setRecipe(recipe(format));
        session.select(0);
        measureAll(session);
        view.reset(samplesession::view("distribution").create(&session, nullptr));
        view->resize(900, 420);
        view->show();
        plot = view->findChild<DistributionPlot*>();
        settle(20);
    }
    const QToolButton* tail(bool right) const
    {
        const auto buttons = view->findChildren<QToolButton*>();
        for (const QToolButton* button : buttons)
            if (button->text().contains(right ? QChar(0x25B6) : QChar(0x25C0)))
                return button;
        return nullptr;
    }
    // Weights in the bins drawn, by the plot's own table.
    double inTable(int column) const
    {
        const PlotTable table = plot->table()();
        double sum = 0;
        for (long row = 0; row < table.rows; ++row)
            sum += table.value(row, column).toDouble();
        return sum;
    }
    bool legendSays(const QString& text) const
    {
        return QTest::qWaitFor(
            [&] {
                for (int i = 0; i < plot->legend->itemCount(); ++i)
                    if (auto* item = qobject_cast<QCPPlottableLegendItem*>(plot->legend->item(i)))
                        if (item->plottable()->name().contains(text))
                            return true;
                return false;
            },
            20000);
    }
};

} // namespace

class TestDistribution : public QObject {
    Q_OBJECT

private slots:
    void init() { strict::failOnWarnings(); }
    void showsTheCentreAndCountsTheTails()
    {
        Shown shown(tailedModel());
        QVERIFY(shown.plot->xAxis->range().upper < 0.5); // the outliers do not flatten the view
        QVERIFY(shown.tail(true)->isVisible());
        QVERIFY(shown.tail(true)->text().contains(QLocale().toString(0.9, 'g', 3)));
        QSignalSpy tails(shown.plot, &DistributionPlot::tailsChanged);
        shown.plot->goHome();
        const double hidden = tails.last()[0].toDouble() + tails.last()[1].toDouble();
        QVERIFY(hidden >= 3);
        QCOMPARE(shown.inTable(2) + hidden, static_cast<double>(kRows * kCols));
    }

    void aClickShowsAll()
    {
        Shown shown(tailedModel());
        QTest::mouseClick(const_cast<QToolButton*>(shown.tail(true)), Qt::LeftButton);
        QVERIFY(shown.plot->xAxis->range().upper >= 0.9);
        QVERIFY(!shown.tail(true)->isVisible());
        QVERIFY(!shown.tail(false)->isVisible());
        QCOMPARE(shown.inTable(2), static_cast<double>(kRows * kCols));
        shown.plot->setFocus();
        QTest::keyClick(shown.plot, Qt::Key_Home);
        QVERIFY(shown.plot->xAxis->range().upper < 0.5);
    }

    void zoomRebinsWhatIsKept()
    {
        Shown shown(tailedModel());
        const auto width = [&] {
            const PlotTable table = shown.plot->table()();
            return table.value(0, 1).toDouble() - table.value(0, 0).toDouble();
        };
        const double before = width();
        shown.plot->xAxis->setRange(-0.005, 0.005);
        QVERIFY(width() < before);
        const auto stats = shown.session.stats(0);
        QVERIFY(width() >= quern::binWidth(stats->centre) * 0.999);
    }

    void logarithmicAndLinearShowOneWeight()
    {
        Shown shown(tailedModel());
        QCOMPARE(shown.plot->yAxis->scaleType(), QCPAxis::stLogarithmic);
        QVERIFY(shown.plot->yAxis->range().lower < 1);
        shown.plot->setLogarithmic(false);
        QCOMPARE(shown.plot->yAxis->scaleType(), QCPAxis::stLinear);
        QCOMPARE(shown.plot->yAxis->range().lower, 0.0);
    }

    void overlaysWhatQuantizationMakes()
    {
        Shown shown(tailedModel());
        QVERIFY(shown.legendSays(QStringLiteral("Q4_0")));
        QCOMPARE(shown.plot->table()().columns.size(), 4);
        shown.plot->showAll();
        // Decoded weights may leave the range of the original ones by half a step.
        QVERIFY(shown.inTable(3) > 0.99 * kRows * kCols && shown.inTable(3) <= kRows * kCols);
    }

    void drawsTheLevelsOfAGroup()
    {
        Shown shown(tailedModel());
        QVERIFY(shown.legendSays(QStringLiteral("columns 0–31")));
        const auto boxes = shown.view->findChildren<QSpinBox*>();
        QCOMPARE(boxes.size(), 2);
        QCOMPARE(boxes[0]->maximum(), static_cast<int>(kRows - 1));
        QCOMPARE(boxes[1]->maximum(), static_cast<int>(kCols / 32 - 1));
        boxes[1]->setValue(3);
        QVERIFY(shown.legendSays(QStringLiteral("columns 96–127")));
        quern::NoProgress quiet;
        const auto expected = quern::groupLevels(shown.session.model()->tensors[0],
                                                 shown.session.plan()->tensors[0].choice, nullptr, 0, 3, quiet);
        QVERIFY(!expected.levels.empty());
        QVector<double> drawn;
        for (int i = 0; i < shown.plot->graphCount(); ++i)
            if (shown.plot->graph(i)->lineStyle() == QCPGraph::lsImpulse)
                for (const QCPGraphData& point : *shown.plot->graph(i)->data())
                    drawn.append(point.key);
        QCOMPARE(drawn, QVector<double>(expected.levels.begin(), expected.levels.end()));
    }

    void panelSaysWhatCoreSays()
    {
        Shown shown(tailedModel());
        QVERIFY(shown.legendSays(QStringLiteral("Q4_0")));
        const auto* panel = shown.view->findChild<NumbersPanel*>();
        QStringList cells;
        for (int row = 0; row < panel->rowCount(); ++row)
            for (int column : {0, 1})
                if (const auto* item = panel->item(row, column))
                    cells.append(item->text());
        QVERIFY(cells.contains(QLocale().toString(kRows * kCols)));
        const auto error = shown.session.error(0);
        QVERIFY(cells.contains(QLocale().toString(error->distortion.relative(), 'g', 3)));
        QVERIFY2(cells.contains(QStringLiteral("Error / step")), qPrintable(cells.join(QLatin1Char(' '))));
    }

    void showsInputsAndOutputs()
    {
        Shown shown(tailedModel());
        auto* choice = shown.view->findChild<QComboBox*>();
        choice->setCurrentIndex(1);
        QVERIFY2(shown.plot->placeholder().contains("Calibrate"), qPrintable(shown.plot->placeholder()));
        auto calibration = std::make_shared<quern::Calibration>();
        quern::InputStats& inputs = calibration->inputs["blk.0.ffn_down.weight"];
        inputs.sumSquares = Eigen::MatrixXd::Constant(1, kCols, 1.0);
        inputs.counts = {5};
        shown.session.setCalibration(std::make_shared<quern::Calibration>(*calibration));
        QVERIFY2(shown.plot->placeholder().contains("sums of squares"), qPrintable(shown.plot->placeholder()));
        inputs.inputs.counts.resize(quern::LogHistogram::kBins);
        for (const float value : modelmaker::normalWeights(10'000, 3, 1.0F))
            ++inputs.inputs.counts[quern::LogHistogram::bin(value)];
        ++inputs.inputs.counts[quern::LogHistogram::bin(500)];
        inputs.outputs.counts.resize(quern::LogHistogram::kBins);
        inputs.outputs.counts[quern::LogHistogram::bin(-2)] = 7;
        shown.session.setCalibration(calibration);
        QVERIFY(shown.legendSays("inputs"));
        QTRY_VERIFY(shown.plot->placeholder().isEmpty() && shown.plot->table()().rows > 0);
        QVERIFY2(shown.plot->accessibleDescription().contains("10,001 values"),
                 qPrintable(shown.plot->accessibleDescription()));
        QVERIFY(shown.plot->xAxis->range().upper < 100); // the tail is counted, not drawn
        shown.plot->showAll();
        QCOMPARE(shown.inTable(2), 10001.0);
        for (const QSpinBox* box : shown.view->findChildren<QSpinBox*>())
            QVERIFY(!box->isVisible());
        choice->setCurrentIndex(2);
        QTRY_VERIFY(shown.plot->accessibleDescription().contains("7 values"));
        QCOMPARE(shown.inTable(2), 7.0);
        choice->setCurrentIndex(0);
        QTRY_VERIFY(shown.plot->accessibleDescription().contains("weights"));
        QCOMPARE(shown.plot->table()().columns[2], QStringLiteral("Weights"));
    }

    void copiesHaveNoAfter()
    {
        Shown shown(tailedModel());
        shown.session.setRecipe({});
        settle();
        QCOMPARE(shown.plot->table()().columns.size(), 3);
        for (const QSpinBox* box : shown.view->findChildren<QSpinBox*>())
            QVERIFY(!box->isEnabled());
    }
};

QTEST_MAIN(TestDistribution)
#include "tst_distribution.moc"
