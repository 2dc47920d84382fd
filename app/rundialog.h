#pragma once

#include "widgets/job.h"
#include "widgets/session.h"
#include "widgets/textrun.h"

#include <QDialog>

class QCheckBox;
class QComboBox;
class QDialogButtonBox;
class QLabel;
class QLineEdit;
class QPushButton;
class QSpinBox;

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
    QCheckBox *m_moments, *m_sequential, *m_save;
    QLineEdit* m_target;
    QLabel* m_needs;
    QPushButton* m_start;
    QDialogButtonBox* m_buttons;
    Job m_examining; // last: ends before what it delivers to
};
