#pragma once

#include "core/preset.h"
#include "core/recipe.h"

#include <QWidget>

class OptionRow;
class QComboBox;
class RewriteChooser;
struct TextRun;

// What a recipe wants of the whole model: the preset, the method that quantizes its types, whether it does so
// block by block, and rewrites.
class PresetChooser : public QWidget {
    Q_OBJECT

public:
    explicit PresetChooser(QWidget* parent = nullptr);

    // What is shown, without a signal. Methods and rewrites that the calibration, which may be null, does not suffice
    // for are not on offer, nor are sequences where it is not known what it is of (read: null).
    void setRecipe(const quern::Recipe& recipe, const quern::Calibration* calibration, const TextRun* read);

signals:
    void presetChosen(const quern::Preset* preset);                                               // null: none
    void methodChosen(const quern::Quantizer* method);                                            // null: the usual one
    void sequentialEdited(const std::optional<quern::Settings>& sequential, const QString& text); // as in Recipe
    void rewritesEdited(const std::vector<quern::RewriteChoice>& rewrites, const QString& text);  // text: the change

private:
    QComboBox *m_preset, *m_method;
    OptionRow* m_sequential;
    RewriteChooser* m_rewrites;
};
