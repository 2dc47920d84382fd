#pragma once

#include "core/recipe.h"

#include <QWidget>

class OptionRow;
class QLabel;

// The rewrites of a recipe, which come before anything is quantized, and their settings.
class RewriteChooser : public QWidget {
    Q_OBJECT

public:
    explicit RewriteChooser(QWidget* parent = nullptr);

    // What is shown, without a signal. Rewrites that the calibration, which may be null, does not suffice for are not
    // on offer.
    void setRewrites(const std::vector<quern::RewriteChoice>& rewrites, const quern::Calibration* calibration);

signals:
    void edited(const std::vector<quern::RewriteChoice>& rewrites, const QString& text); // text: names the change

private:
    struct Row { // of one in the catalogue
        const quern::Rewrite* rewrite;
        OptionRow* option;
    };

    Row createRow(const quern::Rewrite& rewrite);
    void show(const Row& row, const quern::Calibration* calibration);
    void toggle(const quern::Rewrite& rewrite, bool on);
    void change(const Row& row);

    std::vector<quern::RewriteChoice> m_rewrites; // as wanted: what is shown, and edits since
    std::vector<Row> m_rows;
    QLabel* m_order;
};
