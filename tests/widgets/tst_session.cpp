#include "core/modelmaker.h"
#include "core/preset.h"
#include "tests/strict.h"
#include "widgets/analysis.h"
#include "widgets/recipeeditor.h"
#include "widgets/tunepanel.h"

#include <QComboBox>
#include <QSignalSpy>
#include <QtTest>

class TestSession : public QObject {
    Q_OBJECT

private slots:
    void init() { strict::failOnWarnings(); }
    void recipeChangeForgetsOnlyWhatItChanges();
    void analysisMeasuresEverything();
    void analysisMeasuresAgainWhatChanged();
    void heldAnalysisOnlyEstimates();
    void analysisTakesTheSelectedTensorFirst();
    void changesAreUndone();
    void aDragIsOneStep();
    void whatDoesNotFitIsRefused();
    void newModelBeginsANewHistory();
    void panelShowsAndChangesTheChoice();
};

namespace {

using quern::findBlockFormat;
using quern::findQuantizer;

constexpr int kTensors = 6;

std::shared_ptr<const quern::Model> smallModel()
{
    auto model = std::make_shared<quern::Model>();
    std::uint64_t seed = 0;
    for (const char* name : {"token_embd.weight", "blk.0.ffn_up.weight", "blk.0.ffn_down.weight", "blk.1.ffn_up.weight",
                             "blk.1.ffn_down.weight", "output.weight"})
        modelmaker::add(*model, name, {16, 64}, modelmaker::normalWeights(16 * 64, ++seed));
    return model;
}

quern::Recipe recipe(const char* pattern, const char* format)
{
    return {
        .name = {}, .preset = nullptr, .rules = {{pattern, {findQuantizer("nearest"), findBlockFormat(format), {}}}}};
}

} // namespace

void TestSession::recipeChangeForgetsOnlyWhatItChanges()
{
    Session session;
    session.setModel(smallModel());
    for (int i = 0; i < kTensors; ++i)
        session.setError(i, {{}, true});
    session.setRecipe(recipe("blk.*.ffn_up.weight", "Q8_0"));
    QVERIFY2(session.plan(), qPrintable(session.planError()));
    for (const int changed : {1, 3})
        QVERIFY(!session.error(changed));
    for (const int kept : {0, 2, 4, 5})
        QVERIFY(session.error(kept));
}

void TestSession::analysisMeasuresEverything()
{
    Session session;
    Analysis analysis(&session);
    QSignalSpy completed(&analysis, &Analysis::completed);
    session.setRecipe(recipe("*", "Q8_0"));
    session.setModel(smallModel());
    QVERIFY(!analysis.complete());
    QVERIFY(completed.wait());
    for (int i = 0; i < kTensors; ++i) {
        QVERIFY(session.stats(i));
        QCOMPARE(session.stats(i)->count, 16U * 64U);
        QVERIFY(session.error(i) && session.error(i)->exact);
        QVERIFY(session.error(i)->distortion.relative() > 0.001 && session.error(i)->distortion.relative() < 0.02);
    }
    QVERIFY(analysis.complete());
    QCOMPARE(analysis.fraction(), 1.0);
}

void TestSession::analysisMeasuresAgainWhatChanged()
{
    Session session;
    Analysis analysis(&session);
    QSignalSpy completed(&analysis, &Analysis::completed);
    session.setRecipe(recipe("*", "Q8_0"));
    session.setModel(smallModel());
    QVERIFY(completed.wait());
    QSet<int> measured;
    connect(&session, &Session::errorChanged, this, [&](int tensor) { measured << tensor; });
    auto changed = recipe("*", "Q8_0");
    changed.rules.push_back({"blk.1.*", {findQuantizer("nearest"), findBlockFormat("Q4_0"), {}}});
    const double before = session.error(3)->distortion.relative();
    session.setRecipe(changed);
    QVERIFY(completed.wait());
    QCOMPARE(measured, (QSet<int> {3, 4}));
    QVERIFY(session.error(3)->distortion.relative() > 4 * before);
}

void TestSession::heldAnalysisOnlyEstimates()
{
    Session session;
    auto model = std::make_shared<quern::Model>();
    modelmaker::add(*model, "blk.0.ffn_up.weight", {4096, 256}, modelmaker::normalWeights(4096 * 256, 1));
    Analysis analysis(&session);
    analysis.hold();
    session.setRecipe(recipe("*", "Q8_0"));
    session.setModel(model);
    QTRY_VERIFY(session.error(0));
    QVERIFY(!session.error(0)->exact);
    QVERIFY(!session.stats(0));
    const double estimate = session.error(0)->distortion.relative();
    analysis.release();
    QTRY_VERIFY(session.error(0)->exact);
    const double exact = session.error(0)->distortion.relative();
    QVERIFY(std::abs(estimate - exact) < 0.1 * exact);
}

