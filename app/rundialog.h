#pragma once

#include "widgets/job.h"
#include "widgets/session.h"

#include <QDialog>

class QCheckBox;
class QComboBox;
class QDialogButtonBox;
class QLabel;
class QLineEdit;
class QPushButton;
class QSpinBox;

// A text that the model is to be run on, and how much of it.
struct TextRun {
    QString path, title;
    long context = 512;   // tokens of a chunk
    long most = 0;        // chunks; 0: all
    bool moments = false; // of a calibration: second moments of the inputs too
};

// The bytes of a text. Any thread. Throws Error.
std::string textOf(const TextRun& run);

// Asks for the text that the model is to be run on, and says what that will take.
class RunDialog : public QDialog {
    Q_OBJECT

public:
    enum class Purpose { Evaluate, Calibrate };
    RunDialog(const Session* session, Purpose purpose, const QString& folder, QWidget* parent = nullptr);

    TextRun run() const;
    QString target() const; // where a calibration is to be saved as well; empty: nowhere
    QString needs() const;  // what it will take, or why it cannot be done; empty while that is being found out
    static TextRun defaultText();

private:
    QLayout* makeForm();
    QWidget* makeTarget();
    void connectInputs();
    void addTexts();
    void browse();
    void browseTarget();
    void examine();

    const Session* m_session;
    Purpose m_purpose;
    QString m_folder;
    QComboBox* m_text;
    QSpinBox *m_context, *m_most;
    QCheckBox *m_moments, *m_save;
    QLineEdit* m_target;
    QLabel* m_needs;
    QPushButton* m_start;
    QDialogButtonBox* m_buttons;
    Job m_examining; // last: ends before what it delivers to
};
