#include "widgets/budgetstrip.h"

#include "widgets/text.h"

#include <QHelpEvent>
#include <QKeyEvent>
#include <QPainter>
#include <QToolTip>

#include <algorithm>
#include <cmath>

namespace {

constexpr int kGap = 3;

double storedBytes(const quern::KindShare& share)
{
    return static_cast<double>(share.storedBytes);
}

double squaredError(const quern::KindShare& share)
{
    return share.errorSquares;
}

double sum(const std::vector<quern::KindShare>& shares, double (*amount)(const quern::KindShare&))
{
    double total = 0;
    for (const quern::KindShare& share : shares)
        total += amount(share);
    return total;
}

} // namespace

BudgetStrip::BudgetStrip(Session* session, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
{
    setFocusPolicy(Qt::StrongFocus);
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
    setAccessibleName(tr("Size and error by kind of tensor"));
    m_soon.setSingleShot(true);
    m_soon.setInterval(30);
    connect(&m_soon, &QTimer::timeout, this, &BudgetStrip::update);
    const auto soon = [this] {
        if (!m_soon.isActive())
            m_soon.start();
    };
    connect(session, &Session::recipeChanged, this, &BudgetStrip::update);
    connect(session, &Session::errorChanged, this, soon);
    connect(session, &Session::selectionChanged, this, qOverload<>(&QWidget::update));
}

void BudgetStrip::update()
{
    m_shares.clear();
    m_error.reset();
    m_estimated = m_measured = false;
    if (m_session->model() && m_session->plan()) {
        std::vector<std::optional<quern::Distortion>> errors;
        m_measured = true;
        for (int i = 0; i < m_session->tensorCount(); ++i) {
            const auto error = m_session->error(i);
            errors.push_back(error ? std::optional(error->distortion) : std::nullopt);
            m_measured = m_measured && error;
            m_estimated = m_estimated || (error && !error->exact);
        }
        m_shares = quern::byKind(*m_session->model(), *m_session->plan(), errors);
        m_error = quern::relativeError(errors);
    }
    m_focused = std::clamp(m_focused, 0, std::max(static_cast<int>(m_shares.size()) - 1, 0));
    describe();
    updateGeometry();
    QWidget::update();
}

QString BudgetStrip::summary() const
{
    const auto plan = m_session->plan();
    if (!plan)
        return m_session->model() ? tr("no plan") : tr("no model");
    const quern::Model& model = *m_session->model();
    const double stored = plan->bitsPerWeight(model), method = plan->methodBitsPerWeight(model);
    QString line = tr("%1 · %2 bits per weight").arg(bytesText(plan->fileBytes), fixed(stored));
    if (std::abs(stored - method) >= 0.005)
        line += tr(" (method %1)").arg(fixed(method));
    return line;
}

QString BudgetStrip::errorSummary() const
{
    if (!m_session->plan())
        return {};
    if (!m_error)
        return tr("error not measured");
    const QString error
        = m_session->recipe().rewrites.empty() ? tr("relative error %1") : tr("relative error %1 without rewrites");
    return (m_estimated || !m_measured ? QStringLiteral("~ ") : QString()) + error.arg(figure(*m_error));
}

void BudgetStrip::describe()
{
    QString description = summary();
    if (m_error)
        description += QStringLiteral(", ") + errorSummary();
    if (!m_shares.empty())
        description += u'\n' + tip(m_shares[static_cast<std::size_t>(m_focused)]);
    setAccessibleDescription(description);
}

QSize BudgetStrip::sizeHint() const
{
    return {600, 2 * (fontMetrics().height() + 2) + 3 * kGap};
}

QSize BudgetStrip::minimumSizeHint() const
{
    return {200, sizeHint().height()};
}

int BudgetStrip::labelWidth() const
{
    return std::max(fontMetrics().horizontalAdvance(tr("Size")), fontMetrics().horizontalAdvance(tr("Error"))) + 14;
}

int BudgetStrip::summaryWidth() const
{
    return std::max(fontMetrics().horizontalAdvance(summary()), fontMetrics().horizontalAdvance(errorSummary())) + 16;
}

BudgetStrip::Bar BudgetStrip::bar(int row) const
{
    const double height = fontMetrics().height() + 2;
    const double room = std::max(static_cast<double>(width()) - labelWidth() - summaryWidth(), 0.0);
    return {QRectF(labelWidth(), kGap + row * (height + kGap), room, height), row == 0 ? storedBytes : squaredError};
}

std::vector<QRectF> BudgetStrip::segments(const Bar& bar) const
{
    const double total = sum(m_shares, bar.amount);
    std::vector<QRectF> result;
    double x = bar.area.left();
    for (const quern::KindShare& share : m_shares) {
        const double width = total > 0 ? bar.area.width() * bar.amount(share) / total : 0;
        result.emplace_back(x, bar.area.top(), width, bar.area.height());
        x += width;
    }
    return result;
}

int BudgetStrip::shareAt(const QPointF& position) const
{
    for (const int row : {0, 1}) {
        const std::vector<QRectF> all = segments(bar(row));
        const auto hit = std::ranges::find_if(all, [&](const QRectF& r) { return r.contains(position); });
        if (hit != all.end())
            return static_cast<int>(hit - all.begin());
    }
    return -1;
}

// Okabe and Ito's colours (distinct for the colour blind), darker or lighter as the theme needs; repeated paler.
QColor BudgetStrip::colour(std::size_t share) const
{
    constexpr QRgb kColours[]
        = {0xff0072b2, 0xffe69f00, 0xff009e73, 0xffcc79a7, 0xff56b4e9, 0xffd55e00, 0xfff0e442, 0xff999999};
    const QColor base(kColours[share % std::size(kColours)]);
    return share / std::size(kColours) % 2 == 0 ? base : base.darker(150);
}

void BudgetStrip::paintBar(QPainter& painter, const Bar& bar) const
{
    const int selected = m_session->selected();
    const QString selectedKind = selected < 0
        ? QString()
        : text(quern::kindOf(m_session->model()->tensors[static_cast<std::size_t>(selected)].name));
    const std::vector<QRectF> areas = segments(bar);
    for (std::size_t i = 0; i < areas.size(); ++i) {
        const QColor fill = colour(i);
        const QString kind = QString::fromStdString(m_shares[i].kind);
        painter.fillRect(areas[i].adjusted(0, 0, areas[i].width() > 3 ? -1 : 0, 0), fill);
        painter.setPen(qGray(fill.rgb()) > 120 ? Qt::black : Qt::white);
        if (fontMetrics().horizontalAdvance(kind) + 6 < areas[i].width())
            painter.drawText(areas[i], Qt::AlignCenter, kind);
        const bool focused = hasFocus() && static_cast<int>(i) == m_focused;
        if ((kind == selectedKind || focused) && areas[i].width() > 4) {
            painter.setPen(QPen(palette().color(focused ? QPalette::Highlight : QPalette::WindowText), 2));
            painter.drawRect(areas[i].adjusted(1, 1, -2, -1));
        }
    }
    if (sum(m_shares, bar.amount) <= 0) {
        painter.fillRect(bar.area, QBrush(palette().color(QPalette::Mid), Qt::BDiagPattern));
        painter.setPen(palette().color(QPalette::WindowText));
    }
}

void BudgetStrip::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    const QString labels[] = {tr("Size"), tr("Error")};
    const QString summaries[] = {summary(), errorSummary()};
    for (const int row : {0, 1}) {
        const Bar bar = this->bar(row);
        paintBar(painter, bar);
        painter.setPen(palette().color(QPalette::WindowText));
        painter.drawText(QRectF(6, bar.area.top(), labelWidth() - 6, bar.area.height()), Qt::AlignVCenter, labels[row]);
        painter.drawText(QRectF(bar.area.right() + 8, bar.area.top(), summaryWidth(), bar.area.height()),
                         Qt::AlignVCenter, summaries[row]);
    }
}

