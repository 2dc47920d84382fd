#pragma once

#include "core/calibrate.h"
#include "widgets/job.h"
#include "widgets/session.h"

#include <QDialog>

class QCheckBox;
class QDialogButtonBox;
class QLabel;
class QLineEdit;
class QListWidget;

// Asks where to export to, already filled in, and shows what stands in the way.
class ExportDialog : public QDialog {
    Q_OBJECT

public:
    ExportDialog(const Session* session, const QString& folder, QWidget* parent = nullptr);

    QString target() const;
    bool zeroNonFinite() const;
    bool overwrite() const;
    bool coarse() const; // as in ExportOptions, like the others

    // "model-Q4_K_M.gguf" beside the model, or in `folder` if that is not empty.
    static QString suggestedTarget(const Session& session, const QString& folder);

private:
    enum class Verdict { Good, Note, Obstacle };

    // What a recipe that goes block by block takes, as far as it is known.
    struct Sequence {
        long chunks = 0; // 0: not known yet
        quern::CalibrationNeeds needs;
        QString refusal; // why it cannot be made; empty if it can
    };

    void browse();
    void examine();
    void check();
    void add(Verdict verdict, const QString& sentence);
    void checkMethods();
    void checkSequence();
    void checkTarget();
    void checkWeights();
    void checkImportance();

    const Session* m_session;
    QLineEdit* m_target;
    QLabel* m_size;
    QListWidget* m_checks;
    QCheckBox* m_zero;
    QCheckBox* m_overwrite;
    QCheckBox* m_coarse;
    QDialogButtonBox* m_buttons;
    bool m_obstacle = false;
    Sequence m_sequence;
    Job m_examining; // last: ends before what it delivers to
};
