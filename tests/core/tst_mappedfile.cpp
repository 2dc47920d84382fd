#include "core/mappedfile.h"

#include <QTemporaryDir>
#include <QTest>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace fs = std::filesystem;
using quern::MappedFile;

class MappedFileTest final : public QObject {
    Q_OBJECT

    QTemporaryDir m_folder;

    fs::path written(const char* name, std::size_t size) const
    {
        fs::path path = fs::path(m_folder.path().toStdString()) / name;
        std::ofstream(path, std::ios::binary) << std::string(size, 'x');
        return path;
    }

    static bool intact(const MappedFile& file)
    {
        try {
            file.check();
            return true;
        } catch (const quern::Error& error) {
            return std::string(error.what()).find(file.path().string()) == std::string::npos;
        }
    }

private slots:
    void showsTheBytesOfTheFile();
    void mapsAnEmptyFile();
    void refusesWhatIsNoFile();
    void survivesAFileThatShrinks_data();
    void survivesAFileThatShrinks();
    void keepsWhatIsLeftOfAFileThatShrank();
    void leavesOtherMappingsAlone();
    void isReplacedWithoutHarm();
    void manyThreadsMayMeetTheLoss();
    void otherBusErrorsStillEndTheProgram();
};

void MappedFileTest::showsTheBytesOfTheFile()
{
    const auto file = MappedFile::open(written("some", 10000));
    QCOMPARE(file->bytes().size(), std::size_t(10000));
    QCOMPARE(file->bytes()[9999], std::byte('x'));
    QVERIFY(intact(*file));
}

void MappedFileTest::mapsAnEmptyFile()
{
    const auto file = MappedFile::open(written("empty", 0));
    QVERIFY(file->bytes().empty());
    QVERIFY(intact(*file));
}

void MappedFileTest::refusesWhatIsNoFile()
{
    const fs::path folder = m_folder.path().toStdString();
    QVERIFY_EXCEPTION_THROWN(MappedFile::open(folder), quern::Error);
    QVERIFY_EXCEPTION_THROWN(MappedFile::open(folder / "absent"), quern::Error);
    QCOMPARE(mkfifo((folder / "pipe").c_str(), 0600), 0);
    QVERIFY_EXCEPTION_THROWN(MappedFile::open(folder / "pipe"), quern::Error);
}

void MappedFileTest::survivesAFileThatShrinks_data()
{
    QTest::addColumn<int>("left");
    QTest::newRow("nothing is left") << 0;
    QTest::newRow("less than a page") << 100;
    QTest::newRow("some pages") << 8192;
    QTest::newRow("all but one byte") << 99999;
}

void MappedFileTest::survivesAFileThatShrinks()
{
    QFETCH(int, left);
    const fs::path path = written("shrinking", 100000);
    const auto file = MappedFile::open(path);
    fs::resize_file(path, static_cast<std::uintmax_t>(left));

    for (std::size_t i = static_cast<std::size_t>(left); i < file->bytes().size(); ++i)
        QCOMPARE(file->bytes()[i], std::byte(0));
    QVERIFY(!intact(*file));
}

void MappedFileTest::keepsWhatIsLeftOfAFileThatShrank()
{
    const fs::path path = written("partial", 100000);
    const auto file = MappedFile::open(path);
    fs::resize_file(path, 8192);
    QCOMPARE(file->bytes()[50000], std::byte(0));
    QCOMPARE(file->bytes()[0], std::byte('x'));
    QCOMPARE(file->bytes()[8191], std::byte('x'));
}

void MappedFileTest::leavesOtherMappingsAlone()
{
    const fs::path path = written("first", 100000);
    const auto other = MappedFile::open(written("second", 100000));
    const auto file = MappedFile::open(path);
    fs::resize_file(path, 0);
    QCOMPARE(file->bytes()[50000], std::byte(0));
    QVERIFY(!intact(*file));
    QVERIFY(intact(*other));
    QCOMPARE(other->bytes()[50000], std::byte('x'));
    QVERIFY(intact(*MappedFile::open(written("third", 100000)))); // takes the place of what was closed
}

void MappedFileTest::isReplacedWithoutHarm()
{
    const fs::path path = written("replaced", 100000);
    const auto file = MappedFile::open(path);
    fs::rename(written("replacement", 10), path); // as an export over the opened model does
    QCOMPARE(file->bytes()[99999], std::byte('x'));
    QVERIFY(intact(*file));
}

void MappedFileTest::manyThreadsMayMeetTheLoss()
{
    const fs::path path = written("shared", 1 << 20);
    const auto file = MappedFile::open(path);
    fs::resize_file(path, 0);
    std::atomic<int> sum = 0;
    std::vector<std::thread> threads(8);
    for (std::thread& thread : threads)
        thread = std::thread([&] {
            for (const std::byte byte : file->bytes())
                sum += static_cast<int>(byte);
        });
    for (std::thread& thread : threads)
        thread.join();
    QCOMPARE(sum.load(), 0);
    QVERIFY(!intact(*file));
}

void MappedFileTest::otherBusErrorsStillEndTheProgram()
{
    const fs::path path = written("unguarded", 100000);
    const auto guarded = MappedFile::open(path); // so that the handler is there
    const pid_t child = fork();
    if (child == 0) {
        fclose(stderr);
        FILE* file = fopen(path.c_str(), "r");
        const auto* bytes
            = static_cast<const volatile char*>(mmap(nullptr, 100000, PROT_READ, MAP_PRIVATE, fileno(file), 0));
        fs::resize_file(path, 0);
        const char byte = bytes[50000];
        _exit(byte == 0 ? 0 : 2);
    }
    int status = 0;
    QCOMPARE(waitpid(child, &status, 0), child);
    QVERIFY(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
}

QTEST_GUILESS_MAIN(MappedFileTest)
#include "tst_mappedfile.moc"
