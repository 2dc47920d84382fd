#include "widgets/analysis.h"

#include "core/activations.h"
#include "widgets/text.h"

#include <algorithm>

namespace {

constexpr int kBins = 2048;
constexpr long kSample = 1 << 18; // weights that an estimate looks at: about a frame's time for the slow formats

// What measuring gave: a value, or why there is none.
template <typename Value>
struct Outcome {
    std::optional<Value> value;
    std::optional<quern::Error> failure;
    bool lost = false; // the model's file is damaged: nothing more can be measured
};

template <typename Measure>
auto measured(const quern::Model& model, Measure measure)
{
    Outcome<decltype(measure())> outcome;
    try {
        outcome.value = measure();
    } catch (const quern::Error& error) {
        outcome.failure = error;
    }
    try {
        model.check();
    } catch (const quern::Error& error) {
        outcome = {.failure = error, .lost = true};
    }
    return outcome;
}

} // namespace

Analysis::Analysis(Session* session, QObject* parent)
    : QObject(parent)
    , m_session(session)
{
    m_clock.start();
    connect(session, &Session::modelChanged, this, &Analysis::startModel);
    connect(session, &Session::recipeChanged, this, &Analysis::startRecipe);
    connect(session, &Session::calibrationChanged, this, &Analysis::scoreInputs);
    connect(&m_exact, &Job::failed, this, [this](const quern::Error& error) { takeFailure(-1, error); });
    connect(&m_estimates, &Job::failed, this, [this](const quern::Error& error) { takeFailure(-1, error); });
}

void Analysis::hold()
{
    ++m_held;
    m_exact.cancel();
}

void Analysis::release()
{
    if (--m_held == 0)
        wake();
}

void Analysis::stop()
{
    m_stopped = true;
    m_exact.cancel();
    m_estimates.cancel();
    m_scores.cancel();
}

const quern::Tensor& Analysis::tensor(int index) const
{
    return m_session->model()->tensors[static_cast<std::size_t>(index)];
}

void Analysis::startModel()
{
    stop();
    m_stopped = false;
    m_nextStats = 0;
    m_noStats.assign(static_cast<std::size_t>(m_session->tensorCount()), false);
    startRecipe();
}

void Analysis::startRecipe()
{
    const auto plan = m_session->plan();
    if (m_exact.running() && m_measured >= 0
        && (!plan || plan->tensors[static_cast<std::size_t>(m_measured)].choice != m_measuredChoice))
        m_exact.cancel();
    m_nextError = m_nextEstimate = 0;
    m_announced = false;
    m_done = m_total = 0;
    for (int i = 0; i < m_session->tensorCount(); ++i) {
        const auto weights = static_cast<double>(tensor(i).count());
        m_total += 2 * weights;
        m_done += (wantsStats(i) ? 0 : weights) + (wantsError(i) ? 0 : weights);
    }
    m_pace.start(now());
    wake();
}

// Of all tensors at once: a pass over what a calibration has of their channels.
void Analysis::scoreInputs()
{
    m_scores.cancel();
    if (!m_session->model() || !m_session->calibration())
        return;
    m_scores.start(
        [model = m_session->model(), calibration = m_session->calibration()](quern::Progress& progress) {
            std::vector<std::optional<double>> scores;
            for (const quern::Tensor& tensor : model->tensors) {
                progress.check();
                const quern::InputStats* inputs = calibration->find(tensor.name);
                scores.push_back(inputs ? quern::outlierScore(*inputs) : std::nullopt);
            }
            return scores;
        },
        [this](std::vector<std::optional<double>> scores) { m_session->setInputOutliers(std::move(scores)); });
}

bool Analysis::wantsStats(int tensor) const
{
    return !m_session->stats(tensor) && !m_noStats[static_cast<std::size_t>(tensor)];
}

bool Analysis::wantsError(int tensor) const
{
    if (!m_session->plan() || !m_session->failure(tensor).isEmpty())
        return false;
    const auto error = m_session->error(tensor);
    return !error || !error->exact;
}

bool Analysis::wantsEstimate(int tensor) const
{
    return wantsError(tensor) && !m_session->error(tensor);
}

