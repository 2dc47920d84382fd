#pragma once

#include "core/preset.h"
#include "core/recipe.h"

#include <QWidget>

class QComboBox;
class QLabel;

// The preset of a recipe, and the method that quantizes its types.
class PresetChooser : public QWidget {
    Q_OBJECT

public:
    explicit PresetChooser(QWidget* parent = nullptr);

    // What is shown, without a signal. Methods that the calibration, which may be null, does not suffice for are not on
    // offer.
    void setRecipe(const quern::Recipe& recipe, const quern::Calibration* calibration);

signals:
    void presetChosen(const quern::Preset* preset);    // null: none
    void methodChosen(const quern::Quantizer* method); // null: the usual one

private:
    QComboBox *m_preset, *m_method;
};
