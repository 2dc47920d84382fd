#pragma once

#include "core/calibration.h"
#include "core/curvatures.h"
#include "core/evaluate.h"
#include "core/quantize.h"
#include "core/stats.h"
#include "widgets/textrun.h"

#include <QObject>

#include <memory>
#include <optional>
#include <vector>

// A recipe applied to a model: the plan, or the sentence that says why there is none.
struct Resolved {
    std::shared_ptr<const quern::Plan> plan; // null if it does not fit
    QString error;
};
// For any thread: may take tens of milliseconds on a model with a large tokenizer.
Resolved resolved(const quern::Recipe& recipe, const quern::Model& model, const quern::Calibration* calibration);

// What running the model on a text showed, and what was run.
struct Evaluated {
    quern::Evaluation figures;               // compared with the model as opened, unless the plan changes nothing
    std::shared_ptr<const quern::Plan> plan; // quantized by this, never null
    std::shared_ptr<const quern::Calibration> calibration;
    QString recipe; // its name
};

// What the window is working on. Views read it, watch its signals, and change nothing but the selection and the recipe;
// jobs change it through the setters. Every part is immutable once set, so jobs hold on to it without locks. GUI thread
// only.
class Session : public QObject {
    Q_OBJECT

public:
    using QObject::QObject;

    std::shared_ptr<const quern::Model> model() const { return m_model; }
    std::shared_ptr<const quern::Calibration> calibration() const { return m_calibration; }
    // What the calibration is of, and sequences are made on; null where that is not known.
    std::shared_ptr<const TextRun> text() const { return m_text; }
    // What previews make of second moments, kept from one to the next; for jobs.
    std::shared_ptr<quern::Curvatures> curvatures() const { return m_curvatures; }
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
    const QString& failure(int tensor) const; // why it could not be measured; empty if nothing went wrong

    std::optional<double> inputOutliers(int tensor) const; // outlierScore of its inputs; none until known
    std::shared_ptr<const Evaluated> evaluation() const { return m_evaluation; } // null: none yet
    bool evaluationIsCurrent() const;                                            // it is of this plan and calibration

    int tensorCount() const { return static_cast<int>(m_stats.size()); }
    int selected() const { return m_selected; } // index into model()->tensors, -1 for none
    long channel() const { return m_channel; }  // input channel (column) pointed at in the selected tensor, -1 for none

    void setModel(std::shared_ptr<const quern::Model> model); // forgets all that was known
    void setModel(std::shared_ptr<const quern::Model> model, quern::Recipe recipe, Resolved resolved);
    void setCalibration(std::shared_ptr<const quern::Calibration> calibration);
    void setCalibration(std::shared_ptr<const quern::Calibration> calibration, Resolved resolved,
                        std::shared_ptr<const TextRun> text = nullptr);
    void setRecipe(quern::Recipe recipe); // resolves; errors of tensors whose choice changed are forgotten
    void setRecipe(quern::Recipe recipe, Resolved resolved); // the same, resolved elsewhere
    void setStats(int tensor, std::shared_ptr<const quern::TensorStats> stats);
    void setError(int tensor, Error error);
    void setFailure(int tensor, const QString& sentence);
    void setInputOutliers(std::vector<std::optional<double>> scores); // one per tensor
    void setEvaluation(std::shared_ptr<const Evaluated> evaluation);
    void select(int tensor); // and no channel
    void selectChannel(long column);
    // Wishes beyond one tensor: views pass on what was pointed at, whoever can act on it listens.
    void chooseLayer(int layer) { emit layerChosen(layer); }
    void chooseKind(const QString& kind) { emit kindChosen(kind); } // kindOf() its tensors' names
    void wantEvaluation() { emit evaluationWanted(); }
    // For the selected tensor; with a rewrite, if there is one in it, of the whole model.
    void wantChoice(const quern::Choice& choice, const quern::RewriteChoice& rewrite = {})
    {
        emit choiceWanted(choice, rewrite);
    }
    void open(int tensor); // selects it and asks for a closer look

signals:
    void modelChanged();
    void calibrationChanged();
    void recipeChanged(); // plan and planError too
    void statsChanged(int tensor);
    void errorChanged(int tensor); // error or failure
    void inputOutliersChanged();
    void evaluationChanged();
    void selectionChanged();
    void channelChanged();
    void layerChosen(int layer);
    void kindChosen(const QString& kind);
    void evaluationWanted();
    void choiceWanted(const quern::Choice& choice, const quern::RewriteChoice& rewrite);
    void opened(int tensor); // double-click, Enter: show its matrix

private:
    void take(Resolved resolved);

    std::shared_ptr<const quern::Model> m_model;
    std::shared_ptr<const quern::Calibration> m_calibration;
    std::shared_ptr<const TextRun> m_text;
    static constexpr std::uint64_t kMostOfCurvatures = std::uint64_t {1} << 30; // bytes
    std::shared_ptr<quern::Curvatures> m_curvatures = std::make_shared<quern::Curvatures>(kMostOfCurvatures);
    quern::Recipe m_recipe;
    std::shared_ptr<const quern::Plan> m_plan;
    QString m_planError;
    std::vector<std::shared_ptr<const quern::TensorStats>> m_stats;
    std::vector<std::optional<Error>> m_errors;
    std::vector<QString> m_failures;
    std::vector<std::optional<double>> m_inputOutliers;
    std::shared_ptr<const Evaluated> m_evaluation;
    int m_selected = -1;
    long m_channel = -1;
};
