#include "core/preset.h"
#include "core/rewrite.h"
#include "core/shift.h"
#include "tests/core/rewriterun.h"
#include "tests/strict.h"
#include "widgets/recipeeditor.h"
#include "widgets/settingsform.h"
#include "widgets/tunepanel.h"

#include <QCheckBox>
#include <QComboBox>
#include <QDoubleSpinBox>
#include <QLabel>
#include <QPointer>
#include <QToolButton>
#include <QtTest>

// What the Tune panel offers for the whole model, and the settings of what is chosen.
class TestTune : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void init();
    void cleanup();
    void rewritesAreChosen();
    void rewritesHaveSettings();
    void rewritesFollowOneAnother();
    void figuresAreWithoutRewrites();
    void sequenceIsChosen();
    void sequenceNeedsAText();
    void rewritesNeedACalibration();
    void whatNoLongerFitsCanBeTakenOut();
    void settingsWithNamesAreChosenByName();
    void settingsFitANarrowPanel();
    void boxesStayWhileTheirValuesChange();

private:
    QCheckBox* box(const QString& rewrite) const;
    bool shown(const QString& words) const;
    template <typename Box>
    Box* settingBox(const QString& label) const;
    const std::vector<quern::RewriteChoice>& rewrites() const { return m_session->recipe().rewrites; }
    void use(const quern::Recipe& recipe)
    {
        m_session->setRecipe(recipe);
        QVERIFY2(m_session->plan(), qPrintable(m_session->planError()));
    }

    std::shared_ptr<const quern::Model> m_model;
    std::shared_ptr<const quern::Calibration> m_calibration;
    std::unique_ptr<Session> m_session;
    std::unique_ptr<RecipeEditor> m_editor;
    std::unique_ptr<TunePanel> m_panel;
};

namespace {

quern::Recipe by(const char* method, const char* format = "Q4_1", const quern::Settings& settings = {})
{
    return {.name = {},
            .preset = nullptr,
            .rules = {{"blk.*", {quern::findQuantizer(method), quern::findBlockFormat(format), settings}}}};
}

} // namespace

void TestTune::initTestCase()
{
    m_model = std::make_shared<const quern::Model>(tiny::modelOf("llama"));
    m_calibration = std::make_shared<const quern::Calibration>(rewriterun::calibrated(*m_model));
}

void TestTune::init()
{
    strict::failOnWarnings();
    m_session = std::make_unique<Session>();
    m_session->setModel(m_model);
    m_session->setCalibration(m_calibration);
    m_editor = std::make_unique<RecipeEditor>(m_session.get());
    m_panel = std::make_unique<TunePanel>(m_session.get(), m_editor.get());
    m_panel->show();
    use(by("nearest"));
}

void TestTune::cleanup()
{
    m_panel.reset();
    m_editor.reset();
    m_session.reset();
}

QCheckBox* TestTune::box(const QString& rewrite) const
{
    for (QCheckBox* box : m_panel->findChildren<QCheckBox*>())
        if (box->text().startsWith(rewrite))
            return box;
    return nullptr;
}

bool TestTune::shown(const QString& words) const
{
    return std::ranges::any_of(m_panel->findChildren<QLabel*>(), [&](const QLabel* label) {
        return label->isVisible() && label->text().contains(words);
    });
}

// Of what is visible.
template <typename Box>
Box* TestTune::settingBox(const QString& label) const
{
    for (const SettingsForm* form : m_panel->findChildren<SettingsForm*>())
        for (const QLabel* text : form->findChildren<QLabel*>())
            if (text->text() == label && text->isVisible())
                return qobject_cast<Box*>(text->buddy());
    return nullptr;
}

void TestTune::rewritesAreChosen()
{
    QVERIFY(box("awq") && box("smoothquant"));
    QVERIFY(box("awq")->isEnabled() && !box("awq")->isChecked());
    box("awq")->click();
    QTRY_COMPARE(rewrites().size(), std::size_t {1});
    QCOMPARE(rewrites().front().rewrite->name, "awq");
    QCOMPARE(m_session->plan()->rewrites, rewrites());
    m_editor->usePreset(quern::findPreset("Q4_1")); // types change, the rewrite stays
    QTRY_VERIFY(m_session->recipe().preset && !m_editor->busy());
    QCOMPARE(rewrites().size(), std::size_t {1});
    m_editor->history()->undo();
    QTRY_VERIFY(!m_session->recipe().preset && !m_editor->busy());
    m_editor->history()->undo();
    QTRY_VERIFY(rewrites().empty());
    QVERIFY(!box("awq")->isChecked());
    m_editor->history()->redo();
    QTRY_COMPARE(rewrites().size(), std::size_t {1});
    QVERIFY(box("awq")->isChecked());
    box("awq")->click();
    QTRY_VERIFY(rewrites().empty());
    QCOMPARE(m_editor->history()->undoText(), "Without awq");
}

