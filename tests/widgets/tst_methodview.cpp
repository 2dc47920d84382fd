#include "core/rewrite.h"
#include "tests/core/rewriterun.h"
#include "tests/strict.h"
#include "tests/widgets/samplesession.h"
#include "widgets/models/methodmodel.h"
#include "widgets/recipeeditor.h"
#include "widgets/text.h"
#include "widgets/tunepanel.h"
#include "widgets/viewframe.h"

#include <QComboBox>
#include <QPushButton>
#include <QSignalSpy>
#include <QStandardItemModel>
#include <QTreeView>

using namespace samplesession;

namespace {

// Inputs that resemble each other, so that feedback has something to go by.
std::shared_ptr<const quern::Calibration> calibration(const quern::Model& model)
{
    auto result = std::make_shared<quern::Calibration>();
    for (const quern::Tensor& tensor : model.tensors) {
        if (tensor.shape.size() != 2)
            continue;
        const long n = tensor.cols();
        std::vector<float> lower;
        for (long i = 0; i < n; ++i)
            for (long j = 0; j <= i; ++j)
                lower.push_back(std::pow(0.9F, static_cast<float>(i - j)));
        quern::InputStats& stats = result->inputs[tensor.name];
        stats.sumSquares = Eigen::MatrixXd::Constant(1, n, 100);
        stats.counts = {100};
        stats.hessians = {std::make_shared<const quern::Hessian>(quern::Hessian::of(n, std::move(lower)))};
    }
    return result;
}

} // namespace

// Methods side by side, and the choice of one.
class TestMethodView : public QObject {
    Q_OBJECT

private slots:
    void init();
    void cleanup();
    void saysWhatToDo();
    void triesWhatTheFormatAllows();
    void knowsTheBest();
    void keepsResultsWhileOnlyTheMethodChanges();
    void stops();
    void usesTheChosenOne();
    void presetHasAMethod();
    void triesMethodsAfterRewrites();
    void rewrittenResultsGoWithTheirNeighbours();
    void usesAMethodAfterARewrite();
    void rewritesThatCannotBeTriedSayWhy();

private:
    void openNetwork();
    QPushButton* button(const QString& text) const;
    MethodModel* model() const { return static_cast<MethodModel*>(table()->model()); }
    QTreeView* table() const { return m_view->findChild<QTreeView*>(); }
    int row(const QString& method) const;
    void compare();

    std::unique_ptr<Session> m_session;
    std::unique_ptr<ViewFrame> m_view;
};

void TestMethodView::init()
{
    strict::failOnWarnings();
    m_session = std::make_unique<Session>();
    m_session->setModel(smallModel());
    m_session->setRecipe(recipe("Q4_1"));
    m_view.reset(static_cast<ViewFrame*>(view("methods").create(m_session.get(), nullptr)));
    m_view->resize(700, 300);
    m_view->show();
}

void TestMethodView::cleanup()
{
    m_view.reset();
    m_session.reset();
}

QPushButton* TestMethodView::button(const QString& text) const
{
    for (QPushButton* button : m_view->findChildren<QPushButton*>())
        if (button->text().remove(u'&') == text)
            return button;
    return nullptr;
}

int TestMethodView::row(const QString& method) const
{
    const auto it = std::ranges::find(model()->trials(), method, &MethodTrial::name);
    return it == model()->trials().end() ? -1 : static_cast<int>(it - model()->trials().begin());
}

void TestMethodView::compare()
{
    button("Compare")->click();
    QTRY_VERIFY_WITH_TIMEOUT(!button("Stop")->isVisible(), 60000);
}

void TestMethodView::saysWhatToDo()
{
    QVERIFY2(m_view->status().contains("Select a tensor"), qPrintable(m_view->status()));
    QVERIFY(!button("Compare")->isEnabled());
    m_session->select(indexOf(*m_session, "blk.0.attn_norm.weight"));
    QVERIFY2(m_view->status().contains("stored as it is"), qPrintable(m_view->status()));
    QCOMPARE(model()->rowCount(), 0);
    m_session->select(indexOf(*m_session, "blk.0.attn_q.weight"));
    QVERIFY2(m_view->status().contains("blk.0.attn_q.weight as Q4_1"), qPrintable(m_view->status()));
    QVERIFY(button("Compare")->isEnabled() && !button("Stop")->isVisible() && !button("Use")->isEnabled());
}

