#include "core/modelmaker.h"
#include "core/preset.h"
#include "core/scope.h"
#include "tests/strict.h"
#include "widgets/models/metadatamodel.h"
#include "widgets/models/tensormodel.h"
#include "widgets/table.h"
#include "widgets/text.h"

#include <QAbstractItemModelTester>
#include <QClipboard>
#include <QSignalSpy>
#include <QStandardItemModel>
#include <QtTest>

class TestModels : public QObject {
    Q_OBJECT

private slots:
    void init() { strict::failOnWarnings(); }
    void figuresKeepTheirDigits_data();
    void figuresKeepTheirDigits();
    void layersStandAboveTheirTensors();
    void flatListsTensorsSideBySide();
    void cellsFollowTheSession();
    void metadataIsShownWithItsTypes();
    void csvQuotesWhatItMust();
    void selectionIsCopiedAsText();
};

namespace {

std::shared_ptr<const quern::Model> smallModel()
{
    auto model = std::make_shared<quern::Model>();
    const std::vector<float> weights(64 * 4, 0.5F);
    for (const char* name :
         {"token_embd.weight", "blk.0.ffn_up.weight", "blk.0.ffn_down.weight", "blk.1.ffn_up.weight", "output.weight"})
        modelmaker::add(*model, name, {4, 64}, weights);
    model->metadata.set("general.architecture", std::string("llama"));
    model->metadata.set("llama.block_count", std::uint32_t {2});
    model->metadata.set("tokens", quern::MetaArray(std::vector<std::string>(100, "a")));
    model->metadata.set("flag", true);
    return model;
}

QModelIndexList rowsOf(const QAbstractItemModel& model, const QModelIndex& parent = {})
{
    QModelIndexList rows;
    for (int row = 0; row < model.rowCount(parent); ++row)
        rows << model.index(row, 0, parent);
    return rows;
}

QStringList names(const QModelIndexList& rows)
{
    QStringList names;
    for (const QModelIndex& row : rows)
        names << row.data().toString();
    return names;
}

} // namespace

void TestModels::figuresKeepTheirDigits_data()
{
    QTest::addColumn<double>("value");
    QTest::addColumn<QString>("written");
    QTest::newRow("zeros that say something") << 0.07 << "0.0700";
    QTest::newRow("none") << 0.0 << "0";
    QTest::newRow("rounded up to the next decade") << 0.09996 << "0.100";
    QTest::newRow("whole") << 23.0 << "23.0";
    QTest::newRow("many") << 2753.4 << "2,753";
    QTest::newRow("tiny") << 5.526e-5 << "5.53·10⁻⁵";
    QTest::newRow("huge, negative") << -3.0e38 << "-3.00·10³⁸";
    QTest::newRow("not a number") << std::numeric_limits<double>::quiet_NaN() << "–";
}

void TestModels::figuresKeepTheirDigits()
{
    QFETCH(double, value);
    QTEST(figure(value), "written");
}

void TestModels::layersStandAboveTheirTensors()
{
    Session session;
    TensorModel tensors(&session);
    QAbstractItemModelTester tester(&tensors, QAbstractItemModelTester::FailureReportingMode::QtTest);
    QCOMPARE(tensors.rowCount(), 0);
    session.setModel(smallModel());
    QCOMPARE(names(rowsOf(tensors)), (QStringList {"token_embd", "blk.0", "blk.1", "output"}));
    QCOMPARE(names(rowsOf(tensors, tensors.index(1, 0))), (QStringList {"ffn_up", "ffn_down"}));
    for (int i = 0; i < 5; ++i)
        QCOMPARE(tensors.indexOf(i).data(TensorModel::kTensorRole).toInt(), i);
    QVERIFY(!tensors.indexOf(5).isValid());
    session.setModel(nullptr);
    QCOMPARE(tensors.rowCount(), 0);
}

void TestModels::flatListsTensorsSideBySide()
{
    Session session;
    TensorModel tensors(&session);
    QAbstractItemModelTester tester(&tensors, QAbstractItemModelTester::FailureReportingMode::QtTest);
    session.setModel(smallModel());
    tensors.setFlat(true);
    QCOMPARE(tensors.rowCount(), 5);
    QCOMPARE(tensors.index(1, 0).data().toString(), QString("blk.0.ffn_up.weight"));
    QCOMPARE(tensors.rowCount(tensors.index(1, 0)), 0);
}

