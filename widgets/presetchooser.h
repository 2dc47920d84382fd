#pragma once

#include "core/preset.h"
#include "core/recipe.h"

#include <QWidget>

class QComboBox;
class RewriteChooser;

// What a recipe wants of the whole model: the preset, the method that quantizes its types, and rewrites.
class PresetChooser : public QWidget {
    Q_OBJECT

public:
    explicit PresetChooser(QWidget* parent = nullptr);

    // What is shown, without a signal. Methods and rewrites that the calibration, which may be null, does not suffice
    // for are not on offer.
    void setRecipe(const quern::Recipe& recipe, const quern::Calibration* calibration);

signals:
    void presetChosen(const quern::Preset* preset);                                              // null: none
    void methodChosen(const quern::Quantizer* method);                                           // null: the usual one
    void rewritesEdited(const std::vector<quern::RewriteChoice>& rewrites, const QString& text); // text: the change

private:
    QComboBox *m_preset, *m_method;
    RewriteChooser* m_rewrites;
};
