#include "widgets/rewritechooser.h"

#include "core/rewrite.h"
#include "widgets/methods.h"
#include "widgets/settingsform.h"
#include "widgets/text.h"

#include <QCheckBox>
#include <QLabel>
#include <QToolButton>
#include <QVBoxLayout>

#include <algorithm>

RewriteChooser::RewriteChooser(QWidget* parent)
    : QWidget(parent)
    , m_order(new QLabel(this))
{
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    for (const quern::Rewrite* rewrite : quern::rewrites())
        m_rows.push_back(createRow(*rewrite));
    m_order->setWordWrap(true);
    m_order->setForegroundRole(QPalette::PlaceholderText);
    layout->addWidget(m_order);
}

RewriteChooser::Row RewriteChooser::createRow(const quern::Rewrite& rewrite)
{
    const Row row {&rewrite, new QCheckBox(this), new QToolButton(this), new SettingsForm};
    const QString name = text(rewrite.name);
    row.more->setCheckable(true);
    row.more->setAutoRaise(true);
    row.more->setArrowType(Qt::RightArrow);
    row.more->setAccessibleName(tr("Settings of %1").arg(name));
    row.more->setToolTip(row.more->accessibleName());
    auto* line = new QHBoxLayout;
    line->addWidget(row.box, 1);
    line->addWidget(row.more);
    auto* folded = new QWidget(this); // the form itself is shown and hidden by what it holds
    auto* inner = new QVBoxLayout(folded);
    inner->setContentsMargins(0, 0, 0, 0);
    inner->addWidget(row.form);
    folded->hide();
    auto* rows = static_cast<QVBoxLayout*>(layout());
    rows->addLayout(line);
    rows->addWidget(folded);
    connect(row.box, &QCheckBox::clicked, this, [this, &rewrite](bool on) { toggle(rewrite, on); });
    connect(row.more, &QToolButton::toggled, this, [more = row.more, folded](bool on) {
        folded->setVisible(on);
        more->setArrowType(on ? Qt::DownArrow : Qt::RightArrow);
    });
    connect(row.form, &SettingsForm::edited, this, [this, row] { change(row); });
    return row;
}

void RewriteChooser::setRewrites(const std::vector<quern::RewriteChoice>& rewrites,
                                 const quern::Calibration* calibration)
{
    m_rewrites = rewrites;
    for (const Row& row : m_rows)
        show(row, calibration);
    m_order->setText(tr("In this order: %1").arg(namesOf(rewrites)));
    m_order->setVisible(rewrites.size() > 1);
}

void RewriteChooser::show(const Row& row, const quern::Calibration* calibration)
{
    const auto chosen = std::ranges::find(m_rewrites, row.rewrite, &quern::RewriteChoice::rewrite);
    const bool on = chosen != m_rewrites.end();
    const QString name = text(row.rewrite->name), reason = whyNot(*row.rewrite, calibration);
    row.box->setText(reason.isEmpty() ? name : tr("%1: needs a calibration").arg(name));
    row.box->setToolTip(reason.isEmpty() ? summaryOf(*row.rewrite) : reason);
    row.box->setChecked(on);
    row.box->setEnabled(on || reason.isEmpty()); // what no longer fits can be taken out
    row.more->setVisible(on && !row.rewrite->params.empty());
    if (!on)
        row.more->setChecked(false);
    row.form->setSettings(row.rewrite->params, on ? chosen->settings : quern::Settings {});
    const bool once = std::ranges::count(m_rewrites, row.rewrite, &quern::RewriteChoice::rewrite) <= 1;
    row.form->setEnabled(once);
    row.form->setToolTip(once ? QString() : tr("The recipe has it more than once, each with settings of its own."));
}

void RewriteChooser::toggle(const quern::Rewrite& rewrite, bool on)
{
    if (on)
        m_rewrites.push_back({&rewrite, {}});
    else
        std::erase_if(m_rewrites, [&](const quern::RewriteChoice& choice) { return choice.rewrite == &rewrite; });
    const QString name = text(rewrite.name);
    emit edited(m_rewrites, on ? tr("Rescale by %1").arg(name) : tr("Without %1").arg(name));
}

void RewriteChooser::change(const Row& row)
{
    const auto chosen = std::ranges::find(m_rewrites, row.rewrite, &quern::RewriteChoice::rewrite);
    if (chosen == m_rewrites.end())
        return;
    chosen->settings = row.form->settings();
    emit edited(m_rewrites, tr("Settings of %1").arg(text(row.rewrite->name)));
}
