#pragma once

#include <QFrame>

#include <functional>
#include <vector>

class QHBoxLayout;
class QLabel;

// A line under the toolbar that says something without stopping the user: warnings of a file, the result of an export.
class InfoBar : public QFrame {
    Q_OBJECT

public:
    enum class Tone { Hint, Warning, Error };
    struct Button {
        QString text;
        std::function<void()> pressed;
    };

    explicit InfoBar(QWidget* parent = nullptr);

    // Replaces what is shown. details: sentences listed when the user asks for them.
    void tell(Tone tone, const QString& message, const QStringList& details = {},
              const std::vector<Button>& buttons = {});
    void dismiss();
    QString message() const;
    QSize sizeHint() const override; // as high as the message needs at the present width

protected:
    void resizeEvent(QResizeEvent* event) override;

signals:
    void shownChanged(bool shown);

private:
    void showDetails(const QStringList& details);

    QLabel* m_icon;
    QLabel* m_message;
    QHBoxLayout* m_buttons;
};
