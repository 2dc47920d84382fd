#include "core/gguf.h"
#include "tests/core/testfiles.h"

#include <QTest>

#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

namespace fs = std::filesystem;
using quern::PendingFile;
using testfiles::complaint, testfiles::contents, testfiles::Mount;

namespace {

void put(PendingFile& file, std::uint64_t offset, std::string_view text)
{
    file.write(offset, std::as_bytes(std::span(text)));
}

} // namespace

class PendingFileTest final : public QObject {
    Q_OBJECT

    testfiles::FreshFolder m_folder;
    fs::path m_target;

    int files() const { return static_cast<int>(m_folder.entries()); }

private slots:
    void init();
    void appearsWhenCommitted();
    void leavesNothingWhenDropped();
    void refusesAnExistingTarget();
    void refusesATargetThatAppearsMeanwhile();
    void keepsTheOldFileUntilCommitted();
    void keepsThePermissionsOfWhatItReplaces();
    void replacesWhatALinkPointsTo();
    void overwritesWhatAKilledRunLeft();
    void doesNotFollowALinkInPlaceOfThePart();
    void twoExportsDoNotClash();
    void refusesPlacesThatCannotBeWritten_data();
    void refusesPlacesThatCannotBeWritten();
    void refusesAReadOnlyFolder();
    void refusesMoreThanTheDiskHolds();
    void failsWhenTheDiskFillsUp();
};

void PendingFileTest::init()
{
    m_folder.renew();
    m_target = m_folder / "model.gguf";
}

void PendingFileTest::appearsWhenCommitted()
{
    PendingFile file(m_target, 10, false);
    put(file, 6, "tail");
    put(file, 0, "head");
    QVERIFY(!fs::exists(m_target));
    QCOMPARE(fs::file_size(file.partPath()), std::uintmax_t(10));
    file.commit();
    QVERIFY((contents(m_target) == std::string_view("head\0\0tail", 10)));
    QCOMPARE(files(), 1);
}

void PendingFileTest::leavesNothingWhenDropped()
{
    {
        PendingFile file(m_target, 10, false);
        put(file, 0, "x");
        QCOMPARE(files(), 1);
    }
    QCOMPARE(files(), 0);
}

void PendingFileTest::refusesAnExistingTarget()
{
    std::ofstream(m_target) << "old";
    QVERIFY(complaint([&] { PendingFile(m_target, 10, false); }).contains("exists already"));
    QVERIFY(contents(m_target) == "old");
    QCOMPARE(files(), 1);
}

void PendingFileTest::refusesATargetThatAppearsMeanwhile()
{
    QString said;
    {
        PendingFile file(m_target, 3, false);
        put(file, 0, "new");
        std::ofstream(m_target) << "other";
        said = complaint([&] { file.commit(); });
    }
    QVERIFY(!said.isEmpty());
    QVERIFY(contents(m_target) == "other");
    QCOMPARE(files(), 1);
}

void PendingFileTest::keepsTheOldFileUntilCommitted()
{
    std::ofstream(m_target) << "old";
    {
        PendingFile file(m_target, 3, true);
        put(file, 0, "new");
        QVERIFY(contents(m_target) == "old");
    }
    QVERIFY(contents(m_target) == "old");
    PendingFile file(m_target, 3, true);
    put(file, 0, "new");
    file.commit();
    QVERIFY(contents(m_target) == "new");
    QCOMPARE(files(), 1);
}

