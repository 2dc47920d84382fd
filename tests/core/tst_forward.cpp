#include "core/huggingface.h"
#include "tests/core/judgeprocess.h"
#include "tests/core/reference.h"
#include "tests/core/tinyfamilies.h"
#include "tests/judge/llama.h"

#include <QTest>

// What llama.cpp computes from an exported model is what transformers computes from the folder: names, row order,
// shapes and every hyperparameter are right, not only there.
class ForwardTest final : public QObject {
    Q_OBJECT

private slots:
    void llamaCppComputesWhatTransformersDoes_data()
    {
        QTest::addColumn<QString>("row");
        for (const tiny::Case& c : tiny::cases())
            QTest::newRow(c.row) << c.row;
    }
    void llamaCppComputesWhatTransformersDoes()
    {
        QFETCH(QString, row);
        if (const QString absent = judge::absent(); !absent.isEmpty())
            QSKIP(qPrintable(absent));
        tiny::Folder folder;
        tiny::fill(folder, row.toStdString());
        const std::string file = folder.path() + "/out.gguf";
        judge::exportAsF32(quern::openModel(folder.written()), file);

        std::vector<int> tokens(80); // more than the windows and the original contexts
        for (int i = 0; int& token : tokens)
            token = (i++ * 37 + 11) % tiny::kTokens;
        const judge::Logits found = judge::Llama::open(file, {.exact = true, .threads = 1}).logits(tokens);
        const tiny::Layout layout = tiny::layout(row.toStdString());
        const reference::Matrix expected = reference::Transformer(folder, layout).logits(tokens);
        QCOMPARE(static_cast<long>(found.rows), expected.rows());
        QCOMPARE(static_cast<long>(found.cols), expected.cols());
        double error = 0, power = 0;
        for (std::size_t t = 0; t < found.rows; ++t)
            for (std::size_t i = 0; i < found.cols; ++i) {
                const double e = expected(static_cast<long>(t), static_cast<long>(i));
                error += std::pow(found.row(t)[i] - e, 2);
                power += e * e;
            }
        // ggml takes GELU from a table of half floats.
        const double relative = std::sqrt(error / power), allowed = layout.normMean == 0 ? 2e-3 : 1e-5;
        QVERIFY2(relative < allowed, qPrintable(QString::number(relative)));
    }
};

QTEST_GUILESS_MAIN(ForwardTest)
#include "tst_forward.moc"
