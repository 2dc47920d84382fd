// The matrix view: nothing large disappears, whatever the zoom.
#include "tests/strict.h"
#include "tests/widgets/samplesession.h"
#include "widgets/colours.h"
#include "widgets/text.h"
#include "widgets/viewframe.h"
#include "widgets/views/matrixlayers.h"
#include "widgets/views/matrixplot.h"

#include <QComboBox>

#include <cmath>

using namespace samplesession;

namespace {

constexpr long kRows = 600, kCols = 1408;

// Small weights and one large, in the middle of nowhere.
std::shared_ptr<quern::Model> modelWithOutlier()
{
    static std::shared_ptr<quern::Model> model;
    if (model)
        return model;
    model = emptyModel();
    auto weights = modelmaker::normalWeights(static_cast<std::size_t>(kRows * kCols), 1, 0.01F);
    weights[static_cast<std::size_t>(301 * kCols + 803)] = 5;
    modelmaker::add(*model, "blk.0.ffn_down.weight", {kRows, kCols}, weights, "BF16");
    return model;
}

struct Shown {
    Session session;
    std::unique_ptr<QWidget> view;
    MatrixPlot* plot = nullptr;

    explicit Shown(std::shared_ptr<quern::Model> model)
    {
        session.setModel(std::move(model));
        session.setRecipe(recipe("Q4_0"));
        session.select(0);
        view.reset(samplesession::view("matrix").create(&session, nullptr));
        view->resize(600, 450);
        view->show();
        plot = view->findChild<MatrixPlot*>();
    }

    QCPItemText* note() const
    {
        for (int i = 0; i < plot->itemCount(); ++i)
            if (auto* text = qobject_cast<QCPItemText*>(plot->item(i)))
                return text;
        return nullptr;
    }
    bool ready() const
    {
        return QTest::qWaitFor([this] { return !note()->visible(); }, 20000);
    }
    QImage picture() const
    {
        plot->replot();
        return plot->grab().toImage();
    }
};

// Pixels of a colour within the axes.
int pixels(const QImage& image, const QRect& area, const QColor& colour)
{
    int n = 0;
    for (int y = area.top() + 1; y < area.bottom(); ++y)
        for (int x = area.left() + 1; x < area.right(); ++x)
            n += image.pixelColor(x, y) == colour;
    return n;
}

} // namespace

class TestMatrix : public QObject {
    Q_OBJECT

private slots:
    void init() { strict::failOnWarnings(); }
    void outlierIsVisibleAtAnyZoom_data()
    {
        QTest::addColumn<double>("share"); // of the matrix that is shown
        QTest::newRow("all of it") << 1.0;
        QTest::newRow("a third") << 0.33;
        QTest::newRow("a twentieth") << 0.05;
        QTest::newRow("closest") << 0.01;
    }
    void outlierIsVisibleAtAnyZoom()
    {
        QFETCH(double, share);
        Shown shown(modelWithOutlier());
        QVERIFY(shown.ready());
        if (share < 1) {
            shown.plot->xAxis->setRange(803.5 - share * kCols / 2, 803.5 + share * kCols / 2);
            shown.plot->yAxis->setRange(301.5 - share * kRows / 2, 301.5 + share * kRows / 2);
        }
        const QColor brightest = colourAt(ColourMap::Cividis, 1);
        const QRect area = shown.plot->axisRect()->rect();
        const QImage image = shown.picture();
        const int bright = pixels(image, area, brightest);
        QVERIFY2(bright >= 1, "the outlier has disappeared");
        QVERIFY2(bright < area.width() * area.height() / 50, "everything is bright");
        const QPointF at(shown.plot->xAxis->coordToPixel(803.5), shown.plot->yAxis->coordToPixel(301.5));
        int near = 0;
        for (int dy = -2; dy <= 2; ++dy)
            for (int dx = -2; dx <= 2; ++dx)
                near += image.pixelColor(at.toPoint() + QPoint(dx, dy)) == brightest;
        QVERIFY2(near >= 1, "something else is bright");
    }

