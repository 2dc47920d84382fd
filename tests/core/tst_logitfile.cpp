#include "core/logitfile.h"

#include "core/error.h"
#include "core/modelmaker.h"

#include <QTemporaryDir>
#include <QTest>

#include <cstring>
#include <fstream>
#include <functional>

using namespace quern;
namespace fs = std::filesystem;

namespace {

using Bytes = std::vector<char>;

Bytes contents(const fs::path& path)
{
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

void save(const fs::path& path, const Bytes& bytes)
{
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

void set(Bytes& bytes, std::size_t offset, std::int32_t value)
{
    std::memcpy(bytes.data() + offset, &value, sizeof value);
}

Chunks someChunks(long context, long count, int vocabulary)
{
    Chunks chunks {context, {}};
    for (long i = 0; i < context * count; ++i)
        chunks.tokens.push_back(static_cast<int>(i * 7 % vocabulary));
    return chunks;
}

} // namespace

class TestLogitFile : public QObject {
    Q_OBJECT

private slots:
    void init();
    void readsWhatItWrote_data();
    void readsWhatItWrote();
    void isAsLongAsLlamaPerplexitys();
    void layoutIsAsDocumented();
    void refuses_data();
    void refuses();
    void refusesBadScales();
    void leavesNothingBehind();

private:
    QTemporaryDir m_folder;
    fs::path m_path;
};

void TestLogitFile::init()
{
    m_path = fs::path(m_folder.path().toStdString()) / "base.kld";
    fs::remove(m_path);
}

void TestLogitFile::readsWhatItWrote_data()
{
    QTest::addColumn<int>("vocabulary");
    QTest::addColumn<int>("context");
    QTest::newRow("even") << 12 << 16;
    QTest::newRow("odd, padded") << 13 << 17;
}

void TestLogitFile::readsWhatItWrote()
{
    QFETCH(int, vocabulary);
    QFETCH(int, context);
    const Chunks chunks = someChunks(context, 3, vocabulary);
    LogitWriter writer(m_path, chunks, vocabulary, false);
    for (long c = 2; c >= 0; --c)
        for (long i = 0; i < chunks.scored(); ++i)
            writer.write(c, i, modelmaker::normalWeights(vocabulary, static_cast<unsigned>(c * 100 + i)));
    writer.commit();

    const LogitFile file = LogitFile::open(m_path);
    QCOMPARE(file.chunks().tokens, chunks.tokens);
    QCOMPARE(file.chunks().context, chunks.context);
    QCOMPARE(file.vocabulary(), static_cast<long>(vocabulary));
    for (long c = 0; c < 3; ++c)
        for (long i = 0; i < chunks.scored(); ++i) {
            const auto logits = modelmaker::normalWeights(vocabulary, static_cast<unsigned>(c * 100 + i));
            std::vector<std::uint16_t> codes(logits.size());
            const StoredDistribution expected = stored(logits, codes), found = file.distribution(c, i);
            QCOMPARE(found.scale, expected.scale);
            QCOMPARE(found.lowest, expected.lowest);
            QVERIFY(std::ranges::equal(found.codes, codes));
        }
}

void TestLogitFile::isAsLongAsLlamaPerplexitys()
{
    // Of a file that llama-perplexity wrote: 8 chunks of 256 tokens, a vocabulary of 2000.
    LogitWriter writer(m_path, someChunks(256, 8, 2000), 2000, false);
    writer.commit();
    QCOMPARE(fs::file_size(m_path), std::uintmax_t {4080340});
}

void TestLogitFile::layoutIsAsDocumented()
{
    const Chunks chunks = someChunks(4, 1, 3); // one prediction
    LogitWriter writer(m_path, chunks, 3, false);
    writer.write(0, 0, std::vector<float> {0, -8, -16});
    writer.commit();
    const Bytes bytes = contents(m_path);
    QCOMPARE(bytes.size(), std::size_t {8 + 12 + 16 + 8 + 8});
    QCOMPARE(std::string(bytes.data(), 8), std::string("_logits_"));
    std::int32_t header[7];
    std::memcpy(header, bytes.data() + 8, sizeof header);
    QCOMPARE(std::vector<std::int32_t>(header, header + 7), (std::vector<std::int32_t> {4, 3, 1, 0, 1, 2, 0}));
    std::uint16_t codes[4];
    std::memcpy(codes, bytes.data() + 44, sizeof codes);
    QCOMPARE(codes[0], std::uint16_t {65535});
    QCOMPARE(codes[1], std::uint16_t {32768}); // half-way, 32767.5, to even
    QCOMPARE(codes[2], std::uint16_t {0});
}

void TestLogitFile::refuses_data()
{
    using Harm = std::function<void(Bytes&)>;
    QTest::addColumn<Harm>("harm");
    QTest::newRow("empty") << Harm([](Bytes& b) { b.clear(); });
    QTest::newRow("another magic") << Harm([](Bytes& b) { b[0] = 'G'; });
    QTest::newRow("header cut") << Harm([](Bytes& b) { b.resize(19); });
    QTest::newRow("cut") << Harm([](Bytes& b) { b.pop_back(); });
    QTest::newRow("longer") << Harm([](Bytes& b) { b.push_back(0); });
    QTest::newRow("context negative") << Harm([](Bytes& b) { set(b, 8, -4); });
    QTest::newRow("context too short") << Harm([](Bytes& b) { set(b, 8, 1); });
    QTest::newRow("context huge") << Harm([](Bytes& b) { set(b, 8, 0x7fffffff); });
    QTest::newRow("vocabulary 0") << Harm([](Bytes& b) { set(b, 12, 0); });
    QTest::newRow("vocabulary huge") << Harm([](Bytes& b) { set(b, 12, 0x7fffffff); });
    QTest::newRow("all huge") << Harm(
        [](Bytes& b) { set(b, 8, 0x7fffffff), set(b, 12, 0x7fffffff), set(b, 16, 0x7fffffff); });
    QTest::newRow("no chunks") << Harm([](Bytes& b) { set(b, 16, 0); });
    QTest::newRow("token beyond the vocabulary") << Harm([](Bytes& b) { set(b, 24, 10); });
    QTest::newRow("token negative") << Harm([](Bytes& b) { set(b, 24, -1); });
}

void TestLogitFile::refuses()
{
    QFETCH(std::function<void(Bytes&)>, harm);
    LogitWriter(m_path, someChunks(8, 2, 10), 10, false).commit();
    Bytes bytes = contents(m_path);
    QCOMPARE(LogitFile::open(m_path).chunks().count(), 2L);
    harm(bytes);
    save(m_path, bytes);
    QVERIFY_THROWS_EXCEPTION(Error, LogitFile::open(m_path));
}

void TestLogitFile::refusesBadScales()
{
    LogitWriter(m_path, someChunks(8, 2, 10), 10, false).commit();
    Bytes bytes = contents(m_path);
    set(bytes, 20 + 16 * 4, 0x7fc00000); // NaN
    save(m_path, bytes);
    const LogitFile file = LogitFile::open(m_path);
    QVERIFY_THROWS_EXCEPTION(Error, file.distribution(0, 0));
    QCOMPARE(file.distribution(0, 1).codes.size(), std::size_t {10});
}

void TestLogitFile::leavesNothingBehind()
{
    {
        LogitWriter writer(m_path, someChunks(8, 2, 10), 10, false);
        writer.write(0, 0, std::vector<float>(10));
    }
    QVERIFY(fs::is_empty(m_path.parent_path()));
}

QTEST_GUILESS_MAIN(TestLogitFile)
#include "tst_logitfile.moc"
