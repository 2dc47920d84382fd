#pragma once

#include "core/budget.h"
#include "widgets/session.h"

#include <QTimer>
#include <QWidget>

// Always in view: how large the exported file will be and where its bytes and its error are. Two bars, split by kind of
// tensor: bytes above, share of the summed squared error below. Where the two differ, bits are better spent elsewhere.
class BudgetStrip : public QWidget {
    Q_OBJECT

public:
    explicit BudgetStrip(Session* session, QWidget* parent = nullptr);

    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;
    const std::vector<quern::KindShare>& shares() const { return m_shares; }
    QString errorSummary() const;
    QString summary() const; // "3.94 GiB · 4.62 bits per weight · error 0.031"

signals:
    void kindActivated(const QString& kind);

protected:
    bool event(QEvent* event) override;
    void paintEvent(QPaintEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;

private:
    struct Bar {
        QRectF area;
        double (*amount)(const quern::KindShare&);
    };

    void update();
    void describe();
    Bar bar(int row) const;
    std::vector<QRectF> segments(const Bar& bar) const; // one per share, empty ones too
    int shareAt(const QPointF& position) const;         // -1 for none
    QString tip(const quern::KindShare& share) const;
    void paintBar(QPainter& painter, const Bar& bar) const;
    QColor colour(std::size_t share) const;
    int labelWidth() const;
    int summaryWidth() const;

    Session* m_session;
    QTimer m_soon; // errors arrive by the hundred: one update for all of them
    std::vector<quern::KindShare> m_shares;
    std::optional<double> m_error;
    bool m_estimated = false; // some of the errors are
    bool m_measured = false;  // all have been, or estimated
    int m_focused = 0;        // share
};
