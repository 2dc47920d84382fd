#include "core/sha256.h"

#include <QTest>

#include <string_view>

class TestSha256 : public QObject {
    Q_OBJECT

private slots:
    // FIPS 180-4's own example, in two pieces; and the digest of what came first is not disturbed by asking for it.
    void digestsPieceByPiece()
    {
        quern::Sha256 hash;
        hash.add(std::as_bytes(std::span(std::string_view("a"))));
        QCOMPARE(hash.hexadecimal(), std::string("ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"));
        hash.add(std::as_bytes(std::span(std::string_view("bc"))));
        QCOMPARE(hash.hexadecimal(), std::string("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    }
};

QTEST_GUILESS_MAIN(TestSha256)
#include "tst_sha256.moc"
