#pragma once

#include "core/scope.h"
#include "widgets/choiceeditor.h"
#include "widgets/recipeeditor.h"

class PresetChooser;
class QButtonGroup;
class QPushButton;

// The dock at the right: what is done with the selected tensor and how far that reaches, and what it costs and gains.
class TunePanel : public QWidget {
    Q_OBJECT

public:
    TunePanel(Session* session, RecipeEditor* editor, QWidget* parent = nullptr);

    void setReach(quern::Reach reach);

signals:
    void dragStarted(); // from here to dragEnded estimates are enough
    void dragEnded();

private:
    struct Numbers { // of the selected tensor
        int tensor = -1;
        quern::Choice choice;
        std::optional<Session::Error> error;
        std::uint64_t bytes = 0;
        double bits = 0, methodBits = 0; // per weight
    };

    QWidget* createContents();
    QLayout* createReach();
    QWidget* createNumbers(QWidget* page);
    void refresh();
    void showNumbers();
    void showCarrier();
    Numbers numbers() const;
    quern::Reach reach() const;
    std::string pattern() const;
    void apply(const quern::Choice& choice, const quern::RewriteChoice& rewrite = {});
    void usePreset(const quern::Preset* preset);
    void useMethod(const quern::Quantizer* method);
    void useSequential(const std::optional<quern::Settings>& sequential, const QString& text);
    void useRewrites(const std::vector<quern::RewriteChoice>& rewrites, const QString& text);
    void reset();

    Session* m_session;
    RecipeEditor* m_editor;
    QLabel* m_title;
    QLabel* m_shape;
    PresetChooser* m_preset;
    QWidget* m_tensorPart;
    QButtonGroup* m_reach;
    ChoiceEditor* m_choice;
    QPushButton* m_reset;
    QLabel* m_refusal;
    QWidget* m_numbers;
    QLabel* m_error;
    QLabel* m_sqnr;
    QLabel* m_output;
    QLabel* m_size;
    QLabel* m_bits;
    QLabel* m_carrier;
    QLabel* m_rewrites;
    std::optional<Numbers> m_before;
    Numbers m_now;
    int m_edit = 0, m_beforeEdit = 0; // counts edits; the one that m_before was there before
    int m_gesture = 0;                // 0: no drag is under way
};