void TestMethodView::triesWhatTheFormatAllows()
{
    const int tensor = indexOf(*m_session, "blk.0.attn_q.weight");
    m_session->select(tensor);
    QCOMPARE(static_cast<std::size_t>(model()->rowCount()), quern::quantizers().size() + quern::rewrites().size());
    compare();
    quern::NoProgress quiet;
    for (const MethodTrial& trial : model()->trials()) {
        if (trial.rewrite.rewrite) {
            QVERIFY(!trial.distortion && trial.obstacle.contains("needs a calibration"));
            continue;
        }
        const quern::Choice& choice = trial.choice;
        const bool blind = choice.quantizer->needs == quern::Needs::SecondMoments;
        QCOMPARE(trial.distortion.has_value(), !blind && choice.quantizer->supports(*choice.format));
        if (!trial.distortion) {
            QVERIFY(blind == trial.obstacle.contains("second moments"));
            continue;
        }
        const auto direct
            = quern::preview(m_session->model()->tensors[static_cast<std::size_t>(tensor)], choice, nullptr, 1, quiet);
        QCOMPARE(trial.distortion->errorSquares, direct.errorSquares);
        QVERIFY(trial.seconds > 0);
    }
    QVERIFY(row("gptq") >= 0 && !model()->flags(model()->index(row("gptq"), 0)).testFlag(Qt::ItemIsEnabled));
    QCOMPARE(model()->index(row("nearest"), MethodModel::WeightError).data().toString(),
             figure(model()->trials()[static_cast<std::size_t>(row("nearest"))].distortion->relative()));
    QVERIFY(!button("Compare")->isEnabled()); // nothing is left to try
}

void TestMethodView::knowsTheBest()
{
    m_session->setCalibration(calibration(*m_session->model()));
    m_session->select(indexOf(*m_session, "blk.0.attn_q.weight"));
    compare();
    const auto output = [&](const char* method) {
        return model()->trials()[static_cast<std::size_t>(row(method))].distortion->rho();
    };
    QVERIFY(output("gptq+descent") < output("nearest"));
    QVERIFY(output("gptq") < output("nearest"));
    QVERIFY(model()->best() == row("gptq+descent") || model()->best() == row("descent"));
    QVERIFY(model()->index(model()->best(), 0).data(Qt::FontRole).value<QFont>().bold());
    QVERIFY2(m_view->status().contains("loses least"), qPrintable(m_view->status()));
}

void TestMethodView::keepsResultsWhileOnlyTheMethodChanges()
{
    m_session->select(indexOf(*m_session, "blk.0.attn_q.weight"));
    compare();
    quern::Recipe other = recipe("Q4_1");
    other.rules.front().choice.quantizer = quern::findQuantizer("hqq");
    m_session->setRecipe(other);
    QVERIFY(model()->best() >= 0);
    m_session->setRecipe(recipe("Q5_1"));
    QCOMPARE(model()->best(), -1);
    QVERIFY(button("Compare")->isEnabled());
}

void TestMethodView::stops()
{
    m_session->setModel(smallModel(1, 2048));
    m_session->select(indexOf(*m_session, "blk.0.ffn_down.weight"));
    button("Compare")->click();
    QVERIFY(button("Stop")->isVisible() && !button("Compare")->isEnabled());
    button("Stop")->click();
    QVERIFY(!button("Stop")->isVisible() && button("Compare")->isEnabled());
    settle();
    QCOMPARE(model()->best(), -1);
}

