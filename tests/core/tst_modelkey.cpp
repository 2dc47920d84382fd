#include "core/modelkey.h"
#include "tests/core/modelmaker.h"

#include <QtTest>

using namespace quern;

class TestModelKey : public QObject {
    Q_OBJECT

private slots:
    void tellsTrainingsApart()
    {
        const auto made = [](std::uint64_t seed) {
            Model model;
            modelmaker::add(model, "a.weight", {64, 64}, modelmaker::normalWeights(64 * 64, 1));
            modelmaker::add(model, "b.weight", {64, 64}, modelmaker::normalWeights(64 * 64, seed));
            return model;
        };
        QCOMPARE(modelKey(made(2)), modelKey(made(2)));
        QVERIFY(modelKey(made(2)) != modelKey(made(3)));
        QCOMPARE(modelKey(made(2)).size(), std::size_t {64});
        Model other = made(2);
        other.sourceHash = "another";
        QVERIFY(modelKey(other) != modelKey(made(2)));
        other = made(2);
        other.tensors[1].name = "c.weight";
        QVERIFY(modelKey(other) != modelKey(made(2)));
        QVERIFY(!modelKey({}).empty());
    }
};

QTEST_GUILESS_MAIN(TestModelKey)
#include "tst_modelkey.moc"
