#include "widgets/views/matrixplot.h"

#include "core/modelmaker.h"

#include <QApplication>

#include <benchmark/benchmark.h>

// A frame of the matrix view: 4096 x 11008 weights in a plot of 1200 x 800 pixels, axes, colour bar and text included.
namespace {

constexpr long kRows = 4096, kCols = 11008;

const quern::Model& model()
{
    static const quern::Model made = [] {
        quern::Model m;
        const auto w = modelmaker::normalWeights(kRows * kCols, 1);
        modelmaker::add(m, "w", {kRows, kCols}, w, "BF16");
        modelmaker::add(m, "q", {kRows, kCols}, w, "Q8_0");
        return m;
    }();
    return made;
}

std::shared_ptr<const quern::Pyramid> pyramid(bool errors)
{
    quern::NoProgress progress;
    const auto& tensors = model().tensors;
    return std::make_shared<const quern::Pyramid>(errors ? quern::Pyramid::ofErrors(tensors[0], tensors[1], progress)
                                                         : quern::Pyramid::ofWeights(tensors[0], progress));
}

// range(0): columns that are shown; rows in proportion.
void frame(benchmark::State& state, bool errors)
{
    static const std::shared_ptr<const quern::Pyramid> made[2] {pyramid(false), pyramid(true)};
    MatrixPlot plot(nullptr);
    plot.resize(1200, 800);
    plot.setAttribute(Qt::WA_DontShowOnScreen);
    plot.show();
    plot.setShape(kRows, kCols);
    plot.setPicture(made[errors ? 1 : 0], 1,
                    {.range = MatrixPlottable::usefulRange(*made[errors ? 1 : 0], true), .logarithmic = true});
    const auto cols = static_cast<double>(state.range(0)), rows = cols * kRows / kCols;
    double shift = 0;
    for (auto _ : state) {
        // Another part each time, as while dragging.
        shift = shift > 40 ? 0 : shift + 1;
        plot.xAxis->setRange(shift, shift + cols);
        plot.yAxis->setRange(shift, shift + rows);
        plot.replot(QCustomPlot::rpImmediateRefresh);
    }
    state.counters["weights/pixel"] = plot.xAxis->range().size() / plot.axisRect()->width();
}

void zooms(benchmark::internal::Benchmark* benchmark)
{
    for (const int cols : {11008, 8000, 5504, 4200, 3900, 2752, 2000, 1376, 1000, 688, 100, 12})
        benchmark->Arg(cols);
    benchmark->Unit(benchmark::kMillisecond)->UseRealTime();
}

} // namespace

BENCHMARK_CAPTURE(frame, weights, false)->Apply(zooms);
BENCHMARK_CAPTURE(frame, errors, true)->Apply(zooms);

int main(int argc, char** argv)
{
    qputenv("QT_QPA_PLATFORM", "offscreen");
    QApplication application(argc, argv);
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