void TestMethodView::usesTheChosenOne()
{
    RecipeEditor editor(m_session.get());
    const TunePanel panel(m_session.get(), &editor);
    const int tensor = indexOf(*m_session, "blk.0.attn_q.weight");
    m_session->select(tensor);
    table()->setCurrentIndex(model()->index(row("hqq"), 0));
    QVERIFY(button("Use")->isEnabled());
    button("Use")->click();
    const auto chosen = [&](int i) { return m_session->plan()->tensors[static_cast<std::size_t>(i)].choice; };
    QTRY_COMPARE(chosen(tensor).quantizer->name, "hqq");
    QCOMPARE(chosen(tensor).format->name, "Q4_1");
    QCOMPARE(chosen(tensor + 1).quantizer->name, "nearest");
    editor.history()->undo();
    QTRY_COMPARE(chosen(tensor).quantizer->name, "nearest");
}

void TestMethodView::presetHasAMethod()
{
    RecipeEditor editor(m_session.get());
    TunePanel panel(m_session.get(), &editor);
    panel.show();
    QComboBox* methods = nullptr;
    for (QComboBox* box : panel.findChildren<QComboBox*>())
        if (box->accessibleName() == "Method of the preset")
            methods = box;
    if (!methods)
        QFAIL("there is no choice of the preset's method");
    QVERIFY(!methods->isEnabled()); // without a preset
    m_session->setRecipe({.name = {}, .preset = quern::findPreset("Q4_1"), .rules = {}});
    const auto enabled = [&](const QString& method) {
        return static_cast<QStandardItemModel*>(methods->model())->item(methods->findText(method))->isEnabled();
    };
    QVERIFY(methods->isEnabled() && methods->currentText() == "best known");
    QVERIFY(enabled("hqq") && !enabled("gptq"));
    m_session->setCalibration(calibration(*m_session->model()));
    QVERIFY(enabled("gptq"));
    const auto tensor = static_cast<std::size_t>(indexOf(*m_session, "blk.0.attn_q.weight"));
    QCOMPARE(m_session->plan()->tensors[tensor].choice.quantizer->name, "gptq+descent");
    methods->setCurrentIndex(methods->findText("nearest"));
    emit methods->activated(methods->currentIndex());
    QTRY_COMPARE(m_session->plan()->tensors[tensor].choice.quantizer->name, "nearest");
    QCOMPARE(m_session->recipe().preset->name, "Q4_1");
    editor.history()->undo();
    QTRY_COMPARE(m_session->plan()->tensors[tensor].choice.quantizer->name, "gptq+descent");
}

// A model that runs, calibrated with second moments.
void TestMethodView::openNetwork()
{
    const auto model = std::make_shared<const quern::Model>(rewriterun::withOutliers(tiny::modelOf("llama")));
    m_session->setModel(model);
    m_session->setCalibration(std::make_shared<const quern::Calibration>(rewriterun::calibrated(*model)));
    quern::Recipe blocks = recipe("INT3_G16_MIN");
    blocks.rules.front().pattern = "blk.*";
    m_session->setRecipe(blocks);
    QVERIFY2(m_session->plan(), qPrintable(m_session->planError()));
    m_session->select(indexOf(*m_session, "blk.0.attn_q.weight"));
}

void TestMethodView::triesMethodsAfterRewrites()
{
    openNetwork();
    quern::Recipe recipe = m_session->recipe();
    recipe.rewrites = {{quern::findRewrite("awq"), {{"gain", 0}, {"ratios", 4}}}}; // those settings are tried
    m_session->setRecipe(recipe);
    for (const char* name : {"awq + nearest", "awq + gptq+descent", "smoothquant + nearest"})
        QVERIFY2(row(name) >= 0, name);
    compare();
    quern::NoProgress quiet;
    quern::Plan plan = *m_session->plan();
    const auto tensor = static_cast<std::size_t>(m_session->selected());
    for (const MethodTrial& trial : model()->trials()) {
        QVERIFY2(trial.distortion, qPrintable(trial.name() + ": " + trial.obstacle));
        if (!trial.rewrite.rewrite)
            continue;
        plan.tensors[tensor].choice = trial.choice;
        const auto direct = quern::previewRewritten(*m_session->model(), tensor, plan, trial.rewrite,
                                                    *m_session->calibration(), quiet);
        QCOMPARE(trial.distortion->rho(), direct.distortion.rho());
        QCOMPARE(trial.fold.scaled, direct.fold.scaled);
    }
    const MethodTrial& awq = model()->trials()[static_cast<std::size_t>(row("awq + nearest"))];
    QVERIFY(awq.fold.scaled == 1);
    const QString tip = model()->index(row("awq + nearest"), 0).data(Qt::ToolTipRole).toString();
    QVERIFY2(tip.contains("awq: 1 of 1 places scaled, squared error of the outputs times 0."), qPrintable(tip));
}

