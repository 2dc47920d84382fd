#pragma once

#include <QLayout>
#include <QWidget>

class QComboBox;
class QCheckBox;
class QLabel;
class Session;

// Items side by side, wrapped like words, so that a narrow dock shows all controls.
class FlowLayout : public QLayout {
public:
    explicit FlowLayout(QWidget* parent);
    ~FlowLayout() override;

    void addItem(QLayoutItem* item) override { m_items.append(item); }
    int count() const override { return static_cast<int>(m_items.size()); }
    QLayoutItem* itemAt(int index) const override { return m_items.value(index); }
    QLayoutItem* takeAt(int index) override;
    bool hasHeightForWidth() const override { return true; }
    int heightForWidth(int width) const override { return arranged({0, 0, width, 0}, false); }
    QSize sizeHint() const override { return minimumSize(); }
    QSize minimumSize() const override;
    void setGeometry(const QRect& rect) override;

private:
    int arranged(const QRect& rect, bool move) const; // height

    QList<QLayoutItem*> m_items;
};

// What every view looks like: controls, content, and a line of text that says what is pointed at.
class ViewFrame : public QWidget {
    Q_OBJECT

public:
    explicit ViewFrame(QWidget* parent);
    ~ViewFrame() override;

    QComboBox* addChoice(const QString& label, const QStringList& items); // label with a mnemonic
    QCheckBox* addSwitch(const QString& label, bool on);
    void addControl(QWidget* control);
    void setContent(QWidget* content);
    void setStatus(const QString& text); // "": what setHint said
    void setHint(const QString& text);
    QString status() const;
    void setNote(const QString& text); // under the status; "": none
    // For views of single tensors: under the status it says while the recipe has rewrites, which they do not show.
    void noteRewrites(const Session* session);

private:
    QWidget* m_controls;
    QWidget* m_content = nullptr;
    QLabel* m_status;
    QLabel* m_note;
    QString m_hint;
};