void PendingFileTest::keepsThePermissionsOfWhatItReplaces()
{
    std::ofstream(m_target) << "old";
    fs::permissions(m_target, fs::perms::owner_read | fs::perms::owner_write);
    PendingFile file(m_target, 3, true);
    file.commit();
    QVERIFY(fs::status(m_target).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
}

void PendingFileTest::replacesWhatALinkPointsTo()
{
    fs::create_directory(m_folder / "elsewhere");
    const fs::path real = m_folder / "elsewhere" / "real.gguf";
    fs::create_symlink("elsewhere/real.gguf", m_target);
    PendingFile file(m_target, 3, true); // the link dangles so far
    put(file, 0, "new");
    file.commit();
    QVERIFY(fs::is_symlink(m_target));
    QVERIFY(contents(real) == "new");
}

void PendingFileTest::overwritesWhatAKilledRunLeft()
{
    std::ofstream(m_target.string() + ".part") << std::string(1000, 'x');
    PendingFile file(m_target, 3, false);
    put(file, 0, "new");
    file.commit();
    QVERIFY(contents(m_target) == "new");
    QCOMPARE(files(), 1);
}

void PendingFileTest::doesNotFollowALinkInPlaceOfThePart()
{
    const fs::path precious = m_folder / "precious";
    std::ofstream(precious) << "precious";
    fs::create_symlink(precious, m_target.string() + ".part");
    PendingFile file(m_target, 3, false);
    put(file, 0, "new");
    file.commit();
    QVERIFY(contents(precious) == "precious");
    QVERIFY(contents(m_target) == "new" && !fs::is_symlink(m_target));
}

void PendingFileTest::twoExportsDoNotClash()
{
    PendingFile first(m_target, 5, true);
    PendingFile second(m_target, 6, true);
    QVERIFY(first.partPath() != second.partPath());
    put(first, 0, "first");
    put(second, 0, "second");
    first.commit();
    QVERIFY(contents(m_target) == "first");
    second.commit();
    QVERIFY(contents(m_target) == "second");
    QCOMPARE(files(), 1);
}

void PendingFileTest::refusesPlacesThatCannotBeWritten_data()
{
    QTest::addColumn<QString>("place");
    QTest::addColumn<QString>("says");
    QTest::newRow("no such folder") << "absent/model.gguf"
                                    << "does not exist";
    QTest::newRow("below a file") << "file/model.gguf"
                                  << "does not exist";
    QTest::newRow("a folder") << "folder"
                              << "no ordinary file";
    QTest::newRow("a folder with a slash") << "folder/"
                                           << "is a folder";
    QTest::newRow("a pipe") << "pipe"
                            << "no ordinary file";
    QTest::newRow("a link to itself") << "loop"
                                      << "no ordinary file";
    QTest::newRow("a name that is too long") << QString(300, 'x') << "cannot be written";
}

void PendingFileTest::refusesPlacesThatCannotBeWritten()
{
    QFETCH(QString, place);
    QFETCH(QString, says);
    std::ofstream(m_folder / "file") << "x";
    fs::create_directory(m_folder / "folder");
    QCOMPARE(mkfifo((m_folder / "pipe").c_str(), 0600), 0);
    fs::create_symlink("loop", m_folder / "loop");
    const int before = files();
    const QString said = complaint([&] { PendingFile(m_folder / place.toStdString(), 10, true); });
    QVERIFY2(said.contains(says), qPrintable(said));
    QCOMPARE(files(), before);
}

void PendingFileTest::refusesAReadOnlyFolder()
{
    if (geteuid() != 0) {
        fs::permissions(m_folder, fs::perms::owner_read | fs::perms::owner_exec);
        const QString said = complaint([&] { PendingFile(m_target, 10, false); });
        fs::permissions(m_folder, fs::perms::owner_all);
        QVERIFY2(said.contains("cannot be written"), qPrintable(said));
        return;
    }
    const Mount mounted(m_folder, MS_RDONLY, nullptr);
    if (!mounted)
        QSKIP("root may write anywhere, and no file system can be mounted here");
    const QString said = complaint([&] { PendingFile(m_target, 10, false); });
    QVERIFY2(said.contains("Read-only"), qPrintable(said));
}

void PendingFileTest::refusesMoreThanTheDiskHolds()
{
    const QString said = complaint([&] { PendingFile(m_target, std::uint64_t(1) << 60, false); });
    QVERIFY2(said.contains(QString::number(std::uint64_t(1) << 60)), qPrintable(said));
    QVERIFY2(said.contains("free"), qPrintable(said));
    QCOMPARE(files(), 0);
}

void PendingFileTest::failsWhenTheDiskFillsUp()
{
    const Mount mounted(m_folder, 0, "size=1m");
    if (!mounted)
        QSKIP("no file system can be mounted here");
    {
        PendingFile file(m_target, 1 << 19, false);
        std::ofstream(m_folder / "other", std::ios::binary) << std::string(1 << 19, 'x');
        put(file, 0, std::string(1 << 19, 'y')); // has its room already
        const QString said = complaint([&] { put(file, 1 << 19, std::string(1 << 20, 'y')); });
        QVERIFY2(said.contains("disk is full"), qPrintable(said));
    }
    QVERIFY(!fs::exists(m_target));
    QCOMPARE(files(), 1);
}

QTEST_GUILESS_MAIN(PendingFileTest)
#include "tst_pendingfile.moc"
