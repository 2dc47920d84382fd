#pragma once

#include "core/quantizer.h"

#include <QWidget>

#include <functional>

class QFormLayout;

// The settings of a method or a rewrite, from its table: numbers and named choices.
class SettingsForm : public QWidget {
    Q_OBJECT

public:
    explicit SettingsForm(QWidget* parent = nullptr);

    // What is shown, without a signal. Hidden where there are none.
    void setSettings(std::span<const quern::Param> params, const quern::Settings& settings);
    quern::Settings settings() const; // those that are not as preset

signals:
    void edited();

private:
    struct Control {
        const quern::Param* param;
        std::function<double()> value;
        std::function<void(double)> setValue;
    };

    Control addNumber(const quern::Param& param);
    Control addChoice(const quern::Param& param);
    void addRow(const quern::Param& param, QWidget* box);
    void rebuild();

    QFormLayout* m_form;
    std::span<const quern::Param> m_params;
    std::vector<Control> m_controls;
    bool m_showing = false; // setSettings() is at it: nothing is an edit
};
