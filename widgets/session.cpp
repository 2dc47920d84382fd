#include "widgets/session.h"

#include <utility>

void Session::setModel(std::shared_ptr<const quern::Model> model)
{
    const std::size_t tensors = model ? model->tensors.size() : 0;
    m_model = std::move(model);
    m_calibration = nullptr;
    m_stats.assign(tensors, nullptr);
    m_errors.assign(tensors, std::nullopt);
    m_selected = -1;
    m_channel = -1;
    resolvePlan();
    emit modelChanged();
    emit calibrationChanged();
    emit recipeChanged();
    emit selectionChanged();
}

void Session::setCalibration(std::shared_ptr<const quern::Calibration> calibration)
{
    m_calibration = std::move(calibration);
    m_errors.assign(m_errors.size(), std::nullopt);
    resolvePlan();
    emit calibrationChanged();
    emit recipeChanged();
}

void Session::setRecipe(quern::Recipe recipe)
{
    m_recipe = std::move(recipe);
    const auto before = m_plan;
    resolvePlan();
    for (std::size_t i = 0; i < m_errors.size(); ++i)
        if (!before || !m_plan || before->tensors[i].choice != m_plan->tensors[i].choice)
            m_errors[i].reset();
    emit recipeChanged();
}

void Session::resolvePlan()
{
    m_plan = nullptr;
    m_planError.clear();
    if (!m_model)
        return;
    try {
        m_plan = std::make_shared<const quern::Plan>(quern::resolve(m_recipe, *m_model, m_calibration.get()));
    } catch (const quern::Error& error) {
        m_planError = QString::fromUtf8(error.what());
    }
}

std::shared_ptr<const quern::TensorStats> Session::stats(int tensor) const
{
    return m_stats.at(static_cast<std::size_t>(tensor));
}

std::optional<Session::Error> Session::error(int tensor) const
{
    return m_errors.at(static_cast<std::size_t>(tensor));
}

void Session::setStats(int tensor, std::shared_ptr<const quern::TensorStats> stats)
{
    m_stats.at(static_cast<std::size_t>(tensor)) = std::move(stats);
    emit statsChanged(tensor);
}

void Session::setError(int tensor, Error error)
{
    m_errors.at(static_cast<std::size_t>(tensor)) = error;
    emit errorChanged(tensor);
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