// The selected tensor if it is wanted, else the first one in file order; -1 if there is none.
int Analysis::next(int& cursor, bool (Analysis::*wants)(int) const)
{
    const int selected = m_session->selected();
    if (selected >= 0 && (this->*wants)(selected))
        return selected;
    while (cursor < m_session->tensorCount() && !(this->*wants)(cursor))
        ++cursor;
    return cursor < m_session->tensorCount() ? cursor : -1;
}

void Analysis::wake()
{
    if (m_stopped || !m_session->model())
        return;
    if (!m_estimates.running())
        startEstimate();
    if (!m_exact.running() && m_held == 0)
        startExact();
    if (complete() && !m_announced) {
        m_announced = true;
        emit completed();
    }
}

bool Analysis::complete() const
{
    return m_stopped || !m_session->model() || (m_done >= m_total && !m_exact.running() && !m_estimates.running());
}

double Analysis::fraction() const
{
    return m_total > 0 ? m_done / m_total : 1;
}

std::optional<double> Analysis::remaining() const
{
    return m_pace.remaining(now());
}

void Analysis::startEstimate()
{
    const int index = next(m_nextEstimate, &Analysis::wantsEstimate);
    if (index >= 0)
        measureError(m_estimates, index, std::max(tensor(index).count() / kSample, 1L));
}

void Analysis::startExact()
{
    const int selected = m_session->selected();
    m_measured = -1;
    if (selected >= 0 && !wantsStats(selected) && wantsError(selected)) {
        measureError(m_exact, selected, 1);
    } else if (const int stats = next(m_nextStats, &Analysis::wantsStats); stats >= 0) {
        measureStats(stats);
    } else if (const int error = next(m_nextError, &Analysis::wantsError); error >= 0) {
        measureError(m_exact, error, 1);
    }
}

void Analysis::measureStats(int index)
{
    m_step = tr("Statistics of %1").arg(text(tensor(index).name));
    emit progressed();
    m_exact.start(
        [model = m_session->model(), index](quern::Progress& progress) {
            return measured(*model, [&] {
                return std::make_shared<const quern::TensorStats>(
                    quern::tensorStats(model->tensors[static_cast<std::size_t>(index)], kBins, progress));
            });
        },
        [this, index](auto outcome) {
            if (outcome.lost)
                return takeFailure(-1, *outcome.failure);
            count(static_cast<double>(tensor(index).count()));
            m_noStats[static_cast<std::size_t>(index)] = !outcome.value;
            if (outcome.value)
                m_session->setStats(index, std::move(*outcome.value));
            wake();
        });
}

void Analysis::measureError(Job& job, int index, long stride)
{
    const quern::Choice choice = m_session->plan()->tensors[static_cast<std::size_t>(index)].choice;
    if (&job == &m_exact) {
        m_measured = index;
        m_measuredChoice = choice;
        m_step = tr("Error of %1").arg(text(tensor(index).name));
        emit progressed();
    }
    job.start(
        [model = m_session->model(), calibration = m_session->calibration(), curvatures = m_session->curvatures(),
         choice, index, stride](quern::Progress& progress) {
            const quern::Tensor& tensor = model->tensors[static_cast<std::size_t>(index)];
            return measured(*model, [&] {
                return quern::preview(tensor, choice, {quern::inputsOf(tensor, calibration.get()), curvatures.get()},
                                      stride, progress);
            });
        },
        [this, choice, calibration = m_session->calibration(), index, stride](auto outcome) {
            if (outcome.lost)
                return takeFailure(-1, *outcome.failure);
            const auto plan = m_session->plan();
            const bool current = plan && plan->tensors[static_cast<std::size_t>(index)].choice == choice
                && m_session->calibration() == calibration;
            // Another lane may have finished the same tensor exactly in the meantime.
            if (current && wantsError(index)) {
                if (outcome.failure)
                    takeFailure(index, *outcome.failure);
                else
                    m_session->setError(index, {*outcome.value, stride == 1});
                if (!wantsError(index))
                    count(static_cast<double>(tensor(index).count()));
            }
            wake();
        });
}

void Analysis::takeFailure(int index, const quern::Error& error)
{
    if (index >= 0)
        return m_session->setFailure(index, sentence(error));
    stop();
    emit failed(sentence(error));
}

void Analysis::count(double weights)
{
    m_done += weights;
    m_pace.report(fraction(), now());
    emit progressed();
}