void TestTune::rewritesHaveSettings()
{
    QVERIFY(!settingBox<QDoubleSpinBox>("Ratios tried"));
    box("awq")->click();
    QTRY_COMPARE(rewrites().size(), std::size_t {1});
    for (QToolButton* button : m_panel->findChildren<QToolButton*>())
        if (button->accessibleName() == "Settings of awq")
            button->click();
    auto* ratios = settingBox<QDoubleSpinBox>("Ratios tried");
    QVERIFY(ratios && ratios->value() == 20);
    ratios->setValue(5);
    QTRY_COMPARE(rewrites().front().settings, (quern::Settings {{"ratios", 5}}));
    auto* duo = settingBox<QComboBox>("Divide by weights");
    QVERIFY(duo && duo->currentText() == "yes");
    duo->setCurrentIndex(0);
    emit duo->activated(0);
    QTRY_COMPARE(rewrites().front().settings, (quern::Settings {{"duo", 0}, {"ratios", 5}}));
    m_editor->history()->undo();
    QTRY_COMPARE(rewrites().front().settings, (quern::Settings {{"ratios", 5}}));
    QCOMPARE(duo->currentText(), "yes");
}

// In the order in which they were chosen, however quickly.
void TestTune::rewritesFollowOneAnother()
{
    box("smoothquant")->click();
    box("awq")->click();
    QTRY_COMPARE(rewrites().size(), std::size_t {2});
    QCOMPARE(rewrites().front().rewrite->name, "smoothquant");
    QVERIFY(std::ranges::any_of(m_panel->findChildren<QLabel*>(), [](const QLabel* label) {
        return label->isVisible() && label->text() == "In this order: smoothquant, awq";
    }));
}

void TestTune::figuresAreWithoutRewrites()
{
    const auto said = [&] { return shown("without awq"); };
    m_session->select(3);
    QVERIFY(!said());
    box("awq")->click();
    QTRY_VERIFY(said());
    m_editor->history()->undo();
    QTRY_VERIFY(!said());
}

void TestTune::sequenceIsChosen()
{
    m_session->setCalibration(m_calibration, {m_session->plan(), {}}, std::make_shared<const TextRun>());
    const auto sequential = [&] { return m_session->recipe().sequential; };
    m_session->select(3);
    QCheckBox* block = box("block by block");
    QVERIFY(block && block->isEnabled() && !block->isChecked());
    block->click();
    QTRY_VERIFY(sequential() && !m_editor->busy());
    QVERIFY(*sequential() == quern::Settings {} && m_session->plan()->sequential == sequential());
    QVERIFY(shown("Shown as it is by itself, not block by block"));
    for (QToolButton* more : m_panel->findChildren<QToolButton*>())
        if (more->accessibleName() == "Settings of block by block")
            more->click();
    auto* trust = settingBox<QDoubleSpinBox>(quern::kTrust.label);
    QVERIFY(trust);
    QCOMPARE(trust->value(), 0.5);
    trust->setValue(0.25);
    QTRY_VERIFY(sequential() == quern::Settings({{"trust", 0.25}}) && !m_editor->busy());
    box("awq")->click();
    QTRY_VERIFY(shown("without awq and not block by block") && !m_editor->busy());
    m_editor->history()->undo();
    QTRY_VERIFY(rewrites().empty() && !m_editor->busy());
    m_editor->history()->undo();
    QTRY_VERIFY(sequential() == quern::Settings {} && !m_editor->busy());
    QCOMPARE(trust->value(), 0.5);
    block->click();
    QTRY_VERIFY(!sequential() && !m_editor->busy());
    QVERIFY(!shown("block by block"));
}

// A calibration from a file does not bring one.
void TestTune::sequenceNeedsAText()
{
    QVERIFY(box("block by block"));
    QVERIFY(!box("block by block")->isEnabled());
    QCOMPARE(box("block by block")->text(), QString("block by block: calibrate first"));
    QVERIFY2(box("block by block")->toolTip().contains("Calibrate"), qPrintable(box("block by block")->toolTip()));
    quern::Recipe recipe = m_session->recipe();
    recipe.sequential = quern::Settings {};
    use(recipe); // out of a file
    QVERIFY(box("block by block")->isEnabled() && box("block by block")->isChecked());
    box("block by block")->click();
    QTRY_VERIFY(!m_session->recipe().sequential && !m_editor->busy());
    QVERIFY(!box("block by block")->isEnabled());
}

