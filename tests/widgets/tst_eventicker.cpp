// Labels of an axis: as many decimals each, as many as its ticks need.
#include "widgets/eventicker.h"

#include <QtTest>

class TestEvenTicker : public QObject {
    Q_OBJECT

private slots:
    void labels_data()
    {
        QTest::addColumn<double>("low");
        QTest::addColumn<double>("high");
        QTest::addColumn<QStringList>("labels");
        QTest::newRow("quarters of hundredths")
            << 0.0616 << 0.0772 << QStringList {"0.0625", "0.0650", "0.0675", "0.0700", "0.0725", "0.0750"};
        QTest::newRow("about zero") << -0.11 << 0.11 << QStringList {"-0.10", "-0.05", "0.00", "0.05", "0.10"};
        QTest::newRow("whole") << 0.5 << 5.5 << QStringList {"1", "2", "3", "4", "5"};
        QTest::newRow("large") << 0.9e6 << 6.1e6 << QStringList {"1E+06", "2E+06", "3E+06", "4E+06", "5E+06", "6E+06"};
        QTest::newRow("fine") << 0.9e-6 << 6.1e-6 << QStringList {"1E-06", "2E-06", "3E-06", "4E-06", "5E-06", "6E-06"};
    }

    void labels()
    {
        QFETCH(const double, low);
        QFETCH(const double, high);
        EvenTicker ticker;
        QVector<double> ticks;
        QVector<QString> labels;
        QLocale english(QLocale::English);
        ticker.generate({low, high}, english, u'g', 6, ticks, nullptr, &labels);
        QTEST(QStringList(labels.begin(), labels.end()), "labels");
    }
};

QTEST_MAIN(TestEvenTicker)
#include "tst_eventicker.moc"
