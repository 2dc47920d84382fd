#include "core/calibrate.h"
#include "core/curvature.h"
#include "core/evaluate.h"
#include "core/forward.h"
#include "core/sequence.h"
#include "tests/core/forwardrun.h"
#include "tests/core/moments.h"
#include "tests/core/tinymodels.h"

#include <QTest>

#include <atomic>

#ifdef __SANITIZE_ADDRESS__
// Of sanitizer/allocator_interface.h, which g++ does not bring.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*took)(const volatile void*, std::size_t),
                                                         void (*gave)(const volatile void*));
extern "C" std::size_t __sanitizer_get_allocated_size(const volatile void*);
#endif

using namespace quern;

namespace {

std::atomic<long> allocated = 0, most = 0; // bytes

#ifdef __SANITIZE_ADDRESS__
void took(const volatile void*, std::size_t size)
{
    const long now = allocated += static_cast<long>(size);
    long before = most;
    while (now > before && !most.compare_exchange_weak(before, now)) { }
}

void gave(const volatile void* at)
{
    if (at)
        allocated -= static_cast<long>(__sanitizer_get_allocated_size(at));
}

bool watches()
{
    static const bool installed = __sanitizer_install_malloc_and_free_hooks(took, gave) != 0;
    return installed;
}
#else
bool watches()
{
    return false;
}
#endif

} // namespace

// What runs announce against what they allocate. Models are tiny and texts long, so that activations, the part that is
// hardest to foresee, are most of it.
class MemoryTest final : public QObject {
    Q_OBJECT

    NoProgress m_progress;

private slots:
    void initTestCase()
    {
        if (!watches())
            QSKIP("Allocations are watched by AddressSanitizer, which this build lacks.");
    }
    void isAnnounced_data();
    void isAnnounced();
    void packsSecondMomentsWithoutCopies();
    void isAnnouncedOfSequences_data();
    void isAnnouncedOfSequences();
};

void MemoryTest::isAnnounced_data()
{
    QTest::addColumn<QString>("row");
    QTest::addColumn<bool>("calibrates");
    QTest::addColumn<bool>("more"); // H, a reference
    for (const char* row : {"llama", "phi3", "gpt2", "gemma2", "qwen3moe"})
        for (const bool calibrates : {false, true})
            for (const bool more : {false, true})
                QTest::addRow("%s %s%s", row, calibrates ? "calibrate" : "evaluate", more ? " and more" : "")
                    << row << calibrates << more;
}

void MemoryTest::isAnnounced()
{
    QFETCH(QString, row);
    QFETCH(bool, calibrates);
    QFETCH(bool, more);
    const Model model = tiny::modelOf(row);
    constexpr long kContext = 96, kChunks = 24;
    const Chunks chunks {kContext, forwardrun::someTokens(kContext * kChunks, openNetwork(model).sizes.vocabulary)};
    const long before = allocated;
    most = before;
    std::uint64_t announced = 0;
    if (calibrates) {
        const CalibrateOptions options {.hessians = more};
        announced = calibrationNeeds(model, chunks, options).memory;
        const Calibration made = calibrate(model, chunks, options, m_progress);
    } else {
        announced = evaluationBytes(model, more ? &model : nullptr, chunks);
        const Evaluation found
            = more ? evaluate(model, model, chunks, {}, m_progress) : evaluate(model, chunks, {}, m_progress);
    }
    const std::uint64_t used = withReserve(static_cast<std::uint64_t>(most - before));
    QVERIFY2(announced >= used, qPrintable(QString("%1 of %2").arg(used).arg(announced)));
    QVERIFY2(announced <= used * 3 / 2, qPrintable(QString("%1 of %2").arg(used).arg(announced)));
}

// H of 11008 columns takes 462 MiB. Besides what is kept of it, its factor is there once, before it is packed.
void MemoryTest::packsSecondMomentsWithoutCopies()
{
    const long n = 768;
    const Hessian h = moments::hessian(moments::of(n, n, 1));
    const std::uint64_t square = std::uint64_t {n} * n * sizeof(float);
    const long before = allocated;
    most = before;
    const Curvature made
        = curvatureOf(h, *findBlockFormat("Q4_K"),
                      {.moments = true, .feedback = true, .damping = 0.01, .ordering = Ordering::Largest}, m_progress);
    QVERIFY(made.feedback);
    const auto used = static_cast<std::uint64_t>(most - before);
    QVERIFY2(used < 2 * WalkMatrix::bytes(n) + square * 3 / 2, qPrintable(QString::number(used / square)));
}

void MemoryTest::isAnnouncedOfSequences_data()
{
    QTest::addColumn<QString>("row");
    for (const char* row : {"llama", "gpt2", "qwen2moe"})
        QTest::addRow("%s", row) << row;
}

void MemoryTest::isAnnouncedOfSequences()
{
    QFETCH(QString, row);
    const Model model = tiny::modelOf(row);
    const Chunks chunks {96, forwardrun::someTokens(96 * 24, openNetwork(model).sizes.vocabulary)};
    Recipe recipe;
    recipe.rules.push_back({"blk.*", {findQuantizer("gptq"), findBlockFormat("INT4_G16_SYM"), {}}});
    recipe.sequential = Settings {{"trust", 1.0}};
    QuantizeOptions options;
    options.text = &chunks;
    const Plan plan = resolve(recipe, model, nullptr);
    const std::uint64_t announced = sequenceNeeds(model, chunks).memory;
    const long before = allocated;
    most = before;
    const Model made = quantize(model, plan, nullptr, options, m_progress);
    const std::uint64_t used = withReserve(static_cast<std::uint64_t>(most - before));
    QVERIFY2(announced >= used, qPrintable(QString("%1 of %2").arg(used).arg(announced)));
    QVERIFY2(announced <= used * 2, qPrintable(QString("%1 of %2").arg(used).arg(announced)));
}

QTEST_GUILESS_MAIN(MemoryTest)
#include "tst_memory.moc"
