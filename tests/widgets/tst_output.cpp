#include "tests/strict.h"
#include "tests/widgets/samplesession.h"
#include "widgets/figurelist.h"
#include "widgets/plot.h"
#include "widgets/text.h"
#include "widgets/viewframe.h"

#include <QLabel>
#include <QPushButton>
#include <QSignalSpy>

#include <cmath>

using namespace samplesession;

class TestOutput : public QObject {
    Q_OBJECT

private slots:
    void init();
    void cleanup();
    void saysWhatToDo();
    void showsTheFigures();
    void countsEveryPrediction();
    void saysWhenTheRecipeHasChanged();
    void showsAModelAlone();

private:
    QString value(const QString& name) const;
    QList<Plot*> plots() const { return m_view->findChildren<Plot*>(); }

    std::unique_ptr<Session> m_session;
    std::unique_ptr<ViewFrame> m_view;
};

void TestOutput::init()
{
    strict::failOnWarnings();
    m_session = std::make_unique<Session>();
    m_session->setModel(smallModel());
    m_session->setRecipe(recipe());
    m_view.reset(static_cast<ViewFrame*>(view("output").create(m_session.get(), nullptr)));
    m_view->resize(1400, 420);
    m_view->show();
}

void TestOutput::cleanup()
{
    m_view.reset();
    m_session.reset();
}

QString TestOutput::value(const QString& name) const
{
    const auto* list = m_view->findChild<FigureList*>();
    for (int row = 0; row < list->rowCount(); ++row)
        if (list->item(row, 0)->text() == name && list->item(row, 1))
            return list->item(row, 1)->text();
    return {};
}

void TestOutput::saysWhatToDo()
{
    QVERIFY(plots()[0]->placeholder().contains("Evaluate"));
    QVERIFY(!plots()[1]->isVisible());
    QSignalSpy wanted(m_session.get(), &Session::evaluationWanted);
    m_view->findChild<QPushButton*>()->click();
    QCOMPARE(wanted.size(), 1);
}

void TestOutput::showsTheFigures()
{
    evaluate(*m_session);
    settle(30);
    const quern::PredictionSummary& p = m_session->evaluation()->figures.predictions;
    QVERIFY(plots()[0]->placeholder().isEmpty());
    QVERIFY(plots()[0]->isVisible() && plots()[1]->isVisible());
    QVERIFY2(value("Perplexity").startsWith(figure(p.perplexity, 5)), qPrintable(value("Perplexity")));
    QCOMPARE(value("Median"), figure(quern::quantile(p.divergences, 0.5)));
    QCOMPARE(value("99.9 %"), figure(quern::quantile(p.divergences, 0.999)));
    QVERIFY2(value("Same top").startsWith(fixed(100 * p.sameTop.value)), qPrintable(value("Same top")));
    QVERIFY(m_view->status().contains(figure(p.divergence.value)));
    const PlotTable errors = plots()[1]->table()();
    QCOMPARE(errors.rows, 4L);
    QCOMPARE(errors.value(3, 1).toDouble(), m_session->evaluation()->figures.hiddenErrors[3]);
}

void TestOutput::countsEveryPrediction()
{
    evaluate(*m_session);
    const auto& divergences = m_session->evaluation()->figures.predictions.divergences;
    const PlotTable table = plots()[0]->table()();
    qulonglong counted = 0;
    for (long row = 0; row < table.rows; ++row) {
        counted += table.value(row, 2).toULongLong();
        const double low = table.value(row, 0).toDouble(), high = table.value(row, 1).toDouble();
        QVERIFY(low < high);
        const auto inside = std::ranges::count_if(
            divergences, [&](double d) { return d >= low * (1 + 1e-9) && d < high * (1 - 1e-9); });
        QVERIFY(table.value(row, 2).toLongLong() >= inside);
    }
    const auto none = std::ranges::count_if(divergences, [](double d) { return d < 1e-9; });
    QCOMPARE(counted + static_cast<qulonglong>(none), static_cast<qulonglong>(divergences.size()));
}

void TestOutput::saysWhenTheRecipeHasChanged()
{
    evaluate(*m_session);
    QVERIFY(!m_view->status().contains("earlier"));
    m_session->setRecipe(recipe("Q8_0"));
    QVERIFY(m_view->status().contains("earlier"));
    m_session->setRecipe(recipe());
    QVERIFY(!m_view->status().contains("earlier"));
    m_session->setCalibration(std::make_shared<quern::Calibration>());
    QVERIFY(m_view->status().contains("earlier"));
}

void TestOutput::showsAModelAlone()
{
    auto alone = std::make_shared<Evaluated>(*sampleEvaluation(*m_session));
    alone->figures.predictions.compared = false;
    alone->figures.predictions.divergences.clear();
    alone->figures.hiddenErrors.clear();
    m_session->setEvaluation(alone);
    settle(30);
    QVERIFY(!value("Perplexity").isEmpty());
    QVERIFY(value("Median").isEmpty());
    QVERIFY(!plots()[0]->placeholder().isEmpty());
    QVERIFY(!plots()[1]->isVisible());
}

QTEST_MAIN(TestOutput)
#include "tst_output.moc"
