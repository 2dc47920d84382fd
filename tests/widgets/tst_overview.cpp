// The overview: every tensor in its place, its colour by the measure, its keys and clicks.
#include "core/measure.h"
#include "tests/strict.h"
#include "tests/widgets/samplesession.h"
#include "widgets/colours.h"
#include "widgets/views/overviewplot.h"
#include "widgets/views/overviewtext.h"

#include <QCheckBox>
#include <QComboBox>
#include <QSignalSpy>

#include <set>

using namespace samplesession;

namespace {

struct Shown {
    Session session;
    std::unique_ptr<QWidget> view;
    OverviewPlot* plot;

    explicit Shown(std::shared_ptr<quern::Model> model)
    {
        session.setModel(std::move(model));
        session.setRecipe(recipe());
        view.reset(samplesession::view("overview").create(&session, nullptr));
        view->resize(700, 420);
        view->show();
        plot = view->findChild<OverviewPlot*>();
        settle(20);
    }

    int cell(const char* name) const { return plot->cells()->layout.cellOf(indexOf(session, name)); }
    QImage picture() const
    {
        plot->replot();
        return plot->grab().toImage();
    }
    QColor colour(const char* name) const
    {
        const QRectF rect = plot->cells()->rectOf(cell(name));
        return picture().pixelColor(rect.topLeft().toPoint() + QPoint(4, 4));
    }
    void click(const QPoint& at) const { QTest::mouseClick(plot, Qt::LeftButton, {}, at); }
    void chooseMeasure(const char* name) const
    {
        for (std::size_t i = 0; i < quern::measures().size(); ++i)
            if (quern::measures()[i].name == name)
                view->findChild<QComboBox*>()->setCurrentIndex(static_cast<int>(i));
    }
};

quern::Model names(const std::vector<std::string>& list)
{
    quern::Model model;
    for (const std::string& name : list)
        model.tensors.push_back(modelmaker::outline(name, {8, 32}));
    return model;
}

// A distortion of this relative error.
Session::Error errorOf(double relative, bool exact = true)
{
    quern::Distortion distortion;
    distortion.errorSquares = relative * relative;
    distortion.weightSquares = 1;
    return {distortion, exact};
}

} // namespace

class TestOverview : public QObject {
    Q_OBJECT

private slots:
    void init() { strict::failOnWarnings(); }
    void placesTensorsByLayerAndKind()
    {
        const auto layout = overviewLayout(*smallModel(3), false);
        QCOMPARE(layout.layers, 3);
        QCOMPARE(layout.kinds,
                 QStringList({"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"}));
        QCOMPARE(layout.others, QStringList({"token_embd", "output"}));
        QCOMPARE(layout.cells.size(), std::size_t {3 * 7 + 2});
        const auto model = smallModel(3);
        for (const auto& cell : layout.cells) {
            const std::string& name = model->tensors[static_cast<std::size_t>(cell.tensor)].name;
            if (quern::layerOf(name) < 0) {
                QVERIFY(cell.column > 3); // a gap between
                continue;
            }
            QCOMPARE(cell.column, quern::layerOf(name));
            QCOMPARE(layout.kinds[cell.row].toStdString(), quern::kindOf(name));
        }
        QCOMPARE(overviewLayout(*smallModel(3), true).kinds.size(), 8);
    }

