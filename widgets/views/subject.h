#pragma once

#include "core/quantize.h"

#include <QString>

#include <memory>
#include <optional>

class Session;

// The selected tensor and what the plan does to it, for jobs: keeps alive what it refers to.
struct Subject {
    std::shared_ptr<const quern::Model> model;
    std::shared_ptr<const quern::Calibration> calibration; // may be null
    int index;
    std::shared_ptr<quern::Curvatures> curvatures;
    quern::Choice choice; // no quantizer: stored as it is; no format: there is no plan

    const quern::Tensor& tensor() const { return model->tensors[static_cast<std::size_t>(index)]; }
    const quern::InputStats* inputs() const; // null without calibration
    quern::KnownInputs knownInputs() const { return {inputs(), curvatures.get()}; }
    bool quantized() const { return choice.quantizer && choice.format; }
    QString name() const;
    QString formatName() const; // after
    bool operator==(const Subject&) const = default;
};

std::optional<Subject> subjectOf(const Session& session); // none if nothing is selected
// What to do so that there is a tensor to show; empty if one is selected.
QString missingSubject(const Session& session);
// The same, or that the selected tensor's statistics are on their way or failed; empty if they are there.
QString missingStats(const Session& session);