void TestTune::rewritesNeedACalibration()
{
    m_session->setCalibration(nullptr);
    QVERIFY(!box("awq")->isEnabled());
    QVERIFY(box("awq")->text().contains("calibrate first"));
    QVERIFY2(box("awq")->toolTip().contains("Calibrate the model"), qPrintable(box("awq")->toolTip()));
    auto squares = std::make_shared<quern::Calibration>(*m_calibration);
    for (auto& [name, stats] : squares->inputs) {
        stats.sumMagnitudes.resize(0, 0);
        stats.maxMagnitudes.resize(0, 0);
    }
    m_session->setCalibration(squares);
    QVERIFY(!box("awq")->isEnabled());
    QVERIFY2(box("awq")->toolTip().contains("only their squares"), qPrintable(box("awq")->toolTip()));
    m_session->setCalibration(m_calibration);
    QVERIFY(box("awq")->isEnabled() && box("awq")->text() == "awq");
}

void TestTune::whatNoLongerFitsCanBeTakenOut()
{
    box("awq")->click();
    QTRY_COMPARE(rewrites().size(), std::size_t {1});
    m_session->setCalibration(nullptr);
    QVERIFY(!m_session->plan());
    QVERIFY(box("awq")->isEnabled() && box("awq")->isChecked());
    box("awq")->click();
    QTRY_VERIFY(m_session->plan());
    QVERIFY(rewrites().empty() && !box("awq")->isEnabled());
}

void TestTune::settingsWithNamesAreChosenByName()
{
    use(by("gptq", "Q4_1", {{"ordering", 0}}));
    m_session->select(1);
    while (!m_session->plan()->tensors[static_cast<std::size_t>(m_session->selected())].choice.quantizer)
        m_session->select(m_session->selected() + 1);
    auto* ordering = settingBox<QComboBox>("Ordering");
    QVERIFY(ordering && ordering->currentText() == "natural");
    ordering->setCurrentIndex(ordering->findText("by columns"));
    emit ordering->activated(ordering->currentIndex());
    const auto settings
        = [&] { return m_session->plan()->tensors[static_cast<std::size_t>(m_session->selected())].choice.settings; };
    QTRY_COMPARE(settings(), (quern::Settings {{"ordering", 2}}));
    ordering->setCurrentIndex(1); // as preset: not worth a word
    emit ordering->activated(1);
    QTRY_COMPARE(settings(), quern::Settings {});
}

void TestTune::settingsFitANarrowPanel()
{
    use(by("gptq+descent"));
    m_session->select(3);
    m_panel->resize(m_panel->minimumWidth(), 900);
    QTRY_VERIFY(settingBox<QDoubleSpinBox>("Damping"));
    for (QWidget* box : {static_cast<QWidget*>(settingBox<QDoubleSpinBox>("Damping")),
                         static_cast<QWidget*>(settingBox<QComboBox>("Ordering"))}) {
        const int right = box->mapTo(m_panel.get(), QPoint(box->width(), 0)).x();
        QVERIFY2(right <= m_panel->width(), qPrintable(QString("%1 of %2").arg(right).arg(m_panel->width())));
    }
}

// Whoever types into one keeps the focus when the recipe has changed.
void TestTune::boxesStayWhileTheirValuesChange()
{
    use(by("gptq"));
    m_session->select(3);
    const QPointer<QDoubleSpinBox> damping = settingBox<QDoubleSpinBox>("Damping");
    QVERIFY(damping);
    damping->setValue(0.05);
    const auto setting = [&] {
        const auto& settings = m_session->plan()->tensors[3].choice.settings;
        return settings.contains("damping") ? settings.at("damping") : 0.0;
    };
    QTRY_COMPARE(setting(), 0.05);
    QCoreApplication::sendPostedEvents(nullptr, QEvent::DeferredDelete);
    QVERIFY(damping && damping == settingBox<QDoubleSpinBox>("Damping"));
    m_editor->history()->undo();
    QTRY_COMPARE(damping->value(), 0.01);
}

QTEST_MAIN(TestTune)
#include "tst_tune.moc"
