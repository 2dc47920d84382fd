#include "widgets/session.h"

#include "widgets/text.h"

#include <algorithm>
#include <utility>

Resolved resolved(const quern::Recipe& recipe, const quern::Model& model, const quern::Calibration* calibration)
{
    try {
        return {std::make_shared<const quern::Plan>(quern::resolve(recipe, model, calibration)), {}};
    } catch (const quern::Error& error) {
        return {nullptr, sentence(error)};
    }
}

void Session::setModel(std::shared_ptr<const quern::Model> model)
{
    Resolved plan = model ? resolved(m_recipe, *model, nullptr) : Resolved {};
    setModel(std::move(model), m_recipe, std::move(plan));
}

void Session::setModel(std::shared_ptr<const quern::Model> model, quern::Recipe recipe, Resolved resolved)
{
    const std::size_t tensors = model ? model->tensors.size() : 0;
    m_model = std::move(model);
    m_calibration = nullptr;
    m_text = nullptr;
    m_recipe = std::move(recipe);
    m_stats.assign(tensors, nullptr);
    m_errors.assign(tensors, std::nullopt);
    m_failures.assign(tensors, QString());
    m_inputOutliers.assign(tensors, std::nullopt);
    m_evaluation = nullptr;
    m_selected = -1;
    m_channel = -1;
    take(std::move(resolved));
    emit modelChanged();
    emit calibrationChanged();
    emit recipeChanged();
    emit evaluationChanged();
    emit selectionChanged();
}

void Session::setCalibration(std::shared_ptr<const quern::Calibration> calibration)
{
    Resolved plan = m_model ? resolved(m_recipe, *m_model, calibration.get()) : Resolved {};
    setCalibration(std::move(calibration), std::move(plan));
}

void Session::setCalibration(std::shared_ptr<const quern::Calibration> calibration, Resolved resolved,
                             std::shared_ptr<const TextRun> text)
{
    m_calibration = std::move(calibration);
    m_text = std::move(text);
    m_errors.assign(m_errors.size(), std::nullopt);
    m_failures.assign(m_failures.size(), QString());
    m_inputOutliers.assign(m_inputOutliers.size(), std::nullopt);
    take(std::move(resolved));
    emit calibrationChanged();
    emit recipeChanged();
}

void Session::setRecipe(quern::Recipe recipe)
{
    Resolved plan = m_model ? resolved(recipe, *m_model, m_calibration.get()) : Resolved {};
    setRecipe(std::move(recipe), std::move(plan));
}

void Session::setRecipe(quern::Recipe recipe, Resolved resolved)
{
    m_recipe = std::move(recipe);
    const auto before = m_plan;
    take(std::move(resolved));
    for (std::size_t i = 0; i < m_errors.size(); ++i)
        if (!before || !m_plan || before->tensors[i].choice != m_plan->tensors[i].choice) {
            m_errors[i].reset();
            m_failures[i].clear();
        }
    emit recipeChanged();
}

void Session::take(Resolved resolved)
{
    m_plan = std::move(resolved.plan);
    m_planError = std::move(resolved.error);
}

std::shared_ptr<const quern::TensorStats> Session::stats(int tensor) const
{
    return m_stats.at(static_cast<std::size_t>(tensor));
}

std::optional<Session::Error> Session::error(int tensor) const
{
    return m_errors.at(static_cast<std::size_t>(tensor));
}

const QString& Session::failure(int tensor) const
{
    return m_failures.at(static_cast<std::size_t>(tensor));
}

void Session::setStats(int tensor, std::shared_ptr<const quern::TensorStats> stats)
{
    m_stats.at(static_cast<std::size_t>(tensor)) = std::move(stats);
    emit statsChanged(tensor);
}

void Session::setError(int tensor, Error error)
{
    m_errors.at(static_cast<std::size_t>(tensor)) = error;
    m_failures.at(static_cast<std::size_t>(tensor)).clear();
    emit errorChanged(tensor);
}

void Session::setFailure(int tensor, const QString& sentence)
{
    m_failures.at(static_cast<std::size_t>(tensor)) = sentence;
    emit errorChanged(tensor);
}

std::optional<double> Session::inputOutliers(int tensor) const
{
    return m_inputOutliers.at(static_cast<std::size_t>(tensor));
}

void Session::setInputOutliers(std::vector<std::optional<double>> scores)
{
    m_inputOutliers = std::move(scores);
    m_inputOutliers.resize(m_stats.size());
    emit inputOutliersChanged();
}

void Session::setEvaluation(std::shared_ptr<const Evaluated> evaluation)
{
    m_evaluation = std::move(evaluation);
    emit evaluationChanged();
}

bool Session::evaluationIsCurrent() const
{
    return m_evaluation && m_plan && m_evaluation->calibration == m_calibration
        && m_evaluation->plan->rewrites == m_plan->rewrites && m_evaluation->plan->sequential == m_plan->sequential
        && std::ranges::equal(m_evaluation->plan->tensors, m_plan->tensors, {}, &quern::PlannedTensor::choice,
                              &quern::PlannedTensor::choice);
}

void Session::select(int tensor)
{
    if (std::exchange(m_selected, tensor) == tensor)
        return;
    m_channel = -1;
    emit selectionChanged();
}

void Session::selectChannel(long column)
{
    if (std::exchange(m_channel, column) != column)
        emit channelChanged();
}

void Session::open(int tensor)
{
    select(tensor);
    emit opened(tensor);
}
