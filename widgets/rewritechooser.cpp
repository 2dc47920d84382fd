#include "widgets/rewritechooser.h"

#include "core/rewrite.h"
#include "widgets/methods.h"
#include "widgets/optionrow.h"
#include "widgets/text.h"

#include <QLabel>
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
    const Row row {&rewrite, new OptionRow(text(rewrite.name), this)};
    layout()->addWidget(row.option);
    connect(row.option, &OptionRow::clicked, this, [this, &rewrite](bool on) { toggle(rewrite, on); });
    connect(row.option, &OptionRow::settingsEdited, this, [this, row] { change(row); });
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
    const QString reason = whyNot(*row.rewrite, calibration);
    row.option->setShown({on, summaryOf(*row.rewrite), reason.isEmpty() ? QString() : tr("calibrate first"), reason},
                         row.rewrite->params, on ? chosen->settings : quern::Settings {});
    row.option->setSettingsEnabled(std::ranges::count(m_rewrites, row.rewrite, &quern::RewriteChoice::rewrite) <= 1,
                                   tr("The recipe has it more than once, each with settings of its own."));
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
    chosen->settings = row.option->settings();
    emit edited(m_rewrites, tr("Settings of %1").arg(text(row.rewrite->name)));
}
