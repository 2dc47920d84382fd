#pragma once

#include "core/quantizer.h"

#include <QWidget>

class QCheckBox;
class QToolButton;
class SettingsForm;

// Something that may be ticked, with settings that unfold below it.
class OptionRow : public QWidget {
    Q_OBJECT

public:
    explicit OptionRow(const QString& name, QWidget* parent = nullptr);

    struct Shown {
        bool on = false;
        QString tip;     // what it is
        QString lacking; // a few words on what it needs first; empty if nothing
        QString reason;  // the same in a sentence
    };
    // What is shown, without a signal. What is lacking cannot be ticked, but taken out where it is on.
    void setShown(const Shown& shown, std::span<const quern::Param> params, const quern::Settings& settings);
    void setSettingsEnabled(bool enabled, const QString& reason); // reason: where they are not
    quern::Settings settings() const;                             // those that are not as preset

signals:
    void clicked(bool on);
    void settingsEdited();

private:
    QString m_name;
    QCheckBox* m_box;
    QToolButton* m_more; // shows the settings
    SettingsForm* m_form;
};
