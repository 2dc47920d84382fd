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

private:
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
    for (int row = 0; row < model()->rowCount(); ++row)
        if (model()->index(row, MethodModel::Method).data().toString() == method)
            return row;
    return -1;
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
    QCOMPARE(static_cast<std::size_t>(model()->rowCount()), quern::quantizers().size());
    compare();
    quern::NoProgress quiet;
    for (const MethodTrial& trial : model()->trials()) {
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

QTEST_MAIN(TestMethodView)
#include "tst_methodview.moc"
