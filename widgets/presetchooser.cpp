#include "widgets/presetchooser.h"

#include "core/shift.h"
#include "widgets/combo.h"
#include "widgets/methods.h"
#include "widgets/optionrow.h"
#include "widgets/rewritechooser.h"
#include "widgets/text.h"
#include "widgets/textrun.h"

#include <QCoreApplication>
#include <QFormLayout>

PresetChooser::PresetChooser(QWidget* parent)
    : QWidget(parent)
    , m_preset(new QComboBox(this))
    , m_method(new QComboBox(this))
    , m_sequential(new OptionRow(tr("block by block"), this))
    , m_rewrites(new RewriteChooser(this))
{
    m_preset->addItem(tr("none: as stored"), QString());
    for (const quern::Preset& preset : quern::presets()) {
        m_preset->addItem(text(preset.name), text(preset.name));
        m_preset->setItemData(m_preset->count() - 1, QCoreApplication::translate("core", preset.summary),
                              Qt::ToolTipRole);
    }
    m_preset->setWhatsThis(tr("A mix of types under llama.cpp's name, for the whole model. Replaces all changes made "
                              "to single tensors; Undo brings them back."));
    m_preset->setToolTip(m_preset->whatsThis());
    m_method->addItem(tr("best known"), QString());
    enableItem(m_method, 0, true,
               tr("gptq+descent for tensors whose inputs' second moments a calibration knows, else nearest"));
    for (const quern::Quantizer* method : quern::quantizers())
        m_method->addItem(text(method->name), text(method->name));
    m_method->setWhatsThis(tr("How the preset's types are quantized, but for tensors with a choice of their own."));
    m_method->setAccessibleName(tr("Method of the preset"));
    auto* form = new QFormLayout(this);
    form->setContentsMargins(0, 0, 0, 0);
    form->setFieldGrowthPolicy(QFormLayout::AllNonFixedFieldsGrow);
    form->addRow(tr("&Preset"), m_preset);
    form->addRow(tr("quantized &by"), m_method);
    form->addRow(m_sequential);
    form->addRow(tr("rescaled by"), m_rewrites);
    connect(m_sequential, &OptionRow::clicked, this, [this](bool on) {
        emit sequentialEdited(on ? std::optional(quern::Settings {}) : std::nullopt,
                              on ? tr("Block by block") : tr("Not block by block"));
    });
    connect(m_sequential, &OptionRow::settingsEdited, this,
            [this] { emit sequentialEdited(m_sequential->settings(), tr("Settings of block by block")); });
    connect(m_rewrites, &RewriteChooser::edited, this, &PresetChooser::rewritesEdited);
    connect(m_preset, &QComboBox::activated, this,
            [this] { emit presetChosen(quern::findPreset(m_preset->currentData().toString().toStdString())); });
    connect(m_method, &QComboBox::activated, this,
            [this] { emit methodChosen(quern::findQuantizer(m_method->currentData().toString().toStdString())); });
}

void PresetChooser::setRecipe(const quern::Recipe& recipe, const quern::Calibration* calibration, const TextRun* read)
{
    const QString lacking = read ? QString() : tr("Needs a calibration made here, on a text (Model, Calibrate).");
    m_sequential->setShown(
        {recipe.sequential.has_value(),
         tr("Each block is quantized for the inputs that it gets from those before it as they have "
            "become, which makes up for their errors. Export and Evaluate take longer, and lose less."),
         read ? QString() : tr("calibrate first"), lacking},
        quern::kSequentialParams, recipe.sequential.value_or(quern::Settings {}));
    chooseItem(m_preset, recipe.preset ? text(recipe.preset->name) : QString());
    chooseItem(m_method, recipe.method ? text(recipe.method->name) : QString());
    m_rewrites->setRewrites(recipe.rewrites, calibration);
    const auto methods = quern::quantizers();
    for (std::size_t i = 0; i < methods.size(); ++i) {
        const QString reason = whyNot(*methods[i], calibration);
        enableItem(m_method, static_cast<int>(i) + 1, reason.isEmpty(),
                   reason.isEmpty() ? summaryOf(*methods[i]) : reason);
    }
    m_method->setEnabled(recipe.preset != nullptr);
    m_method->setToolTip(recipe.preset ? m_method->whatsThis() : tr("Without a preset there is nothing to quantize."));
}
