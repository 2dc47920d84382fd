#include "core/gguf.h"
#include "core/preset.h"
#include "core/rewrite.h"
#include "core/secondmoments.h"
#include "tests/app/windowtest.h"
#include "widgets/infobar.h"

#include <QLabel>
#include <QMessageBox>
#include <QPushButton>

// What the window tells after it has quantized or calibrated.
class TestFindings : public WindowTest {
    Q_OBJECT

private slots:
    void initTestCase() { prepare(); }
    void init() { open(); }
    void cleanup() { close(); }
    void exportTellsWhatRewritesDid();
    void evaluationTellsWhatRewritesDid();
    void evaluationTellsOfMethodsThatFailed();
    void calibrationTellsWhatPresetsUse();
    void messagesAreShownWhole();

private:
    QString told() const { return m_window->findChild<InfoBar*>()->message(); }
    QString details() const;
    void calibrateAndWait(bool moments = false)
    {
        QSignalSpy changed(m_window->session(), &Session::calibrationChanged);
        TextRun run = shortRun();
        run.moments = moments;
        m_window->calibrate(run, {});
        QVERIFY(changed.wait(kLong));
    }
    void use(const quern::Recipe& recipe)
    {
        m_window->session()->setRecipe(recipe);
        QVERIFY2(m_window->session()->plan(), qPrintable(m_window->session()->planError()));
    }
};

namespace {

// Quick to search; the loss falls somewhere.
quern::Recipe rescaled()
{
    const quern::Choice choice {quern::findQuantizer("nearest"), quern::findBlockFormat("Q2_K"), {}};
    return {.name = {},
            .preset = nullptr,
            .rewrites = {{quern::findRewrite("awq"), {{"ratios", 3}, {"rows", 16}, {"gain", 0}}}},
            .rules = {{"blk.0.*", choice}}};
}

} // namespace

// Of the line's button "Details…".
QString TestFindings::details() const
{
    for (QPushButton* button : m_window->findChild<InfoBar*>()->findChildren<QPushButton*>())
        if (button->text() == "Details…")
            button->click();
    auto* box = m_window->findChild<QMessageBox*>();
    if (!box)
        return {};
    QString details = box->informativeText();
    box->close();
    return details;
}

void TestFindings::exportTellsWhatRewritesDid()
{
    openAndWait(demoPath());
    calibrateAndWait();
    use(rescaled());
    const quern::Model& model = *m_window->session()->model();
    quern::FoldSummary direct;
    quern::QuantizeOptions options;
    options.rewritten
        = [&](const quern::Rewrite&, std::span<const quern::FoldReport> reports) { direct = summaryOf(reports); };
    quern::NoProgress quiet;
    quern::quantize(model, *m_window->session()->plan(), m_window->session()->calibration().get(), options, quiet);
    QVERIFY(direct.scaled > 0 && direct.after < direct.before);

    const QString target = m_folder->filePath("rescaled.gguf");
    QSignalSpy exported(m_window.get(), &MainWindow::exported);
    m_window->exportTo(target, {});
    QVERIFY(exported.wait(kLong));
    const QString expected = QString("awq: %1 of %2 places scaled, squared error of the outputs times %3.")
                                 .arg(direct.scaled)
                                 .arg(direct.places)
                                 .arg(direct.after / direct.before, 0, 'f', 3);
    QVERIFY2(told().contains(" of the rescaled weights. "), qPrintable(told()));
    QVERIFY2(told().contains(expected), qPrintable(told() + " / " + expected));
    const QString places = details();
    QCOMPARE(places.count("awq scales after blk.0."), static_cast<qsizetype>(direct.scaled));
    QVERIFY2(places.contains("squared error times 0."), qPrintable(places));
}

void TestFindings::evaluationTellsWhatRewritesDid()
{
    openAndWait(demoPath());
    calibrateAndWait();
    use(rescaled());
    evaluateAndWait(shortRun());
    QVERIFY2(told().startsWith("Own recipe, rescaled by awq (") && told().contains("places scaled"),
             qPrintable(told()));
    m_window->findChild<InfoBar*>()->tell(InfoBar::Tone::Hint, "nothing");
    evaluateAndWait(shortRun()); // out of the cache: nothing is quantized
    QCOMPARE(told(), QString("nothing"));
}

// Moments that have no factor, so that GPTQ rounds to nearest.
void TestFindings::evaluationTellsOfMethodsThatFailed()
{
    openAndWait(demoPath());
    const char* name = "blk.0.attn_q.weight";
    const long n = m_window->session()->model()->find(name)->cols();
    std::vector<float> lower(static_cast<std::size_t>(quern::Hessian::values(n)), 5.0F);
    for (long i = 0; i < n; ++i)
        lower[static_cast<std::size_t>(i * (i + 1) / 2 + i)] = 1;
    auto calibration = std::make_shared<quern::Calibration>();
    quern::InputStats& inputs = calibration->inputs[name];
    inputs.sumSquares = Eigen::MatrixXd::Ones(1, n);
    inputs.counts = {1};
    inputs.hessians = {std::make_shared<const quern::Hessian>(quern::Hessian::of(n, std::move(lower)))};
    m_window->session()->setCalibration(calibration);
    const quern::Choice choice {quern::findQuantizer("gptq"), quern::findBlockFormat("Q4_0"), {}};
    use({.name = "failing", .preset = nullptr, .rules = {{name, choice}}});
    evaluateAndWait(shortRun());
    QCOMPARE(told(), QString("failing evaluated."));
    const QString warnings = details();
    QVERIFY2(warnings.contains(name), qPrintable(warnings));
}

void TestFindings::calibrationTellsWhatPresetsUse()
{
    openAndWait(demoPath());
    calibrateAndWait(false);
    QVERIFY2(told().contains("Calibrated on") && !told().contains("gptq"), qPrintable(told()));
    calibrateAndWait(true);
    QVERIFY2(told().contains("quantized by gptq+descent from now on"), qPrintable(told()));
    quern::Recipe recipe = m_window->session()->recipe();
    recipe.method = quern::findQuantizer("nearest"); // as the user has chosen
    use(recipe);
    calibrateAndWait(true);
    QVERIFY2(told().contains("Calibrated on") && !told().contains("gptq"), qPrintable(told()));
}

void TestFindings::messagesAreShownWhole()
{
    auto* bar = m_window->findChild<InfoBar*>();
    for (const int words : {5, 100, 200}) {
        const QString message = QStringLiteral("quantized gently ").repeated(words).trimmed();
        bar->tell(InfoBar::Tone::Hint, message);
        const QLabel* shown = nullptr;
        for (const QLabel* label : bar->findChildren<QLabel*>())
            if (label->text() == message)
                shown = label;
        QTRY_VERIFY(shown && shown->height() >= shown->heightForWidth(shown->width()));
    }
}

QTEST_MAIN(TestFindings)
#include "tst_findings.moc"