    void placesAnyModel_data()
    {
        QTest::addColumn<int>("layers");
        QTest::addColumn<int>("kinds");
        QTest::addColumn<int>("others");
        QTest::newRow("one layer") << 1 << 1 << 0;
        QTest::newRow("126 layers of 40 kinds") << 126 << 40 << 3;
        QTest::newRow("no layers, few") << 0 << 0 << 5;
        QTest::newRow("no layers, many") << 0 << 0 << 400;
        QTest::newRow("many outside") << 2 << 2 << 60;
        QTest::newRow("nothing") << 0 << 0 << 0;
    }
    void placesAnyModel()
    {
        QFETCH(int, layers);
        QFETCH(int, kinds);
        QFETCH(int, others);
        std::vector<std::string> list;
        for (int l = 0; l < layers; ++l)
            for (int k = 0; k < kinds; ++k)
                list.push_back("blk." + std::to_string(l) + ".kind" + std::to_string(k) + ".weight");
        for (int o = 0; o < others; ++o)
            list.push_back("other" + std::to_string(o));
        const auto layout = overviewLayout(names(list), false);
        QCOMPARE(layout.cells.size(), list.size());
        std::set<std::pair<int, int>> places;
        for (const auto& cell : layout.cells) {
            QVERIFY(cell.column >= 0 && cell.column < layout.columns && cell.row >= 0 && cell.row < layout.rows);
            QVERIFY2(places.emplace(cell.column, cell.row).second, "two tensors in one place");
        }
        if (!layout.cells.empty())
            QCOMPARE(layout.neighbour(0, -1, 0), 0); // the border holds
    }

    void coloursByTheMeasure()
    {
        Shown shown(smallModel());
        shown.session.setError(indexOf(shown.session, "blk.0.attn_q.weight"), errorOf(0.01));
        shown.session.setError(indexOf(shown.session, "blk.1.attn_q.weight"), errorOf(0.1));
        shown.session.setError(indexOf(shown.session, "blk.2.attn_q.weight"), errorOf(1));
        settle(100);
        QCOMPARE(shown.colour("blk.0.attn_q.weight"), colourAt(ColourMap::Cividis, 0));
        QCOMPARE(shown.colour("blk.1.attn_q.weight"), colourAt(ColourMap::Cividis, 0.5)); // logarithmic
        QCOMPARE(shown.colour("blk.2.attn_q.weight"), colourAt(ColourMap::Cividis, 1));
        shown.chooseMeasure("sqnr"); // the worst is bright here too, though its figure is the lowest
        settle(60);
        QCOMPARE(shown.colour("blk.2.attn_q.weight"), colourAt(ColourMap::Cividis, 1));
        // Not measured: neither colour of the map, and no value.
        QVERIFY(!shown.plot->cells()->states[static_cast<std::size_t>(shown.cell("blk.0.ffn_up.weight"))].value);
    }

    void tellsEstimatesFromExactFigures()
    {
        Shown shown(smallModel());
        const int q = indexOf(shown.session, "blk.0.attn_q.weight"), k = indexOf(shown.session, "blk.0.attn_k.weight");
        shown.session.setError(q, errorOf(0.1, true));
        shown.session.setError(k, errorOf(0.1, false));
        settle(100);
        const QImage image = shown.picture();
        const auto corner = [&](const char* name) {
            const QRectF rect = shown.plot->cells()->rectOf(shown.cell(name));
            return image.pixelColor(rect.bottomRight().toPoint() - QPoint(2, 2));
        };
        QVERIFY(corner("blk.0.attn_q.weight") != corner("blk.0.attn_k.weight"));
        const auto& relative = *quern::findMeasure("relative_error");
        QVERIFY(tensorLine(shown.session, relative, k).contains(QLatin1Char('~')));
        QVERIFY(!tensorLine(shown.session, relative, q).contains(QLatin1Char('~')));
    }

    void marksRulesThatOverride()
    {
        quern::Recipe plain = recipe();
        QVERIFY(!overridden(plain, "blk.0.attn_q.weight"));
        plain.rules.push_back({"blk.0.*", plain.rules[0].choice});
        QVERIFY(overridden(plain, "blk.0.attn_q.weight"));
        QVERIFY(!overridden(plain, "blk.1.attn_q.weight"));
        quern::Recipe preset {.name = "p", .preset = quern::findPreset("Q4_K_M"), .rules = {plain.rules[1]}};
        QVERIFY(overridden(preset, "blk.0.attn_q.weight"));
        QVERIFY(!overridden(preset, "blk.1.attn_q.weight"));
    }