void TestModels::cellsFollowTheSession()
{
    Session session;
    TensorModel tensors(&session);
    QAbstractItemModelTester tester(&tensors, QAbstractItemModelTester::FailureReportingMode::QtTest);
    session.setModel(smallModel());
    const QModelIndex down = tensors.indexOf(2);
    const auto cell = [&](int column) { return down.siblingAtColumn(column).data().toString(); };
    QCOMPARE(cell(TensorModel::Source), QString("F32"));
    QCOMPARE(cell(TensorModel::Target), QString("F32"));
    QCOMPARE(cell(TensorModel::State), QString("not measured"));

    QSignalSpy changed(&tensors, &TensorModel::dataChanged);
    session.setRecipe({.rules = {{"blk.*", {quern::findQuantizer("nearest"), quern::findBlockFormat("Q8_0"), {}}}}});
    QVERIFY(session.planError().isEmpty());
    QVERIFY(!changed.isEmpty());
    QCOMPARE(cell(TensorModel::Target), QString("Q8_0"));
    QCOMPARE(down.siblingAtColumn(TensorModel::BitsPerWeight).data(TensorModel::kSortRole).toDouble(), 8.5);

    quern::Distortion distortion;
    distortion.errorSquares = 1;
    distortion.weightSquares = 4;
    session.setError(2, {distortion, false});
    QVERIFY(cell(TensorModel::Error).startsWith("~"));
    QCOMPARE(cell(TensorModel::State), QString("estimated"));
    session.setError(2, {distortion, true});
    QVERIFY(!cell(TensorModel::Error).startsWith("~"));
    QCOMPARE(down.siblingAtColumn(TensorModel::Error).data(TensorModel::kSortRole).toDouble(), 0.5);
    QCOMPARE(down.parent().siblingAtColumn(TensorModel::Error).data(TensorModel::kSortRole).toDouble(), 0.5);
    session.setFailure(2, "It is gone.");
    QCOMPARE(cell(TensorModel::State), QString("failed"));
}

void TestModels::metadataIsShownWithItsTypes()
{
    MetadataModel metadata;
    QAbstractItemModelTester tester(&metadata, QAbstractItemModelTester::FailureReportingMode::QtTest);
    metadata.setModel(smallModel());
    QCOMPARE(metadata.rowCount(), 4);
    const auto cell = [&](int row, int column) { return metadata.index(row, column).data().toString(); };
    QCOMPARE(cell(0, MetadataModel::Value), QString("llama"));
    QCOMPARE(cell(1, MetadataModel::Type), QString("uint32"));
    QCOMPARE(cell(1, MetadataModel::Value), QString("2"));
    QCOMPARE(cell(2, MetadataModel::Type), QString("string[100]"));
    QVERIFY(cell(2, MetadataModel::Value).endsWith("…]"));
    QCOMPARE(cell(3, MetadataModel::Value), QString("true"));
    metadata.setModel(nullptr);
    QCOMPARE(metadata.rowCount(), 0);
}

void TestModels::csvQuotesWhatItMust()
{
    QStandardItemModel model;
    model.setHorizontalHeaderLabels({"a", "b, c"});
    model.appendRow({new QStandardItem("say \"x\""), new QStandardItem("plain")});
    model.item(0)->appendRow({new QStandardItem("child"), new QStandardItem("2")});
    QCOMPARE(csvText(model), QString("a,\"b, c\"\r\n\"say \"\"x\"\"\",plain\r\nchild,2\r\n"));
}

void TestModels::selectionIsCopiedAsText()
{
    QStandardItemModel model(3, 2);
    for (int row = 0; row < 3; ++row)
        for (int column = 0; column < 2; ++column)
            model.setItem(row, column, new QStandardItem(QString("%1%2").arg(row).arg(column)));
    Table table;
    table.setModel(&model);
    table.setColumnHidden(1, false);
    table.show();
    table.selectionModel()->select(model.index(2, 0), QItemSelectionModel::Select | QItemSelectionModel::Rows);
    table.selectionModel()->select(model.index(0, 0), QItemSelectionModel::Select | QItemSelectionModel::Rows);
    QTest::keyClick(&table, Qt::Key_C, Qt::ControlModifier);
    QCOMPARE(QGuiApplication::clipboard()->text(), QString("00\t01\n20\t21"));
}

QTEST_MAIN(TestModels)
#include "tst_models.moc"