    void sentenceCountsTheWeightsOfAPixel()
    {
        Shown shown(modelWithOutlier());
        QVERIFY(shown.ready());
        const auto* frame = qobject_cast<ViewFrame*>(shown.view.get());
        QStringList said;
        for (const QSize size : {QSize(600, 450), QSize(1100, 700)}) {
            shown.view->resize(size);
            settle(50);
            const QRect area = shown.plot->axisRect()->rect();
            const QString columns = figure(static_cast<double>(kCols) / area.width(), 2);
            QVERIFY2(frame->status().contains(QStringLiteral("× %1 weights").arg(columns)),
                     qPrintable(frame->status()));
            said.append(frame->status());
        }
        QVERIFY(said[0] != said[1]);
        shown.plot->xAxis->setRange(800, 810);
        shown.plot->yAxis->setRange(300, 310);
        settle(50);
        QVERIFY2(frame->status().contains(QStringLiteral("each weight = ")), qPrintable(frame->status()));
    }

    void ticksAreWholeNumbersInTheMiddleOfTheirCells()
    {
        Shown shown(modelWithOutlier());
        QVERIFY(shown.ready());
        shown.plot->xAxis->setRange(63, 77);
        shown.plot->replot();
        QVERIFY(!shown.plot->xAxis->tickVector().isEmpty());
        for (const double tick : shown.plot->xAxis->tickVector())
            QCOMPARE(tick - std::floor(tick), 0.5);
        for (const QString& label : shown.plot->xAxis->tickVectorLabels())
            QVERIFY2(!label.contains(u'.'), qPrintable(label));
    }

    void notANumberIsMagenta()
    {
        auto model = emptyModel();
        std::vector<float> weights(64 * 64, 0.5F);
        weights[64 * 10 + 20] = std::numeric_limits<float>::quiet_NaN();
        modelmaker::add(*model, "w", {64, 64}, weights);
        Shown shown(model);
        QVERIFY(shown.ready());
        QVERIFY(pixels(shown.picture(), shown.plot->axisRect()->rect(), notANumberColour()) > 10);
    }

    void rowZeroIsAtTheTop()
    {
        auto model = emptyModel();
        std::vector<float> weights(64 * 64, 1e-3F);
        std::fill_n(weights.begin(), 8 * 64, 1.0F);
        modelmaker::add(*model, "w", {64, 64}, weights);
        Shown shown(model);
        QVERIFY(shown.ready());
        const QRect area = shown.plot->axisRect()->rect();
        const QImage image = shown.picture();
        const auto light = [&](int y) { return image.pixelColor(area.center().x(), y).lightness(); };
        QVERIFY(light(area.top() + 10) > light(area.bottom() - 10) + 50);
    }

    void zoomStaysWhenTheLayerChanges()
    {
        Shown shown(modelWithOutlier());
        QVERIFY(shown.ready());
        shown.plot->xAxis->setRange(100, 300);
        shown.plot->yAxis->setRange(50, 90);
        auto* layer = shown.view->findChild<QComboBox*>();
        for (const int i : {1, 2, 0}) {
            layer->setCurrentIndex(i);
            QVERIFY(shown.ready());
            QCOMPARE(shown.plot->xAxis->range(), QCPRange(100, 300));
            QCOMPARE(shown.plot->yAxis->range(), QCPRange(50, 90));
        }
        shown.session.setRecipe(recipe("Q8_0"));
        QCOMPARE(shown.plot->xAxis->range(), QCPRange(100, 300));
    }

