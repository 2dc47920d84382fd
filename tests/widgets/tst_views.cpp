// What every view promises. A new view is tested by being in the catalogue.
#include "core/rewrite.h"
#include "tests/strict.h"
#include "tests/widgets/samplesession.h"
#include "widgets/colours.h"
#include "widgets/plot.h"
#include "widgets/viewframe.h"

#include <QApplication>
#include <QDir>
#include <QLabel>
#include <QStyleFactory>
#include <QTreeView>

#include <set>

using namespace samplesession;

Q_DECLARE_METATYPE(const View*)

namespace {

void forEachView()
{
    QTest::addColumn<const View*>("view");
    for (const View* view : views())
        QTest::newRow(view->id) << view;
}

std::unique_ptr<QWidget> made(const View* view, Session& session)
{
    std::unique_ptr<QWidget> widget(view->create(&session, nullptr));
    widget->resize(700, 420);
    widget->show();
    return widget;
}

void addOdd(quern::Model& model, const std::string& name, std::vector<long> shape, const std::vector<float>& weights)
{
    modelmaker::add(model, name, std::move(shape), weights);
}

std::shared_ptr<quern::Model> oddModel()
{
    auto model = emptyModel();
    constexpr float kNaN = std::numeric_limits<float>::quiet_NaN(), kInfinity = std::numeric_limits<float>::infinity();
    addOdd(*model, "blk.0.one.weight", {1, 1}, {0.5F});
    addOdd(*model, "blk.0.zeros.weight", {32, 64}, std::vector<float>(32 * 64, 0.0F));
    auto broken = modelmaker::normalWeights(32 * 64, 5);
    broken[77] = kNaN;
    broken[78] = kInfinity;
    addOdd(*model, "blk.0.broken.weight", {32, 64}, broken);
    addOdd(*model, "blk.0.allnan.weight", {2, 32}, std::vector<float>(64, kNaN));
    addOdd(*model, "blk.0.empty.weight", {0, 64}, {});
    addOdd(*model, "blk.0.row.weight", {1, 4096}, modelmaker::normalWeights(4096, 6));
    addOdd(*model, "blk.0.column.weight", {5000, 1}, modelmaker::normalWeights(5000, 7));
    addOdd(*model, "blk.0.experts.weight", {4, 16, 32}, modelmaker::normalWeights(4 * 16 * 32, 8));
    addOdd(*model, "blk.0.bias", {64}, std::vector<float>(64, 1.0F));
    addOdd(*model, "blk.0.huge.weight", {2, 32}, std::vector<float>(64, 3e38F));
    addOdd(*model, "token_embd.weight", {20000, 32}, modelmaker::normalWeights(20000 * 32, 9));
    addOdd(*model, "name\xff\x01 <b>of</b> no UTF-8", {2, 2}, {1, 2, 3, 4});
    return model;
}

// What a view consists of: a plot, or a table.
QWidget* shown(const QWidget& view)
{
    if (auto* plot = view.findChild<Plot*>())
        return plot;
    return view.findChild<QTreeView*>();
}

} // namespace

class TestViews : public QObject {
    Q_OBJECT

private slots:
    void init() { strict::failOnWarnings(); }
    void initTestCase()
    {
        QApplication::setStyle(QStyleFactory::create(QStringLiteral("Fusion")));
        QApplication::setPalette(lightPalette());
    }

    void haveNamesOfTheirOwn()
    {
        std::set<std::string> ids;
        for (const View* view : views()) {
            QVERIFY(ids.insert(view->id).second);
            QVERIFY(*view->title);
        }
        QVERIFY(ids.size() >= 4);
    }