// Scales serve all that read the channels; other methods do not depend on them.
void TestMethodView::rewrittenResultsGoWithTheirNeighbours()
{
    openNetwork();
    compare();
    const auto found = [&](const char* name) {
        return model()->trials()[static_cast<std::size_t>(row(name))].distortion.has_value();
    };
    quern::Recipe other = m_session->recipe();
    other.rules.push_back({"blk.2.*", {quern::findQuantizer("nearest"), quern::findBlockFormat("Q8_0"), {}}});
    m_session->setRecipe(other); // another layer
    QVERIFY(found("nearest") && found("awq + nearest"));
    other.rewrites = {{quern::findRewrite("smoothquant"), {{"alpha", 0.7}}}};
    m_session->setRecipe(other);
    QVERIFY(found("nearest") && found("awq + nearest") && !found("smoothquant + nearest"));
    QCOMPARE(model()->trials()[static_cast<std::size_t>(row("smoothquant + nearest"))].rewrite, other.rewrites.front());
    other.rules.push_back(
        {"blk.0.attn_k.weight", {quern::findQuantizer("nearest"), quern::findBlockFormat("Q8_0"), {}}});
    m_session->setRecipe(other);
    QVERIFY(found("nearest") && !found("awq + nearest") && button("Compare")->isEnabled());
}

void TestMethodView::usesAMethodAfterARewrite()
{
    openNetwork();
    RecipeEditor editor(m_session.get());
    const TunePanel panel(m_session.get(), &editor);
    table()->setCurrentIndex(model()->index(row("awq + gptq+descent"), 0));
    button("Use")->click();
    const auto chosen = [&] {
        return m_session->plan()->tensors[static_cast<std::size_t>(m_session->selected())].choice.quantizer->name;
    };
    QTRY_COMPARE(chosen(), "gptq+descent");
    QCOMPARE(m_session->recipe().rewrites, (std::vector<quern::RewriteChoice> {{quern::findRewrite("awq"), {}}}));
    QCOMPARE(editor.history()->count(), 1);
    table()->setCurrentIndex(model()->index(row("awq + nearest"), 0));
    button("Use")->click();
    QTRY_COMPARE(chosen(), "nearest");
    QCOMPARE(m_session->recipe().rewrites.size(), std::size_t {1}); // not twice
    editor.history()->undo();
    QTRY_COMPARE(chosen(), "gptq+descent");
    editor.history()->undo();
    QTRY_COMPARE(chosen(), "nearest");
    QVERIFY(m_session->recipe().rewrites.empty());
}

void TestMethodView::rewritesThatCannotBeTriedSayWhy()
{
    openNetwork();
    quern::Recipe all = m_session->recipe();
    all.rules.front().pattern = "token_embd.weight";
    m_session->setRecipe(all);
    m_session->select(indexOf(*m_session, "token_embd.weight"));
    compare();
    const auto shown = model()->index(row("awq + nearest"), MethodModel::OutputError).data().toString();
    QVERIFY2(shown.contains("Nothing feeds token_embd.weight"), qPrintable(shown));
    QVERIFY(model()->trials()[static_cast<std::size_t>(row("nearest"))].distortion);
}

QTEST_MAIN(TestMethodView)
#include "tst_methodview.moc"
