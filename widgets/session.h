#pragma once

#include "core/calibration.h"
#include "core/quantize.h"
#include "core/stats.h"

#include <QObject>

#include <memory>
#include <optional>
#include <vector>

// What the window is working on. Views read it, watch its signals, and change nothing but the selection and the recipe;
// jobs change it through the setters. Every part is immutable once set, so jobs hold on to it without locks. GUI thread
// only.
class Session : public QObject {
    Q_OBJECT

public:
    using QObject::QObject;

    std::shared_ptr<const quern::Model> model() const { return m_model; }
    std::shared_ptr<const quern::Calibration> calibration() const { return m_calibration; }
    const quern::Recipe& recipe() const { return m_recipe; }
    std::shared_ptr<const quern::Plan> plan() const { return m_plan; } // of recipe and model; null without a model
    const QString& planError() const { return m_planError; }           // why there is no plan; empty if there is one

    // Per tensor of the model; null until known.
    std::shared_ptr<const quern::TensorStats> stats(int tensor) const;
    // Under the plan's choice; none until measured. An estimate from sampled rows, or exact.
    struct Error {
        quern::Distortion distortion;
        bool exact = false;
    };
    std::optional<Error> error(int tensor) const;

    int selected() const { return m_selected; } // index into model()->tensors, -1 for none
    long channel() const { return m_channel; }  // input channel (column) pointed at in the selected tensor, -1 for none

    void setModel(std::shared_ptr<const quern::Model> model); // forgets calibration, measurements and selection
    void setCalibration(std::shared_ptr<const quern::Calibration> calibration);
    void setRecipe(quern::Recipe recipe); // resolves; errors of tensors whose choice changed are forgotten
    void setStats(int tensor, std::shared_ptr<const quern::TensorStats> stats);
    void setError(int tensor, Error error);
    void select(int tensor); // and no channel
    void selectChannel(long column);
    // Wishes beyond one tensor: views pass on what was pointed at, whoever can act on it listens.
    void chooseLayer(int layer) { emit layerChosen(layer); }
    void chooseKind(const QString& kind) { emit kindChosen(kind); } // kindOf() its tensors' names
    void open(int tensor);                                          // selects it and asks for a closer look

signals:
    void modelChanged();
    void calibrationChanged();
    void recipeChanged(); // plan and planError too
    void statsChanged(int tensor);
    void errorChanged(int tensor);
    void selectionChanged();
    void channelChanged();
    void layerChosen(int layer);
    void kindChosen(const QString& kind);
    void opened(int tensor); // double-click, Enter: show its matrix

private:
    void resolvePlan();

    std::shared_ptr<const quern::Model> m_model;
    std::shared_ptr<const quern::Calibration> m_calibration;
    quern::Recipe m_recipe;
    std::shared_ptr<const quern::Plan> m_plan;
    QString m_planError;
    std::vector<std::shared_ptr<const quern::TensorStats>> m_stats;
    std::vector<std::optional<Error>> m_errors;
    int m_selected = -1;
    long m_channel = -1;
};