    // The status line agrees with the weights themselves.
    void readsValues()
    {
        Shown shown(modelWithOutlier());
        QVERIFY(shown.ready());
        shown.plot->setCross(301, 803);
        auto* frame = qobject_cast<ViewFrame*>(shown.view.get());
        QVERIFY2(frame->status().contains(QStringLiteral("301")), qPrintable(frame->status()));
        QVERIFY2(frame->status().contains(QLocale().toString(5.0, 'g', 5)), qPrintable(frame->status()));
        shown.view->findChild<QComboBox*>()->setCurrentIndex(1);
        QVERIFY(shown.ready());
        shown.plot->setCross(3, 4);
        const auto& tensor = shown.session.model()->tensors[0];
        quern::NoProgress quiet;
        const auto rows = quern::quantizedRows(tensor, shown.session.plan()->tensors[0].choice, nullptr, 3, 1, quiet);
        QVERIFY2(frame->status().contains(QLocale().toString(rows.decoded(0, 4), 'g', 5)), qPrintable(frame->status()));
    }

    void followsTheChannel()
    {
        Shown shown(modelWithOutlier());
        QVERIFY(shown.ready());
        shown.session.selectChannel(803);
        QVERIFY(shown.plot->xAxis->range().contains(803));
        QVERIFY(shown.plot->xAxis->range().size() < 100);
        QCOMPARE(shown.plot->crossCol(), 803L);
    }

    void keysMoveTheCross()
    {
        Shown shown(modelWithOutlier());
        QVERIFY(shown.ready());
        shown.plot->xAxis->setRange(0, 20);
        shown.plot->yAxis->setRange(0, 20);
        shown.plot->setCross(5, 5);
        QTest::keyClick(shown.plot, Qt::Key_Right);
        QTest::keyClick(shown.plot, Qt::Key_Down);
        QTest::keyClick(shown.plot, Qt::Key_Down);
        QCOMPARE(shown.plot->crossCol(), 6L);
        QCOMPARE(shown.plot->crossRow(), 7L);
        QTest::keyClick(shown.plot, Qt::Key_Home);
        QCOMPARE(shown.plot->xAxis->range(), QCPRange(0, kCols));
    }

    void cacheForgetsTheOldest()
    {
        Session session;
        session.setModel(smallModel());
        session.setRecipe(recipe());
        const auto subject = [&](int tensor) {
            session.select(tensor);
            return *subjectOf(session);
        };
        const auto picture = [&](int tensor, std::size_t bytes) {
            auto made = std::make_shared<LayerPicture>(LayerPicture {subject(tensor)});
            made->bytes = bytes;
            return made;
        };
        LayerCache cache(100);
        cache.insert(MatrixLayer::Weight, picture(0, 60));
        cache.insert(MatrixLayer::Weight, picture(1, 30));
        QVERIFY(cache.find(subject(0), MatrixLayer::Weight)); // now the one used last
        cache.insert(MatrixLayer::Weight, picture(2, 30));
        QVERIFY(cache.find(subject(0), MatrixLayer::Weight));
        QVERIFY(!cache.find(subject(1), MatrixLayer::Weight));
        QVERIFY(!cache.find(subject(0), MatrixLayer::Error));
        QVERIFY(cache.bytes() <= 100);
        session.setRecipe(recipe("Q8_0"));
        QVERIFY(cache.find(subject(0), MatrixLayer::Weight)); // weights do not depend on the recipe
        cache.insert(MatrixLayer::Error, picture(0, 1));
        session.setRecipe(recipe("Q4_0"));
        QVERIFY(!cache.find(subject(0), MatrixLayer::Error));
    }

    void saysWhatAPixelIs()
    {
        Shown shown(modelWithOutlier());
        QVERIFY(shown.ready());
        shown.picture();
        const QRect area = shown.plot->axisRect()->rect();
        const QString text = shown.plot->reduction();
        QVERIFY2(text.contains(QLocale().toString(static_cast<double>(kCols) / area.width(), 'g', 2)),
                 qPrintable(text));
    }
};

QTEST_MAIN(TestMatrix)
#include "tst_matrix.moc"
