#include "core/pyramid.h"

#include "core/modelmaker.h"

#include <QTest>

#include <cmath>
#include <limits>

using namespace quern;

namespace {

struct View {
    double row, col, height, width;
    long outRows, outCols;
};

std::vector<float> pixels(const Pyramid& pyramid, const View& v)
{
    std::vector<float> out(static_cast<std::size_t>(v.outRows * v.outCols));
    pyramid.window({v.row, v.col, v.height, v.width}, v.outRows, v.outCols, out.data());
    return out;
}

// Largest magnitude of the weights that a pixel covers, widened by `margin` weights on each side; -1 if there are none.
float covered(const Matrix& w, const View& v, long y, long x, double margin)
{
    const double rows = v.height / static_cast<double>(v.outRows), cols = v.width / static_cast<double>(v.outCols);
    const auto clamp = [](double a, long n) { return std::clamp(static_cast<long>(a), 0L, n); };
    const long r0 = clamp(std::floor(v.row + rows * static_cast<double>(y) - margin), w.rows());
    const long r1 = clamp(std::ceil(v.row + rows * static_cast<double>(y + 1) + margin), w.rows());
    const long c0 = clamp(std::floor(v.col + cols * static_cast<double>(x) - margin), w.cols());
    const long c1 = clamp(std::ceil(v.col + cols * static_cast<double>(x + 1) + margin), w.cols());
    return r0 < r1 && c0 < c1 ? w.block(r0, c0, r1 - r0, c1 - c0).cwiseAbs().maxCoeff() : -1.0F;
}

void addViews()
{
    QTest::addColumn<QList<double>>("view");
    const auto view = [](const char* name, const QList<double>& v) { QTest::addRow("%s", name) << v; };
    view("all", {0, 0, 517, 1031, 100, 120});
    view("all, coarse", {0, 0, 517, 1031, 7, 9});
    view("all, finer than 1:1", {0, 0, 517, 1031, 700, 1200});
    view("part, 2:1", {100.5, 300.25, 200, 240, 100, 120});
    view("part, just below 4:1", {3, 5, 399, 479, 100, 120});
    view("part, just above 4:1", {3, 5, 401, 481, 100, 120});
    view("close", {40.3, 20.7, 6.5, 9.25, 65, 80});
    view("anisotropic", {0, 0, 517, 60, 20, 120});
    view("beyond the edges", {-50, -60, 700, 1300, 90, 110});
    view("outside", {600, 2000, 50, 50, 10, 10});
}

} // namespace

class TestPyramid : public QObject {
    Q_OBJECT

private slots:
    void neverLosesAWeight_data() { addViews(); }
    void neverLosesAWeight();
    void showsAnOutlierAtAnyZoom();
    void showsErrors();
    void readsAnyFormat_data();
    void readsAnyFormat();
    void showsWeightsThatAreNoNumbersAsInfinite();
    void showsMatricesOfOneRowOrColumn();
};

void TestPyramid::neverLosesAWeight()
{
    QFETCH(QList<double>, view);
    const View v {view[0], view[1], view[2], view[3], static_cast<long>(view[4]), static_cast<long>(view[5])};
    Model model;
    const Tensor& tensor = modelmaker::add(model, "w", {517, 1031}, modelmaker::normalWeights(517 * 1031, 3), "BF16");
    const Matrix w = decoded(tensor);
    NoProgress progress;
    const Pyramid pyramid = Pyramid::ofWeights(tensor, progress);
    QCOMPARE(pyramid.rows(), 517L);
    QCOMPARE(pyramid.largest(), w.cwiseAbs().maxCoeff());
    const std::vector<float> out = pixels(pyramid, v);
    const double size = std::min(v.height / static_cast<double>(v.outRows), v.width / static_cast<double>(v.outCols));
    for (long y = 0; y < v.outRows; ++y)
        for (long x = 0; x < v.outCols; ++x) {
            const float shown = out[static_cast<std::size_t>(y * v.outCols + x)];
            const float least = covered(w, v, y, x, -1e-9);
            if (least < 0) {
                QVERIFY(std::isnan(shown) || shown <= covered(w, v, y, x, size));
                continue;
            }
            QVERIFY(shown >= least);
            // A pixel reaches into its neighbours by less than its own size, to the next whole weight.
            QVERIFY(shown <= covered(w, v, y, x, size < 4 ? 1e-9 : size));
        }
}