void TestSession::analysisTakesTheSelectedTensorFirst()
{
    Session session;
    Analysis analysis(&session);
    QList<int> order;
    connect(&session, &Session::statsChanged, this, [&](int tensor) { order << tensor; });
    analysis.hold();
    session.setModel(smallModel());
    session.select(4);
    analysis.release();
    QTRY_COMPARE(order.size(), kTensors);
    QCOMPARE(order.front(), 4);
    QCOMPARE(order.mid(1), (QList<int> {0, 1, 2, 3, 5}));
}

void TestSession::changesAreUndone()
{
    Session session;
    RecipeEditor editor(&session);
    session.setModel(smallModel());
    const quern::Recipe a = recipe("*", "Q8_0"), b = recipe("*", "Q4_0");
    editor.change(a, "a");
    QVERIFY(editor.wanted() == a);
    QTRY_VERIFY(session.recipe() == a);
    editor.change(b, "b");
    QTRY_VERIFY(session.recipe() == b);
    QCOMPARE(editor.history()->count(), 2);
    editor.history()->undo();
    QTRY_VERIFY(session.recipe() == a);
    editor.history()->undo();
    QTRY_VERIFY(session.recipe() == quern::Recipe {});
    editor.history()->redo();
    QTRY_VERIFY(session.recipe() == a);
    QCOMPARE(editor.history()->count(), 2);
}

void TestSession::aDragIsOneStep()
{
    Session session;
    RecipeEditor editor(&session);
    session.setModel(smallModel());
    const int gesture = editor.newGesture();
    for (const char* format : {"Q8_0", "Q5_0", "Q4_0"}) {
        editor.change(recipe("*", format), format, gesture);
        QTRY_VERIFY(session.recipe() == recipe("*", format));
    }
    QCOMPARE(editor.history()->count(), 1);
    editor.change(recipe("*", "F16"), "next", editor.newGesture());
    QTRY_VERIFY(session.recipe() == recipe("*", "F16"));
    QCOMPARE(editor.history()->count(), 2);
    editor.history()->undo();
    editor.history()->undo();
    QTRY_VERIFY(session.recipe() == quern::Recipe {});
}

void TestSession::whatDoesNotFitIsRefused()
{
    Session session;
    RecipeEditor editor(&session);
    QSignalSpy refused(&editor, &RecipeEditor::refused);
    session.setModel(smallModel());
    editor.change(recipe("output.weight", "Q4_K"), "superblocks of 256 in rows of 64");
    QVERIFY(refused.wait());
    QVERIFY(refused[0][0].toString().contains("output.weight"));
    QVERIFY(session.recipe() == quern::Recipe {});
    QVERIFY(editor.wanted() == quern::Recipe {});
    QVERIFY(session.plan());
    QCOMPARE(editor.history()->count(), 0);
}

void TestSession::newModelBeginsANewHistory()
{
    Session session;
    RecipeEditor editor(&session);
    session.setModel(smallModel());
    editor.change(recipe("*", "Q8_0"), "a");
    QTRY_COMPARE(editor.history()->count(), 1);
    editor.change(recipe("*", "Q4_0"), "too late");
    session.setModel(smallModel());
    QCOMPARE(editor.history()->count(), 0);
    QTest::qWait(20);
    QVERIFY(session.recipe() == recipe("*", "Q8_0"));
}

void TestSession::panelShowsAndChangesTheChoice()
{
    Session session;
    RecipeEditor editor(&session);
    TunePanel panel(&session, &editor);
    session.setModel(smallModel());
    session.setRecipe(recipe("*", "Q8_0"));
    session.select(2);
    panel.show();
    const auto boxes = panel.findChildren<QComboBox*>();
    const auto formats = std::ranges::find_if(boxes, [](QComboBox* box) {
        return box->findText("Q4_0: 4.50 bits") >= 0 && box->findText("Q8_0: 8.50 bits") >= 0;
    });
    QVERIFY(formats != boxes.end());
    QCOMPARE((*formats)->currentText(), QString("Q8_0: 8.50 bits"));
    const auto choose = [&](const QString& format) {
        (*formats)->setCurrentIndex((*formats)->findText(format + u':', Qt::MatchStartsWith));
        emit(*formats)->activated((*formats)->currentIndex());
    };
    choose("Q4_0");
    QTRY_COMPARE(session.plan()->tensors[2].choice.format, findBlockFormat("Q4_0"));
    QCOMPARE(session.plan()->tensors[4].choice.format, findBlockFormat("Q8_0"));
    panel.setReach(quern::Reach::Kind);
    choose("F16");
    QTRY_COMPARE(session.plan()->tensors[4].choice.format, findBlockFormat("F16"));
    QCOMPARE(session.plan()->tensors[2].choice.format, findBlockFormat("F16"));
    QCOMPARE(session.plan()->tensors[1].choice.format, findBlockFormat("Q8_0"));
}

QTEST_MAIN(TestSession)
#include "tst_session.moc"
