#include "app/exportdialog.h"
#include "core/rewrite.h"
#include "tests/strict.h"
#include "tests/widgets/samplesession.h"

#include <QAbstractButton>
#include <QCheckBox>
#include <QDialogButtonBox>
#include <QListWidget>
#include <QTemporaryDir>

using namespace samplesession;

// What the dialog says before an export, and what it lets through.
class TestExportDialog : public QObject {
    Q_OBJECT

private slots:
    void init();
    void saysHowItQuantizes();
    void saysWhatRescales();
    void coarseFormatsAreExportedIfAsked();

private:
    std::unique_ptr<ExportDialog> dialog() const
    {
        return std::make_unique<ExportDialog>(m_session.get(), m_folder->path());
    }
    static bool says(const ExportDialog& dialog, const QString& words)
    {
        return !dialog.findChild<QListWidget*>()->findItems(words, Qt::MatchContains).isEmpty();
    }
    static bool ready(const ExportDialog& dialog);

    std::unique_ptr<Session> m_session;
    std::unique_ptr<QTemporaryDir> m_folder;
};

void TestExportDialog::init()
{
    strict::failOnWarnings();
    m_folder = std::make_unique<QTemporaryDir>();
    m_session = std::make_unique<Session>();
    m_session->setModel(smallModel(1, 256));
}

bool TestExportDialog::ready(const ExportDialog& dialog)
{
    const auto* box = dialog.findChild<QDialogButtonBox*>();
    const auto buttons = box->buttons();
    const auto start = std::ranges::find(buttons, QDialogButtonBox::AcceptRole,
                                         [&](QAbstractButton* button) { return box->buttonRole(button); });
    return start != buttons.end() && (*start)->isEnabled();
}

void TestExportDialog::saysHowItQuantizes()
{
    m_session->setRecipe({.name = {}, .preset = quern::findPreset("Q4_0"), .rules = {}});
    QVERIFY(says(*dialog(), "Quantized by nearest (9 tensors)"));
    QVERIFY(says(*dialog(), "No second moments"));
    quern::Calibration calibration;
    quern::InputStats& stats = calibration.inputs["blk.0.attn_q.weight"];
    stats.sumSquares = Eigen::MatrixXd::Ones(1, 256);
    stats.counts = {1};
    stats.hessians = {std::make_shared<const quern::Hessian>(
        quern::Hessian::of(256, std::vector<float>(static_cast<std::size_t>(quern::Hessian::values(256)), 1)))};
    m_session->setCalibration(std::make_shared<const quern::Calibration>(std::move(calibration)));
    QVERIFY(says(*dialog(), "gptq+descent (one tensor), nearest (8 tensors)"));
    QVERIFY(!says(*dialog(), "No second moments"));
    m_session->setRecipe({});
    QVERIFY(!says(*dialog(), "Quantized by"));
}

void TestExportDialog::saysWhatRescales()
{
    quern::Recipe recipe {.name = {}, .preset = quern::findPreset("Q4_0"), .rules = {}};
    const Resolved resolved = ::resolved(recipe, *m_session->model(), nullptr);
    m_session->setRecipe(recipe, resolved);
    QVERIFY(!says(*dialog(), "rescaled"));
    recipe.rewrites = {{quern::findRewrite("awq"), {{"gain", 0.05}}}};
    m_session->setRecipe(recipe, resolved);
    QVERIFY(says(*dialog(), "Channels are rescaled first by awq (gain 0.05)."));
    QVERIFY(ExportDialog::suggestedTarget(*m_session, m_folder->path()).endsWith("-Q4_0-awq.gguf"));
}

void TestExportDialog::coarseFormatsAreExportedIfAsked()
{
    const quern::Choice choice {quern::findQuantizer("nearest"), quern::findBlockFormat("IQ2_XXS"), {}};
    m_session->setRecipe({.name = "coarse", .preset = nullptr, .rules = {{"blk.0.attn_q.weight", choice}}});
    const auto dialog = this->dialog();
    QCheckBox* nevertheless = nullptr;
    for (QCheckBox* option : dialog->findChildren<QCheckBox*>())
        if (option->text().contains("importance"))
            nevertheless = option;
    QVERIFY(nevertheless && !nevertheless->isHidden());
    QVERIFY(says(*dialog, "IQ2_XXS is too coarse"));
    QVERIFY(!ready(*dialog) && !dialog->coarse());
    nevertheless->setChecked(true);
    QVERIFY(dialog->coarse());
    QVERIFY(!says(*dialog, "IQ2_XXS is too coarse"));
    QVERIFY(says(*dialog, "become IQ2_XXS")); // still said
    QVERIFY(ready(*dialog));
}

QTEST_MAIN(TestExportDialog)
#include "tst_exportdialog.moc"