    void liveWithAndWithoutAModel_data() { forEachView(); }
    void liveWithAndWithoutAModel()
    {
        QFETCH(const View*, view);
        Session session;
        const auto widget = made(view, session);
        settle(30);
        QVERIFY(!widget->grab().isNull());
        session.setModel(smallModel());
        settle(30);
        session.setRecipe(recipe());
        session.select(3);
        settle(30);
        measureAll(session);
        evaluate(session);
        settle();
        session.setRecipe(recipe("Q8_0"));
        session.selectChannel(5);
        session.selectChannel(100000); // no such column
        settle(30);
        session.select(-1);
        session.setModel(nullptr);
        settle(30);
        QVERIFY(!widget->grab().isNull());
    }

    void sayWhatIsLeftOut_data() { forEachView(); }
    void sayWhatIsLeftOut()
    {
        QFETCH(const View*, view);
        Session session;
        session.setModel(smallModel());
        const auto widget = made(view, session);
        // The methods have lines of their own for rewrites.
        const bool methods = std::string_view(view->id) == "methods";
        const QString words = methods ? "only lines that name a rewrite" : "Shown as it is without awq";
        const auto said = [&](const QString& sentence) {
            return std::ranges::any_of(widget->findChildren<QLabel*>(), [&](const QLabel* label) {
                return label->isVisible() && label->text().contains(sentence);
            });
        };
        const bool single = std::string_view(view->id) != "output"; // which runs the model with them
        const auto plan = [&] { return resolved(recipe(), *session.model(), nullptr); };
        quern::Recipe rescaled = recipe(), sequential = recipe();
        session.setRecipe(rescaled);
        QVERIFY(!said(words));
        rescaled.rewrites = {{quern::findRewrite("awq"), {}}};
        session.setRecipe(rescaled, plan());
        QCOMPARE(said(words), single);
        QVERIFY(!said("not block by block"));
        sequential.sequential.emplace();
        session.setRecipe(sequential, plan());
        QVERIFY(!said(words));
        QCOMPARE(said("not block by block"), single);
        session.setRecipe(recipe());
        QVERIFY(!said(words) && !said("not block by block"));
    }

    void followThePalette_data() { forEachView(); }
    void followThePalette()
    {
        QFETCH(const View*, view);
        Session session;
        session.setModel(smallModel());
        session.setRecipe(recipe());
        session.select(3);
        measureAll(session);
        evaluate(session);
        const auto widget = made(view, session);
        settle();
        Plot* plot = widget->findChild<Plot*>();
        for (const QPalette& palette : {darkPalette(), lightPalette()}) {
            widget->setPalette(palette);
            settle(50);
            if (!plot) { // a table is Qt's own matter
                QCOMPARE(shown(*widget)->palette().color(QPalette::Base), palette.color(QPalette::Base));
                continue;
            }
            const QImage image = plot->grab().toImage();
            QCOMPARE(image.pixelColor(3, 3), palette.color(QPalette::Base));
            QVERIFY(contrast(plot->xAxis->tickLabelColor(), palette.color(QPalette::Base)) > 4.5);
            // All axes, those of colour bars too, were told.
            for (const QCPAxis* axis : plot->findChildren<QCPAxis*>())
                QCOMPARE(axis->labelColor(), palette.color(QPalette::Text));
        }
    }

    // Every tensor that could trip up a drawing, selected in turn and before its work is finished.
    void surviveOddTensors_data() { forEachView(); }
    void surviveOddTensors()
    {
        QFETCH(const View*, view);
        Session session;
        session.setModel(oddModel());
        quern::Recipe odd = recipe("Q4_0");
        odd.rules[0].pattern = "blk.0.[zbre]*";
        session.setRecipe(odd);
        const auto widget = made(view, session);
        for (const bool measured : {false, true}) {
            if (measured)
                measureAll(session);
            for (int i = 0; i < session.tensorCount(); ++i) {
                session.select(i);
                QTest::qWait(measured ? 30 : 1);
                QVERIFY(!widget->grab().isNull());
                QTest::keyClick(shown(*widget), Qt::Key_Right);
                QTest::keyClick(shown(*widget), Qt::Key_Plus);
            }
        }
        session.select(4);
    }

