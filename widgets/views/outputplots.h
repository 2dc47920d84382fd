#pragma once

#include "core/prediction.h"
#include "widgets/plot.h"

// How far the predictions of single tokens are from the original's: a histogram of KL divergences over decades.
class DivergencePlot final : public Plot {
    Q_OBJECT

public:
    explicit DivergencePlot(QWidget* parent);

    void show(const quern::PredictionSummary& predictions); // not compared: nothing

private:
    static constexpr int kMarks = 4;

    void takePens();
    void placeMarks(const quern::PredictionSummary& predictions);
    double edge(long bin) const;
    QString text(long bin) const;
    PlotTable makeTable() const;

    quern::Histogram m_decades;
    QCPGraph* m_counts;
    QCPItemStraightLine* m_lines[kMarks];
    QCPItemText* m_texts[kMarks];
};

// How far hidden states are from the original's after each block.
class HiddenErrorPlot final : public Plot {
    Q_OBJECT

public:
    explicit HiddenErrorPlot(QWidget* parent);

    void show(std::vector<double> errors); // the first one after the embedding

private:
    void takePens();
    QString place(long i) const;
    PlotTable makeTable() const;

    std::vector<double> m_errors;
    QCPGraph* m_line;
};