QString BudgetStrip::tip(const quern::KindShare& share) const
{
    const double bytes = sum(m_shares, storedBytes), error = sum(m_shares, squaredError);
    QString text = tr("%1: %2").arg(QString::fromStdString(share.kind), tensorsText(static_cast<int>(share.tensors)));
    text += u'\n'
        + tr("%1 of %2 bytes (%3 %), was %4")
              .arg(bytesText(share.storedBytes), bytesText(static_cast<std::uint64_t>(bytes)),
                   fixed(bytes > 0 ? 100 * storedBytes(share) / bytes : 0, 1), bytesText(share.sourceBytes));
    if (share.measured > 0)
        text += u'\n' + tr("%1 % of the squared error").arg(fixed(error > 0 ? 100 * share.errorSquares / error : 0, 1));
    else
        text += u'\n' + tr("error not measured");
    return text;
}

bool BudgetStrip::event(QEvent* event)
{
    if (event->type() == QEvent::ToolTip) {
        const auto* help = static_cast<QHelpEvent*>(event);
        const int share = shareAt(help->pos());
        QToolTip::showText(help->globalPos(), share < 0 ? QString() : tip(m_shares[static_cast<std::size_t>(share)]),
                           this);
        return true;
    }
    return QWidget::event(event);
}

void BudgetStrip::mousePressEvent(QMouseEvent* event)
{
    const int share = shareAt(event->position());
    if (share < 0 || event->button() != Qt::LeftButton)
        return;
    m_focused = share;
    describe();
    emit kindActivated(QString::fromStdString(m_shares[static_cast<std::size_t>(share)].kind));
}

void BudgetStrip::keyPressEvent(QKeyEvent* event)
{
    const int last = static_cast<int>(m_shares.size()) - 1;
    const int step = event->key() == Qt::Key_Right ? 1 : event->key() == Qt::Key_Left ? -1 : 0;
    if (last < 0)
        return QWidget::keyPressEvent(event);
    if (step != 0) {
        m_focused = std::clamp(m_focused + step, 0, last);
        describe();
        const QRectF area = segments(bar(0))[static_cast<std::size_t>(m_focused)];
        QToolTip::showText(mapToGlobal(area.bottomLeft().toPoint()), tip(m_shares[static_cast<std::size_t>(m_focused)]),
                           this);
        QWidget::update();
    } else if (event->key() == Qt::Key_Return || event->key() == Qt::Key_Enter || event->key() == Qt::Key_Space) {
        emit kindActivated(QString::fromStdString(m_shares[static_cast<std::size_t>(m_focused)].kind));
    } else {
        QWidget::keyPressEvent(event);
    }
}