    void surviveChangesWhileComputing_data() { forEachView(); }
    void surviveChangesWhileComputing()
    {
        QFETCH(const View*, view);
        Session session;
        auto widget = made(view, session);
        auto big = emptyModel();
        modelmaker::add(*big, "blk.0.ffn_down.weight", {1024, 1024}, modelmaker::normalWeights(1 << 20, 3), "BF16");
        for (int i = 0; i < 5; ++i) {
            session.setModel(i % 2 ? smallModel(1) : big);
            session.setRecipe(recipe(i % 2 ? "Q4_0" : "Q8_0"));
            session.select(0);
            measure(session, 0);
            QTest::qWait(i);
        }
        session.setModel(nullptr);
        session.setModel(big);
        session.select(0);
        widget.reset(); // with jobs under way
        settle(20);
    }

    // The plot can be read without seeing it.
    void areAccessible_data() { forEachView(); }
    void areAccessible()
    {
        QFETCH(const View*, view);
        Session session;
        session.setModel(smallModel());
        session.setRecipe(recipe());
        session.select(indexOf(session, "blk.1.ffn_down.weight"));
        measureAll(session);
        evaluate(session);
        const auto widget = made(view, session);
        settle();
        QVERIFY(!shown(*widget)->accessibleName().isEmpty());
        QVERIFY(shown(*widget)->focusPolicy() & Qt::TabFocus);
        Plot* plot = widget->findChild<Plot*>();
        if (!plot)
            return; // a table, which Qt reads aloud
        QVERIFY(!plot->accessibleDescription().isEmpty());
        QVERIFY(plot->table());
        const PlotTable table = plot->table()();
        QVERIFY(table.rows > 0);
        QVERIFY(csv(table).count(QLatin1Char('\n')) == table.rows + 1);
        // Keys read a value aloud.
        auto* frame = qobject_cast<ViewFrame*>(widget.get());
        QVERIFY(frame);
        const QString before = frame->status();
        plot->setFocus();
        QTest::keyClick(plot, Qt::Key_Right);
        QTest::keyClick(plot, Qt::Key_Right);
        settle(20);
        QVERIFY2(frame->status() != before, qPrintable(before));
        QVERIFY(frame->status().contains(QRegularExpression(QStringLiteral("\\d"))));
    }

    // For eyes: QUERN_PICTURES=folder writes every view as it looks.
    void drawAtUsualSizes_data() { forEachView(); }
    void drawAtUsualSizes()
    {
        QFETCH(const View*, view);
        const QString folder = qEnvironmentVariable("QUERN_PICTURES");
        Session session;
        const QString shared = QStringLiteral(QUERN_SHARED_DIR "/demo-model/demo");
        if (!QDir(shared).exists())
            QSKIP("The demo model is not there.");
        session.setModel(std::make_shared<quern::Model>(quern::openModel(shared.toStdString())));
        session.setRecipe({.name = "Q4_K_M", .preset = quern::findPreset("Q4_K_M"), .rules = {}});
        session.select(indexOf(session, "blk.3.ffn_down.weight"));
        QVERIFY(session.selected() >= 0);
        if (folder.isEmpty())
            measure(session, session.selected());
        else
            measureAll(session);
        evaluate(session);
        for (const QSize size : {QSize(700, 420), QSize(1400, 500), QSize(320, 300)})
            for (const bool dark : {false, true}) {
                const auto widget = made(view, session);
                widget->setPalette(dark ? darkPalette() : lightPalette());
                widget->setAutoFillBackground(true);
                widget->resize(size);
                settle(250);
                const QPixmap picture = widget->grab();
                QVERIFY(!picture.isNull());
                if (!folder.isEmpty())
                    QVERIFY(picture.save(QStringLiteral("%1/%2-%3-%4.png")
                                             .arg(folder, QString::fromLatin1(view->id))
                                             .arg(size.width())
                                             .arg(dark ? QStringLiteral("dark") : QStringLiteral("light"))));
            }
    }
};

QTEST_MAIN(TestViews)
#include "tst_views.moc"
