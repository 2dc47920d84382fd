#pragma once

#include "core/recipe.h"

#include <QWidget>

class QComboBox;
class QFormLayout;
class QLabel;
class QSlider;
class QSpinBox;
class SettingsForm;

// Edits a Choice: format, or bits, group and zero point of a linear grid; method and its settings.
class ChoiceEditor : public QWidget {
    Q_OBJECT

public:
    explicit ChoiceEditor(QWidget* parent = nullptr);

    // What is shown, without a signal. tensor: formats and groups that do not fit its rows are not on offer. inputs:
    // what is known of its inputs, or null: nor are methods that need more.
    void setChoice(const quern::Choice& choice, const quern::Tensor& tensor, const quern::InputStats* inputs);
    quern::Choice choice() const; // no format: as it is stored

signals:
    void dragStarted();
    void dragEnded();
    void edited(); // at every step of a drag too

private:
    void createGrid(QFormLayout* form);
    void fillFormats();
    void showGrid();
    void fillGroups();
    void fillMethods();
    void showSettings(const quern::Settings& settings);
    void formatEdited();
    void gridEdited();
    void methodEdited();
    const quern::BlockFormat* format() const;
    bool linear() const;

    QComboBox* m_format;
    QSlider* m_slider;
    QSpinBox* m_bits;
    QComboBox* m_group;
    QComboBox* m_zero;
    QComboBox* m_method;
    QLabel* m_summary;
    SettingsForm* m_settings;
    long m_cols = 0;
    bool m_moments = false; // second moments of the tensor's inputs are known
    bool m_showing = false; // setChoice() is at it: nothing is an edit
};
