// Our encoders against ggml's: same rows, same importance, same bytes, at most the same error.
#include "core/blockformat.h"
#include "tests/judge/ggml.h"

#include <QTest>

#include <cmath>
#include <random>

using namespace quern;

static void formats();

class TestEncoders : public QObject {
    Q_OBJECT

private slots:
    void loseLessThanGgml_data() { formats(); }
    void loseLessThanGgml();
    void passGgmlsValidation_data() { formats(); }
    void passGgmlsValidation();
};

namespace {

const judge::Ggml& ggml()
{
    return judge::Ggml::instance();
}

constexpr long kRows = 8, kCols = 1024;
constexpr long kFewRows = 1; // of codebook formats, whose encoders, and ggml's, take long

enum class Shape { Normal, Laplace, Student, Outliers, Drifting };

// Weights as they occur: heavy tails, channels of outliers, groups of unlike size that are not centred.
std::vector<float> rowsOf(Shape shape)
{
    std::mt19937 random(11);
    std::normal_distribution<float> normal;
    std::exponential_distribution<float> exponential;
    std::student_t_distribution<float> student(4);
    std::vector<float> x(kRows * kCols);
    for (std::size_t i = 0; i < x.size(); ++i) {
        const float v = normal(random), where = static_cast<float>(i % kCols);
        switch (shape) {
        case Shape::Normal:
            x[i] = v;
            break;
        case Shape::Laplace:
            x[i] = std::copysign(exponential(random), v);
            break;
        case Shape::Student:
            x[i] = student(random);
            break;
        case Shape::Outliers:
            x[i] = i % kCols % 97 == 0 ? 20 * v : v;
            break;
        case Shape::Drifting:
            x[i] = v * std::exp(0.7f * std::sin(where / 20)) + 0.3f * std::sin(where / 64);
            break;
        }
        x[i] *= 0.02f;
    }
    return x;
}

std::vector<float> importanceOf(bool given)
{
    std::mt19937 random(12);
    std::normal_distribution<float> normal;
    std::vector<float> w(given ? kCols : 0);
    for (float& v : w)
        v = std::exp(1.5f * normal(random));
    return w;
}

std::vector<std::byte> encodedByUs(const BlockFormat& format, std::span<const float> x,
                                   std::span<const float> importance)
{
    const auto cols = static_cast<std::size_t>(kCols);
    const std::size_t rowBytes = format.rowBytes(kCols);
    std::vector<std::byte> blocks(x.size() / cols * rowBytes);
    for (std::size_t row = 0; row < x.size() / cols; ++row)
        format.encode(format, x.subspan(row * cols, cols), {.importance = importance}, blocks.data() + row * rowBytes);
    return blocks;
}

double error(std::span<const float> x, const std::vector<std::byte>& blocks, int id, std::span<const float> importance)
{
    const std::vector<float> y = ggml().decode(id, blocks, static_cast<std::int64_t>(x.size()));
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i)
        sum += (importance.empty() ? 1.0 : double(importance[i % kCols])) * std::pow(double(x[i]) - double(y[i]), 2);
    return sum;
}

} // namespace

static void formats()
{
    QTest::addColumn<int>("id");
    for (const BlockFormat* format : blockFormats())
        if (format->encode && format->inGguf() && !format->floating())
            QTest::newRow(std::string(format->name).c_str()) << static_cast<int>(format->id);
}

void TestEncoders::loseLessThanGgml()
{
    if (!ggml().available())
        QSKIP(ggml().reason().c_str());
    QFETCH(int, id);
    const BlockFormat& format = *findBlockFormat(static_cast<std::uint32_t>(id));
    const long rows = format.group > 1 ? kFewRows : kRows;
    for (const bool given : {false, true}) {
        if (!given && ggml().find(id)->needsImportance)
            continue;
        const std::vector<float> importance = importanceOf(given);
        for (const Shape shape : {Shape::Normal, Shape::Laplace, Shape::Student, Shape::Outliers, Shape::Drifting}) {
            std::vector<float> x = rowsOf(shape);
            x.resize(static_cast<std::size_t>(rows * kCols));
            const double ours = error(x, encodedByUs(format, x, importance), id, importance);
            const double theirs
                = error(x, ggml().encode(id, x, rows, kCols, given ? importance.data() : nullptr), id, importance);
            QVERIFY2(ours <= theirs,
                     qPrintable(QString("importance %1, shape %2: %3 of ggml's error")
                                    .arg(given)
                                    .arg(int(shape))
                                    .arg(ours / theirs)));
        }
    }
}

void TestEncoders::passGgmlsValidation()
{
    if (!ggml().available())
        QSKIP(ggml().reason().c_str());
    QFETCH(int, id);
    const BlockFormat& format = *findBlockFormat(static_cast<std::uint32_t>(id));
    for (const float scale : {0.0f, 1e-42f, 1e-8f, 1e5f, 1e12f, 3e37f}) {
        std::vector<float> x = rowsOf(Shape::Normal);
        x.resize(kFewRows * kCols);
        for (float& v : x)
            v = std::clamp(50 * v, -5.0f, 5.0f) * scale;
        x[3] = 3e38f; // one row with an outlier beyond every scale
        const std::vector<std::byte> blocks = encodedByUs(format, x, importanceOf(true));
        QVERIFY2(ggml().validate(id, blocks), qPrintable(QString::number(scale)));
        for (const float v : ggml().decode(id, blocks, static_cast<std::int64_t>(x.size())))
            QVERIFY(std::isfinite(v));
    }
}

QTEST_GUILESS_MAIN(TestEncoders)
#include "tst_encoders.moc"