void TestPyramid::showsAnOutlierAtAnyZoom()
{
    Model model;
    auto weights = modelmaker::normalWeights(1000 * 1500, 5);
    weights[777 * 1500 + 1234] = -3.25F;
    const Tensor& tensor = modelmaker::add(model, "w", {1000, 1500}, weights, "F16");
    NoProgress progress;
    const Pyramid pyramid = Pyramid::ofWeights(tensor, progress);
    double zoom = 1;
    for (int step = 0; step < 27; ++step, zoom *= 1.3) { // to 917 times
        const View v {777.5 - 500 / zoom, 1234.5 - 750 / zoom, 1000 / zoom, 1500 / zoom, 80, 120};
        const auto out = pixels(pyramid, v);
        float most = 0;
        for (const float shown : out)
            most = std::isnan(shown) ? most : std::max(most, shown);
        QCOMPARE(most, 3.25F);
        QCOMPARE(out[40 * 120 + 60], 3.25F); // where it belongs
    }
}

void TestPyramid::showsErrors()
{
    Model model;
    const auto weights = modelmaker::normalWeights(200 * 256, 6);
    modelmaker::add(model, "w", {200, 256}, weights, "BF16");
    modelmaker::add(model, "q", {200, 256}, weights, "Q4_0");
    NoProgress progress;
    const Pyramid pyramid = Pyramid::ofErrors(model.tensors[0], model.tensors[1], progress);
    const Matrix error = (decoded(model.tensors[0]) - decoded(model.tensors[1])).cwiseAbs();
    QCOMPARE(pyramid.largest(), error.maxCoeff());
    const auto out = pixels(pyramid, {0, 0, 200, 256, 200, 256});
    for (long i = 0; i < error.size(); ++i)
        QCOMPARE(out[static_cast<std::size_t>(i)], error.data()[i]);
}

void TestPyramid::readsAnyFormat_data()
{
    QTest::addColumn<QString>("format");
    for (const char* format : {"F32", "Q8_0", "Q4_K", "Q6_K", "INT4_ROW_SYM"})
        QTest::addRow("%s", format) << format;
}

void TestPyramid::readsAnyFormat()
{
    QFETCH(QString, format);
    QVERIFY2(findBlockFormat(format.toStdString()), "the catalogue lacks it");
    Model model;
    const Tensor& tensor
        = modelmaker::add(model, "w", {40, 512}, modelmaker::normalWeights(40 * 512, 8), format.toUtf8().constData());
    NoProgress progress;
    const Pyramid pyramid = Pyramid::ofWeights(tensor, progress);
    const Matrix w = decoded(tensor).cwiseAbs();
    const auto out = pixels(pyramid, {3, 37, 20, 301, 20, 301}); // starts and ends within blocks
    for (long y = 0; y < 20; ++y)
        for (long x = 0; x < 301; ++x)
            QCOMPARE(out[static_cast<std::size_t>(y * 301 + x)], w(3 + y, 37 + x));
}

void TestPyramid::showsWeightsThatAreNoNumbersAsInfinite()
{
    Model model;
    std::vector<float> weights(512 * 512, 0.5F);
    weights[100 * 512 + 200] = std::numeric_limits<float>::quiet_NaN();
    NoProgress progress;
    const Pyramid pyramid = Pyramid::ofWeights(modelmaker::add(model, "w", {512, 512}, weights, "F32"), progress);
    QCOMPARE(pyramid.largest(), 0.5F);
    QVERIFY(std::isinf(pixels(pyramid, {0, 0, 512, 512, 4, 4})[1]));
    QCOMPARE(pixels(pyramid, {0, 0, 512, 512, 4, 4})[0], 0.5F);
    QVERIFY(std::isinf(pixels(pyramid, {100, 200, 1, 1, 1, 1})[0]));
}

void TestPyramid::showsMatricesOfOneRowOrColumn()
{
    NoProgress progress;
    Matrix row = Eigen::RowVectorXf::LinSpaced(1000, 0, 999);
    QCOMPARE(pixels(Pyramid::ofMatrix(row, progress), {0, 0, 1, 1000, 1, 10})[9], 999.0F);
    Matrix column = row.transpose();
    QCOMPARE(pixels(Pyramid::ofMatrix(column, progress), {0, 0, 1000, 1, 10, 1})[0], 99.0F);
    const Pyramid empty = Pyramid::ofMatrix(Matrix(0, 5), progress);
    QVERIFY(std::isnan(pixels(empty, {0, 0, 1, 1, 1, 1})[0]));
}

QTEST_GUILESS_MAIN(TestPyramid)
#include "tst_pyramid.moc"