    void barSpansWhatIsUsual_data()
    {
        QTest::addColumn<std::vector<double>>("values");
        QTest::addColumn<bool>("logarithmic");
        QTest::addColumn<double>("low");
        QTest::addColumn<double>("high");
        QTest::addColumn<bool>("below");
        QTest::addColumn<bool>("above");
        const std::vector<double> usual {1, 2, 3, 4, 5, 6, 7, 8};
        const auto with = [&](double value) {
            std::vector<double> all = usual;
            all.insert(all.begin(), value);
            return all;
        };
        constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
        QTest::newRow("all of them") << usual << false << 1.0 << 8.0 << false << false;
        QTest::newRow("one far above") << with(1000) << false << 1.0 << 8.0 << false << true;
        QTest::newRow("one far below") << with(-1000) << false << 1.0 << 8.0 << true << false;
        QTest::newRow("far above, logarithmic") << with(1e6) << true << 1.0 << 8.0 << false << true;
        QTest::newRow("zero is below a logarithm") << with(0) << true << 1.0 << 8.0 << true << false;
        QTest::newRow("NaN does not count") << with(kNaN) << false << 1.0 << 8.0 << false << false;
        // Differences of a few hundredths do not get all colours there are.
        const double root = std::sqrt(1.25);
        QTest::newRow("alike") << std::vector<double> {2, 2, 2} << true << 2 / root << 2 * root << false << false;
    }
    void barSpansWhatIsUsual()
    {
        QFETCH(std::vector<double>, values);
        QFETCH(bool, logarithmic);
        const ColourSpan span = colourSpan(values, logarithmic);
        QTEST(span.range.lower, "low");
        QTEST(span.range.upper, "high");
        QTEST(span.below, "below");
        QTEST(span.above, "above");
    }

    void trianglesMarkWhatLiesBeyondTheBar()
    {
        Shown shown(smallModel());
        const auto barIsFramed = [&](bool top) { // the colour above or below the middle of the bar
            const auto* scale = shown.plot->findChild<QCPColorScale*>();
            const QRect bar = scale ? scale->axis()->axisRect()->rect() : QRect();
            const QPoint at(bar.center().x(), top ? bar.top() - 4 : bar.bottom() + 5);
            return shown.picture().pixelColor(at) != shown.plot->palette().color(QPalette::Base);
        };
        measureAll(shown.session);
        settle(100);
        for (int i = 0; i < shown.session.tensorCount(); ++i)
            shown.session.setError(i, errorOf(0.1 + 0.001 * i));
        settle(100);
        QVERIFY(!barIsFramed(true));
        QVERIFY(!barIsFramed(false));
        shown.session.setError(indexOf(shown.session, "blk.1.ffn_up.weight"), errorOf(0.9));
        settle(100);
        QVERIFY(barIsFramed(true));
        QVERIFY(!barIsFramed(false));
    }

    void saysWhyNothingIsKnown()
    {
        Shown shown(smallModel());
        const auto note = [&] {
            for (int i = 0; i < shown.plot->itemCount(); ++i)
                if (const auto* text = qobject_cast<QCPItemText*>(shown.plot->item(i)); text && text->visible())
                    return text->text();
            return QString();
        };
        measureAll(shown.session);
        settle(100);
        QCOMPARE(note(), QString());
        shown.chooseMeasure("output_error"); // no calibration here
        settle(100);
        QVERIFY2(note().contains(QStringLiteral("importance matrix")), qPrintable(note()));
        shown.chooseMeasure("input_outliers");
        settle(100);
        QVERIFY2(note().contains(QStringLiteral("Calibrate")), qPrintable(note()));
        std::vector<std::optional<double>> scores(static_cast<std::size_t>(shown.session.tensorCount()));
        scores[1] = 7;
        shown.session.setInputOutliers(scores);
        QTRY_COMPARE(note(), QString());
        shown.session.setModel(nullptr);
        settle(100);
        QVERIFY(!shown.plot->placeholder().isEmpty());
    }

