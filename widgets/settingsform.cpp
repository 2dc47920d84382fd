#include "widgets/settingsform.h"

#include <QComboBox>
#include <QCoreApplication>
#include <QDoubleSpinBox>
#include <QFormLayout>
#include <QLabel>
#include <QScopedValueRollback>

#include <cmath>

SettingsForm::SettingsForm(QWidget* parent)
    : QWidget(parent)
    , m_form(new QFormLayout(this))
{
    m_form->setContentsMargins(0, 0, 0, 0);
    m_form->setFieldGrowthPolicy(QFormLayout::AllNonFixedFieldsGrow);
    hide();
}

// The boxes stay while only values change, and with them the focus of who is typing.
void SettingsForm::setSettings(std::span<const quern::Param> params, const quern::Settings& settings)
{
    const QScopedValueRollback guard(m_showing, true);
    if (params.data() != m_params.data() || params.size() != m_params.size()) {
        m_params = params;
        rebuild();
    }
    for (const Control& control : m_controls)
        control.setValue(quern::setting(settings, *control.param));
    setVisible(!params.empty());
}

quern::Settings SettingsForm::settings() const
{
    quern::Settings settings;
    for (const Control& control : m_controls)
        if (const double value = control.value(); value != control.param->preset)
            settings.emplace(control.param->name, value);
    return settings;
}

void SettingsForm::rebuild()
{
    while (m_form->rowCount() > 0)
        m_form->removeRow(0);
    m_controls.clear();
    for (const quern::Param& param : m_params)
        m_controls.push_back(param.choices.empty() ? addNumber(param) : addChoice(param));
}

SettingsForm::Control SettingsForm::addNumber(const quern::Param& param)
{
    auto* box = new QDoubleSpinBox(this);
    const bool whole = param.preset == std::floor(param.preset) && param.maximum - param.minimum >= 2;
    box->setDecimals(whole ? 0 : 4);
    box->setRange(param.minimum, param.maximum);
    box->setSingleStep(whole ? 1 : (param.maximum - param.minimum) / 50);
    box->setKeyboardTracking(false);               // what is half typed is no wish
    box->setMinimumWidth(box->sizeHint().width()); // what gives way is the label
    addRow(param, box);
    connect(box, &QDoubleSpinBox::valueChanged, this, [this] {
        if (!m_showing)
            emit edited();
    });
    return {&param, [box] { return box->value(); }, [box](double value) { box->setValue(value); }};
}

SettingsForm::Control SettingsForm::addChoice(const quern::Param& param)
{
    auto* box = new QComboBox(this);
    for (const char* choice : param.choices)
        box->addItem(QCoreApplication::translate("core", choice));
    addRow(param, box);
    connect(box, &QComboBox::activated, this, &SettingsForm::edited);
    return {&param, [box, &param] { return param.minimum + box->currentIndex(); },
            [box, &param](double value) { box->setCurrentIndex(static_cast<int>(value - param.minimum)); }};
}

void SettingsForm::addRow(const quern::Param& param, QWidget* box)
{
    auto* label = new QLabel(QCoreApplication::translate("core", param.label), this);
    label->setWordWrap(true); // some are longer than the panel is wide
    label->setBuddy(box);
    m_form->addRow(label, box);
}
