#pragma once

#include "core/group.h"
#include "core/stats.h"
#include "widgets/plot.h"

#include <memory>
#include <optional>

// A histogram drawn from bins that are kept, whatever the zoom: the central part first, the tails counted at the edges.
class DistributionPlot final : public Plot {
    Q_OBJECT

public:
    explicit DistributionPlot(QWidget* parent);

    enum class Values { Weights, Inputs, Outputs };
    // Null: nothing to show. Shows the central part.
    void setStats(std::shared_ptr<const quern::TensorStats> stats, Values values = Values::Weights);
    // Histograms of quantized values in the bins of stats' central part and of all of it; counts are multiplied by
    // `scale`, for a sample of the rows.
    struct After {
        quern::Histogram centre, all;
        double scale = 1;
        QString name; // for the legend
    };
    void setAfter(std::optional<After> after);
    void setLevels(const quern::GroupLevels& levels, const QString& name); // no levels: none drawn
    void setLogarithmic(bool on);
    void showAll();
    void showCentre();

signals:
    // Weights beyond the edges of the view, and how far they reach.
    void tailsChanged(quint64 below, quint64 above);

protected:
    void resizeEvent(QResizeEvent* event) override;

private:
    void addGraphs();
    void fillLegend();
    void takePens();
    QString axisName() const;
    int bins() const; // to draw, at most
    void redraw();
    void drawMarks();
    void drawLevels();
    void takeCounts(const quern::Histogram& shown, const quern::Histogram* after);
    void setRange(double low, double high);
    PlotTable makeTable() const;

    std::shared_ptr<const quern::TensorStats> m_stats;
    std::optional<After> m_after;
    quern::GroupLevels m_groupLevels;
    quern::Histogram m_shown;         // the bins drawn
    std::vector<double> m_shownAfter; // their counts after; empty without
    Values m_values = Values::Weights;
    bool m_logarithmic = true;
    QCPGraph *m_before, *m_afterGraph, *m_levels, *m_weights;
    QCPItemStraightLine *m_mean, *m_sigmas[2];
    QCPItemText *m_meanText, *m_sigmaTexts[2];
};