    void clicksSelect()
    {
        Shown shown(smallModel());
        QSignalSpy layers(&shown.session, &Session::layerChosen), kinds(&shown.session, &Session::kindChosen);
        const QRectF cell = shown.plot->cells()->rectOf(shown.cell("blk.2.ffn_up.weight"));
        shown.click(cell.center().toPoint());
        QCOMPARE(shown.session.selected(), indexOf(shown.session, "blk.2.ffn_up.weight"));
        const QRect inner = shown.plot->axisRect()->rect();
        shown.click(QPoint(static_cast<int>(cell.center().x()), inner.bottom() + 10));
        QCOMPARE(layers.count(), 1);
        QCOMPARE(layers[0][0].toInt(), 2);
        shown.click(QPoint(inner.left() - 10, static_cast<int>(cell.center().y())));
        QCOMPARE(kinds.count(), 1);
        QCOMPARE(kinds[0][0].toString(), QStringLiteral("ffn_up"));
    }

    void keysWalk()
    {
        Shown shown(smallModel());
        const auto at = [&](const char* name) { return shown.session.selected() == indexOf(shown.session, name); };
        shown.session.select(indexOf(shown.session, "blk.0.attn_q.weight"));
        QTest::keyClick(shown.plot, Qt::Key_Right);
        QVERIFY(at("blk.1.attn_q.weight"));
        QTest::keyClick(shown.plot, Qt::Key_Down);
        QVERIFY(at("blk.1.attn_k.weight"));
        QTest::keyClick(shown.plot, Qt::Key_Up);
        QTest::keyClick(shown.plot, Qt::Key_Right);
        QTest::keyClick(shown.plot, Qt::Key_Right); // over the gap
        QVERIFY(at("token_embd.weight"));
        QSignalSpy opened(&shown.session, &Session::opened);
        QTest::keyClick(shown.plot, Qt::Key_Return);
        QCOMPARE(opened.count(), 1);
        QCOMPARE(opened[0][0].toInt(), shown.session.selected());
    }

    void bracketsGoFromWorstToBest()
    {
        Shown shown(smallModel());
        for (const auto& [name, error] :
             {std::pair("blk.0.attn_q.weight", 0.1), {"blk.1.ffn_up.weight", 0.9}, {"blk.2.attn_v.weight", 0.5}})
            shown.session.setError(indexOf(shown.session, name), errorOf(error));
        settle(100);
        QStringList order;
        for (int i = 0; i < 3; ++i) {
            QTest::keyClick(shown.plot, Qt::Key_BracketRight);
            order.append(QString::fromStdString(
                shown.session.model()->tensors[static_cast<std::size_t>(shown.session.selected())].name));
        }
        QCOMPARE(order, QStringList({"blk.1.ffn_up.weight", "blk.2.attn_v.weight", "blk.0.attn_q.weight"}));
        QTest::keyClick(shown.plot, Qt::Key_BracketLeft);
        QCOMPARE(shown.session.selected(), indexOf(shown.session, "blk.2.attn_v.weight"));
    }

    void listsEveryMeasureOfATensor()
    {
        Shown shown(smallModel());
        measureAll(shown.session);
        const QString tip = tensorTooltip(shown.session, 1);
        for (const quern::Measure& measure : quern::measures())
            QVERIFY(tip.contains(measureText(measure)));
        const PlotTable table = overviewTable(shown.session, shown.plot->cells()->layout);
        QCOMPARE(table.rows, static_cast<long>(shown.plot->cells()->layout.cells.size()));
        QCOMPARE(table.columns.size(), static_cast<qsizetype>(quern::measures().size()) + 4);
    }
};

QTEST_MAIN(TestOverview)
#include "tst_overview.moc"
