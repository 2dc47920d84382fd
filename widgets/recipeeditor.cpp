#include "widgets/recipeeditor.h"

#include "core/preset.h"
#include "core/scope.h"
#include "widgets/text.h"

#include <algorithm>
#include <utility>

namespace {

bool sameChoices(const quern::Plan& a, const quern::Plan& b)
{
    return std::ranges::equal(a.tensors, b.tensors, {}, &quern::PlannedTensor::choice, &quern::PlannedTensor::choice);
}

} // namespace

// One change of the recipe. Made when the change is already in force, so its first redo() does nothing.
class RecipeEditor::Step final : public QUndoCommand {
public:
    Step(RecipeEditor* editor, quern::Recipe before, const Request& request)
        : QUndoCommand(request.text)
        , m_editor(editor)
        , m_before(std::move(before))
        , m_after(request.recipe)
        , m_gesture(request.gesture)
    {
    }

    int id() const override { return m_gesture > 0 ? 1 : -1; }
    bool mergeWith(const QUndoCommand* other) override
    {
        const auto* step = static_cast<const Step*>(other);
        if (step->m_gesture != m_gesture)
            return false;
        m_after = step->m_after;
        setObsolete(m_after == m_before);
        return true;
    }
    void redo() override
    {
        if (std::exchange(m_inForce, false))
            return;
        m_editor->restore(m_after);
    }
    void undo() override { m_editor->restore(m_before); }

private:
    RecipeEditor* m_editor;
    quern::Recipe m_before, m_after;
    int m_gesture;
    bool m_inForce = true;
};

RecipeEditor::RecipeEditor(Session* session, QObject* parent)
    : QObject(parent)
    , m_session(session)
{
    m_history.setUndoLimit(200);
    connect(session, &Session::modelChanged, this, &RecipeEditor::forget);
    connect(&m_job, &Job::failed, this, [this](const quern::Error&) { forget(); });
}

const quern::Recipe& RecipeEditor::wanted() const
{
    return m_waiting ? m_waiting->recipe : m_running ? m_running->recipe : m_session->recipe();
}

void RecipeEditor::change(quern::Recipe recipe, const QString& text, int gesture)
{
    if (recipe != wanted())
        request({std::move(recipe), text, gesture});
}

void RecipeEditor::usePreset(const quern::Preset* preset)
{
    quern::Recipe recipe;
    recipe.preset = preset;
    if (preset) {
        recipe.method = wanted().method;
        recipe.settings = wanted().settings;
        recipe.rewrites = wanted().rewrites;
        recipe.sequential = wanted().sequential;
    }
    change(std::move(recipe), preset ? tr("Preset %1").arg(text(preset->name)) : tr("No preset"));
}

void RecipeEditor::addRule(const quern::Rule& rule, const QString& text, int gesture)
{
    quern::Recipe recipe = quern::withRule(wanted(), rule);
    if (recipe != wanted())
        request({.recipe = std::move(recipe), .text = text, .gesture = gesture, .rule = true});
}

void RecipeEditor::restore(const quern::Recipe& recipe)
{
    request({.recipe = recipe, .undoing = true});
}

void RecipeEditor::forget()
{
    m_job.cancel();
    m_running.reset();
    m_waiting.reset();
    m_base = {};
    m_history.clear();
}

void RecipeEditor::request(Request request)
{
    m_waiting = std::move(request);
    if (!m_running)
        resolveNext();
}

void RecipeEditor::resolveNext()
{
    if (!m_session->model()) {
        // Nothing to fit: the recipe is kept for the model to come.
        m_session->setRecipe(std::exchange(m_waiting, std::nullopt)->recipe, {});
        return;
    }
    m_running = std::exchange(m_waiting, std::nullopt);
    m_job.start([recipe = m_running->recipe, model = m_session->model(), calibration = m_session->calibration()](
                    quern::Progress&) { return resolved(recipe, *model, calibration.get()); },
                [this](Resolved result) { finish(std::move(result)); });
}

void RecipeEditor::finish(Resolved result)
{
    Request request = *std::exchange(m_running, std::nullopt);
    if (request.gesture == 0 || request.gesture != m_base.gesture)
        m_base = {request.gesture, m_session->recipe(), {m_session->plan(), m_session->planError()}};
    // Nothing but a rule that says what holds without it: what held stays, whole.
    if (request.rule && result.plan && m_base.resolved.plan && sameChoices(*result.plan, *m_base.resolved.plan)) {
        request.recipe = m_base.recipe;
        result = m_base.resolved;
    }
    if (!result.plan && !request.undoing) {
        emit refused(result.error);
    } else if (request.recipe == m_session->recipe() && !request.undoing) {
        emit accepted();
    } else {
        quern::Recipe before = m_session->recipe();
        m_session->setRecipe(request.recipe, std::move(result));
        if (!request.undoing)
            m_history.push(new Step(this, std::move(before), request));
        emit accepted();
    }
    if (m_waiting)
        resolveNext();
}
