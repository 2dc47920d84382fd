#include "widgets/tunepanel.h"

#include "core/rewrite.h"
#include "widgets/errorfigures.h"
#include "widgets/methods.h"
#include "widgets/presetchooser.h"
#include "widgets/text.h"

#include <QButtonGroup>
#include <QFormLayout>
#include <QFrame>
#include <QLabel>
#include <QPushButton>
#include <QRadioButton>
#include <QScrollArea>
#include <QVBoxLayout>

namespace {

QFrame* line(QWidget* parent)
{
    auto* line = new QFrame(parent);
    line->setFrameShape(QFrame::HLine);
    line->setFrameShadow(QFrame::Sunken);
    return line;
}

QLabel* wrapped(QWidget* parent)
{
    auto* label = new QLabel(parent);
    label->setWordWrap(true);
    label->setTextFormat(Qt::PlainText);
    label->setTextInteractionFlags(Qt::TextSelectableByMouse);
    return label;
}

QString change(const QString& before, const QString& now)
{
    return before.isEmpty() || before == now ? now : QStringLiteral("%1 → %2").arg(before, now);
}

} // namespace

TunePanel::TunePanel(Session* session, RecipeEditor* editor, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_editor(editor)
{
    auto* area = new QScrollArea(this);
    area->setWidgetResizable(true);
    area->setFrameShape(QFrame::NoFrame);
    area->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    area->setWidget(createContents());
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->addWidget(area);
    setMinimumWidth(area->widget()->minimumSizeHint().width() + 20);

    connect(session, &Session::recipeChanged, this, &TunePanel::refresh);
    connect(session, &Session::selectionChanged, this, &TunePanel::refresh);
    connect(session, &Session::errorChanged, this, [this](int tensor) {
        if (tensor == m_session->selected())
            showNumbers();
    });
    connect(session, &Session::kindChosen, this, [this] { setReach(quern::Reach::Kind); });
    connect(session, &Session::layerChosen, this, [this] { setReach(quern::Reach::Layer); });
    connect(editor, &RecipeEditor::accepted, m_refusal, &QWidget::hide);
    connect(editor, &RecipeEditor::refused, this, [this](const QString& sentence) {
        m_refusal->setText(sentence);
        m_refusal->show();
        refresh();
    });
    refresh();
}

QWidget* TunePanel::createContents()
{
    auto* page = new QWidget(this);
    auto* layout = new QVBoxLayout(page);

    m_preset = new PresetChooser(page);
    layout->addWidget(m_preset);
    layout->addWidget(line(page));

    m_title = wrapped(page);
    QFont bold = m_title->font();
    bold.setBold(true);
    m_title->setFont(bold);
    m_shape = wrapped(page);
    layout->addWidget(m_title);
    layout->addWidget(m_shape);

    m_tensorPart = new QWidget(page);
    auto* part = new QVBoxLayout(m_tensorPart);
    part->setContentsMargins(0, 0, 0, 0);
    part->addLayout(createReach());
    m_choice = new ChoiceEditor(m_tensorPart);
    part->addWidget(m_choice);
    m_reset = new QPushButton(tr("&Back to the preset"), m_tensorPart);
    part->addWidget(m_reset);
    layout->addWidget(m_tensorPart);
    m_refusal = wrapped(page);
    m_refusal->setFrameShape(QFrame::StyledPanel);
    m_refusal->hide();
    layout->addWidget(m_refusal);
    m_numbers = createNumbers(page);
    layout->addWidget(m_numbers);
    layout->addStretch();

    connect(m_preset, &PresetChooser::presetChosen, this, &TunePanel::usePreset);
    connect(m_preset, &PresetChooser::methodChosen, this, &TunePanel::useMethod);
    connect(m_preset, &PresetChooser::sequentialEdited, this, &TunePanel::useSequential);
    connect(m_preset, &PresetChooser::rewritesEdited, this, &TunePanel::useRewrites);
    connect(m_reset, &QPushButton::clicked, this, &TunePanel::reset);
    connect(m_choice, &ChoiceEditor::edited, this, [this] { apply(m_choice->choice()); });
    connect(m_session, &Session::choiceWanted, this, &TunePanel::apply);
    connect(m_choice, &ChoiceEditor::dragStarted, this, [this] {
        m_gesture = m_editor->newGesture();
        ++m_edit;
        emit dragStarted();
    });
    connect(m_choice, &ChoiceEditor::dragEnded, this, [this] {
        m_gesture = 0;
        emit dragEnded();
    });
    return page;
}

QLayout* TunePanel::createReach()
{
    m_reach = new QButtonGroup(this);
    auto* rows = new QVBoxLayout;
    auto* label = new QLabel(tr("Apply to"), m_tensorPart);
    rows->addWidget(label);
    for (int reach = 0; reach < 4; ++reach) {
        auto* button = new QRadioButton(m_tensorPart);
        m_reach->addButton(button, reach);
        rows->addWidget(button);
    }
    m_reach->button(0)->setChecked(true);
    label->setBuddy(m_reach->button(0));
    connect(m_reach, &QButtonGroup::idClicked, this, &TunePanel::refresh);
    return rows;
}

QWidget* TunePanel::createNumbers(QWidget* page)
{
    auto* numbers = new QWidget(page);
    auto* form = new QFormLayout(numbers);
    form->setContentsMargins(0, 0, 0, 0);
    form->addRow(line(numbers));
    const auto row = [&](const QString& title, const QString& tip) {
        auto* value = wrapped(numbers);
        value->setAccessibleName(title);
        value->setToolTip(tip);
        form->addRow(title, value);
        return value;
    };
    m_error = row(tr("Relative error"), tr("Root of the summed squared error over the summed squared weights"));
    m_sqnr = row(sqnr().name, sqnr().tip);
    m_output = row(outputError().name, outputError().tip);
    m_size = row(tr("Size"), tr("Of this tensor in the exported file"));
    m_bits = row(tr("Bits per weight"), tr("In the exported file"));
    m_carrier = wrapped(numbers);
    form->addRow(m_carrier);
    m_rewrites = wrapped(numbers);
    form->addRow(m_rewrites);
    return numbers;
}

void TunePanel::setReach(quern::Reach reach)
{
    m_reach->button(static_cast<int>(reach))->setChecked(true);
    refresh();
}

quern::Reach TunePanel::reach() const
{
    return static_cast<quern::Reach>(m_reach->checkedId());
}

std::string TunePanel::pattern() const
{
    return quern::patternFor(reach(),
                             m_session->model()->tensors[static_cast<std::size_t>(m_session->selected())].name);
}

void TunePanel::refresh()
{
    const quern::Recipe& recipe = m_session->recipe();
    m_preset->setRecipe(recipe, m_session->calibration().get(), m_session->text().get());
    const int selected = m_session->selected();
    for (QWidget* part : {m_tensorPart, m_numbers})
        part->setVisible(selected >= 0 && m_session->plan());
    m_shape->setVisible(selected >= 0);
    if (selected < 0) {
        m_title->setText(m_session->model() ? tr("Select a tensor to tune it.") : tr("Open a model to tune it."));
        return;
    }
    const auto i = static_cast<std::size_t>(selected);
    const quern::Tensor& tensor = m_session->model()->tensors[i];
    m_title->setText(text(tensor.name));
    m_shape->setText(
        tr("%1, %2, %3").arg(shapeText(tensor), text(tensor.format->name), bytesText(tensor.bytes.size())));
    if (!m_session->plan()) {
        m_shape->setText(m_shape->text() + u'\n' + m_session->planError());
        return;
    }
    const int layer = quern::layerOf(tensor.name);
    m_reach->button(0)->setText(tr("&this tensor"));
    m_reach->button(1)->setText(tr("all %1").arg(text(quern::kindOf(tensor.name))));
    m_reach->button(2)->setText(layer >= 0 ? tr("layer %1").arg(layer) : tr("layer"));
    m_reach->button(2)->setEnabled(layer >= 0);
    m_reach->button(2)->setToolTip(layer >= 0 ? QString() : tr("This tensor belongs to no layer."));
    m_reach->button(3)->setText(tr("&all tensors"));
    if (m_gesture == 0)
        m_choice->setChoice(m_session->plan()->tensors[i].choice, tensor,
                            m_session->calibration() ? m_session->calibration()->find(tensor.name) : nullptr);
    m_reset->setEnabled(quern::withoutRules(recipe, pattern()) != recipe);
    m_reset->setToolTip(m_reset->isEnabled() ? QString() : tr("Nothing here differs from the preset."));
    showNumbers();
}

TunePanel::Numbers TunePanel::numbers() const
{
    const int selected = m_session->selected();
    const auto i = static_cast<std::size_t>(selected);
    const quern::PlannedTensor& planned = m_session->plan()->tensors[i];
    const auto weights = static_cast<double>(m_session->model()->tensors[i].count());
    return {selected,
            planned.choice,
            m_session->error(selected),
            planned.storedBytes,
            8 * static_cast<double>(planned.storedBytes) / weights,
            8 * static_cast<double>(planned.methodBytes) / weights};
}

void TunePanel::showNumbers()
{
    if (m_session->selected() < 0 || !m_session->plan())
        return;
    const Numbers now = numbers();
    if (now.tensor != m_now.tensor || (m_before && m_before->choice == now.choice)) {
        m_before.reset();
    } else if (now.choice != m_now.choice && m_now.error && m_beforeEdit != m_edit) {
        m_before = m_now;
        m_beforeEdit = m_edit;
    }
    // While the new error is on its way the old one is what "before" will be.
    if (now.error || now.tensor != m_now.tensor)
        m_now = now;

    const auto error = [](const Numbers& n, auto value) {
        return n.error ? (n.error->exact ? QString() : QStringLiteral("~ ")) + value(n.error->distortion) : QString();
    };
    const auto relative = [](const quern::Distortion& d) { return figure(d.relative()); };
    const auto output = [](const quern::Distortion& d) {
        return d.outputPower > 0 ? outputError().written(d) : tr("not known without a calibration");
    };
    const Numbers before = m_before.value_or(Numbers {});
    const QString& failure = m_session->failure(now.tensor);
    const QString pending = failure.isEmpty() ? tr("measuring…") : failure;
    m_error->setText(now.error ? change(error(before, relative), error(now, relative)) : pending);
    m_sqnr->setText(now.error ? change(error(before, sqnr().written), error(now, sqnr().written)) : QString());
    m_output->setText(now.error ? change(error(before, output), error(now, output)) : QString());
    m_size->setText(change(m_before ? bytesText(before.bytes) : QString(), bytesText(now.bytes)));
    m_bits->setText(change(m_before ? fixed(before.bits) : QString(), fixed(now.bits)));
    showCarrier();
    m_rewrites->setText(shownWithout(m_session->recipe()));
    m_rewrites->setVisible(!m_rewrites->text().isEmpty());
}

void TunePanel::showCarrier()
{
    const auto i = static_cast<std::size_t>(m_session->selected());
    const quern::PlannedTensor& planned = m_session->plan()->tensors[i];
    const auto weights = static_cast<double>(m_session->model()->tensors[i].count());
    QStringList sentences;
    if (planned.stored != planned.choice.format) {
        const quern::BlockFormat& format = *planned.choice.format;
        sentences << tr("The method needs %1 bits per weight; GGUF has no such type, so the file carries the values as "
                        "%2, which takes %3.")
                         .arg(fixed(8 * static_cast<double>(planned.methodBytes) / weights), text(planned.stored->name),
                              fixed(8 * static_cast<double>(planned.storedBytes) / weights));
        sentences << (format.carry ? tr("Not a bit of the values is lost by that.")
                                   : tr("The carrier rounds; the difference is measured on export."));
    }
    if (planned.asked)
        sentences << tr("The preset wanted %1, which does not fit rows of %2 weights.")
                         .arg(text(planned.asked->name))
                         .arg(m_session->model()->tensors[i].cols());
    m_carrier->setText(sentences.join(u' '));
    m_carrier->setVisible(!sentences.isEmpty());
}

void TunePanel::apply(const quern::Choice& choice, const quern::RewriteChoice& rewrite)
{
    if (m_session->selected() < 0 || !m_session->plan())
        return;
    if (m_gesture == 0)
        ++m_edit;
    const std::string pattern = this->pattern();
    const QString what = choice.format ? text(choice.format->name) : tr("as stored");
    if (!rewrite.rewrite)
        return m_editor->addRule({pattern, choice}, tr("%1: %2").arg(text(pattern), what), m_gesture);
    quern::Recipe recipe = m_editor->wanted();
    if (std::ranges::find(recipe.rewrites, rewrite.rewrite, &quern::RewriteChoice::rewrite) == recipe.rewrites.end())
        recipe.rewrites.push_back(rewrite);
    if (m_session->plan()->tensors[static_cast<std::size_t>(m_session->selected())].choice != choice)
        recipe = quern::withRule(std::move(recipe), {pattern, choice});
    m_editor->change(std::move(recipe), tr("%1: %2 after %3").arg(text(pattern), what, text(rewrite.rewrite->name)));
}

void TunePanel::usePreset(const quern::Preset* preset)
{
    ++m_edit;
    m_editor->usePreset(preset);
}

void TunePanel::useMethod(const quern::Quantizer* method)
{
    ++m_edit;
    quern::Recipe recipe = m_editor->wanted();
    recipe.method = method;
    recipe.settings.clear();
    m_editor->change(std::move(recipe),
                     method ? tr("Preset by %1").arg(text(method->name)) : tr("Preset by the best known method"));
}

void TunePanel::useSequential(const std::optional<quern::Settings>& sequential, const QString& text)
{
    ++m_edit;
    quern::Recipe recipe = m_editor->wanted();
    recipe.sequential = sequential;
    m_editor->change(std::move(recipe), text);
}

void TunePanel::useRewrites(const std::vector<quern::RewriteChoice>& rewrites, const QString& text)
{
    ++m_edit;
    quern::Recipe recipe = m_editor->wanted();
    recipe.rewrites = rewrites;
    m_editor->change(std::move(recipe), text);
}

void TunePanel::reset()
{
    ++m_edit;
    m_editor->change(quern::withoutRules(m_editor->wanted(), pattern()), tr("Reset %1").arg(text(pattern())));
}
