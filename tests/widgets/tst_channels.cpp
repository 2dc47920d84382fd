// The channels: the guilty input stands out, can be pointed at, and what meets it is shown.
#include "tests/strict.h"
#include "tests/widgets/samplesession.h"
#include "widgets/plot.h"
#include "widgets/text.h"
#include "widgets/viewframe.h"

#include <QCheckBox>
#include <QComboBox>
#include <QSignalSpy>
#include <QTableWidget>

using namespace samplesession;

namespace {

struct Shown {
    Session session;
    std::unique_ptr<QWidget> view;
    Plot* plot;

    Shown()
    {
        session.setModel(smallModel());
        session.setRecipe(recipe());
        session.select(indexOf(session, "blk.1.ffn_down.weight")); // channel 17 is 30 times too large
        measureAll(session);
        view.reset(samplesession::view("channels").create(&session, nullptr));
        view->resize(900, 420);
        view->show();
        plot = view->findChild<Plot*>();
        settle(20);
    }
    QCheckBox* overlay() const { return view->findChild<QCheckBox*>(); }
    QComboBox* order() const { return view->findChild<QComboBox*>(); }
};

} // namespace

class TestChannels : public QObject {
    Q_OBJECT

private slots:
    void init() { strict::failOnWarnings(); }
    void drawsEveryChannelsMaximum()
    {
        Shown shown;
        const auto stats = shown.session.stats(shown.session.selected());
        const auto data = shown.plot->graph(0)->data();
        QCOMPARE(static_cast<std::size_t>(data->size()), stats->columnAbsMax.size());
        for (int i = 0; i < data->size(); ++i)
            QCOMPARE(data->at(i)->value, static_cast<double>(stats->columnAbsMax[static_cast<std::size_t>(i)]));
        QVERIFY(shown.plot->yAxis->range().upper > stats->absMax);
        QCOMPARE(shown.plot->graph(0)->pen().width(), 1);
    }

    void listsTheGuiltyFirst()
    {
        Shown shown;
        const auto* list = shown.view->findChild<QTableWidget*>();
        QCOMPARE(list->item(0, 0)->text(), QStringLiteral("17"));
        QVERIFY(shown.plot->accessibleDescription().contains(QLatin1String("1 of 128")));
    }

    void sortsByMagnitude()
    {
        Shown shown;
        shown.order()->setCurrentIndex(1);
        const auto data = shown.plot->graph(0)->data();
        for (int i = 1; i < data->size(); ++i)
            QVERIFY(data->at(i)->value <= data->at(i - 1)->value);
        shown.plot->setFocus();
        QTest::keyClick(shown.plot, Qt::Key_Right);
        QVERIFY(qobject_cast<ViewFrame*>(shown.view.get())->status().contains(QLatin1String("17")));
    }

    void aClickPointsAtTheChannel()
    {
        Shown shown;
        QSignalSpy changed(&shown.session, &Session::channelChanged);
        const QPointF at(shown.plot->xAxis->coordToPixel(17), shown.plot->yAxis->coordToPixel(0.1));
        QTest::mouseClick(shown.plot, Qt::LeftButton, {}, at.toPoint() + QPoint(2, 0)); // near is enough
        QCOMPARE(changed.count(), 1);
        QCOMPARE(shown.session.channel(), 17L);
        auto* list = shown.view->findChild<QTableWidget*>();
        list->setCurrentCell(2, 0);
        QCOMPARE(QString::number(shown.session.channel()), list->item(2, 0)->text());
    }

    void overlaysTheStrengthOfInputs()
    {
        Shown shown;
        QVERIFY(!shown.overlay()->isEnabled());
        QCOMPARE(shown.plot->graph(1)->data()->size(), 0);
        auto calibration = std::make_shared<quern::Calibration>();
        quern::InputStats& inputs = calibration->inputs["blk.1.ffn_down.weight"];
        inputs.sumSquares = Eigen::MatrixXd::Constant(1, 128, 8.0);
        inputs.sumSquares(0, 40) = 800;
        inputs.counts = {4};
        shown.session.setCalibration(calibration);
        settle(20);
        QVERIFY(shown.overlay()->isEnabled());
        const auto data = shown.plot->graph(1)->data();
        QCOMPARE(data->size(), 128);
        QCOMPARE(data->at(39)->value, static_cast<double>(std::sqrt(2.0F)));
        QCOMPARE(data->at(40)->value, static_cast<double>(std::sqrt(200.0F)));
        QVERIFY(!shown.plot->yAxis2->label().isEmpty());
        shown.overlay()->setChecked(false);
        QCOMPARE(shown.plot->graph(1)->data()->size(), 0);
    }

    void listsTheStrongestInputs()
    {
        Shown shown;
        auto* list = shown.view->findChild<QTableWidget*>();
        QVERIFY(list->isColumnHidden(3));
        auto calibration = std::make_shared<quern::Calibration>();
        quern::InputStats& inputs = calibration->inputs["blk.1.ffn_down.weight"];
        inputs.sumSquares = Eigen::MatrixXd::Constant(1, 128, 4.0);
        inputs.sumSquares(0, 40) = 400;
        inputs.sumSquares(0, 3) = 36;
        inputs.counts = {4};
        shown.session.setCalibration(calibration);
        shown.order()->setCurrentIndex(2);
        QVERIFY(!list->isColumnHidden(3));
        QCOMPARE(list->item(0, 0)->text(), QStringLiteral("40"));
        QCOMPARE(list->item(1, 0)->text(), QStringLiteral("3"));
        QCOMPARE(list->item(0, 3)->text(), figure(10));
        const QString sentence = shown.plot->accessibleDescription();
        QVERIFY2(sentence.contains(QLatin1String("channel 40, 10.0 times the median")), qPrintable(sentence));
        shown.session.setCalibration(nullptr);
        QCOMPARE(shown.order()->currentIndex(), 0);
        QVERIFY(list->isColumnHidden(3));
    }
};

QTEST_MAIN(TestChannels)
#include "tst_channels.moc"
