#include "widgets/optionrow.h"

#include "widgets/settingsform.h"

#include <QCheckBox>
#include <QToolButton>
#include <QVBoxLayout>

OptionRow::OptionRow(const QString& name, QWidget* parent)
    : QWidget(parent)
    , m_name(name)
    , m_box(new QCheckBox(name, this))
    , m_more(new QToolButton(this))
    , m_form(new SettingsForm)
{
    m_more->setCheckable(true);
    m_more->setAutoRaise(true);
    m_more->setArrowType(Qt::RightArrow);
    m_more->setAccessibleName(tr("Settings of %1").arg(name));
    m_more->setToolTip(m_more->accessibleName());
    auto* line = new QHBoxLayout;
    line->addWidget(m_box, 1);
    line->addWidget(m_more);
    auto* folded = new QWidget(this); // the form itself is shown and hidden by what it holds
    auto* inner = new QVBoxLayout(folded);
    inner->setContentsMargins(0, 0, 0, 0);
    inner->addWidget(m_form);
    folded->hide();
    auto* rows = new QVBoxLayout(this);
    rows->setContentsMargins(0, 0, 0, 0);
    rows->setSpacing(0);
    rows->addLayout(line);
    rows->addWidget(folded);
    connect(m_box, &QCheckBox::clicked, this, &OptionRow::clicked);
    connect(m_more, &QToolButton::toggled, this, [this, folded](bool on) {
        folded->setVisible(on);
        m_more->setArrowType(on ? Qt::DownArrow : Qt::RightArrow);
    });
    connect(m_form, &SettingsForm::edited, this, &OptionRow::settingsEdited);
}

void OptionRow::setShown(const Shown& shown, std::span<const quern::Param> params, const quern::Settings& settings)
{
    const bool fits = shown.lacking.isEmpty();
    m_box->setText(fits ? m_name : tr("%1: %2").arg(m_name, shown.lacking));
    m_box->setToolTip(fits ? shown.tip : shown.reason);
    m_box->setChecked(shown.on);
    m_box->setEnabled(shown.on || fits); // what no longer fits can be taken out
    m_more->setVisible(shown.on && !params.empty());
    if (!shown.on)
        m_more->setChecked(false);
    m_form->setSettings(params, settings);
}

void OptionRow::setSettingsEnabled(bool enabled, const QString& reason)
{
    m_form->setEnabled(enabled);
    m_form->setToolTip(enabled ? QString() : reason);
}

quern::Settings OptionRow::settings() const
{
    return m_form->settings();
}
