#include "app/rundialog.h"

#include "app/reading.h"
#include "core/evaluate.h"
#include "core/sequence.h"
#include "widgets/text.h"

#include <QCheckBox>
#include <QComboBox>
#include <QDialogButtonBox>
#include <QDir>
#include <QFile>
#include <QFileDialog>
#include <QFileInfo>
#include <QFormLayout>
#include <QLabel>
#include <QLineEdit>
#include <QLocale>
#include <QPushButton>
#include <QSpinBox>

namespace {

constexpr int kShortest = 4, kLongest = 1 << 20; // tokens of a chunk
constexpr int kMostChunks = 1'000'000;

struct Needs {
    long chunks = 0;
    quern::CalibrationNeeds run;
    std::optional<quern::CalibrationNeeds> sequence; // of exporting, where a calibration is for one
};

// Bytes that quantizing by the plan keeps in a temporary file.
std::uint64_t madeBytes(const quern::Plan& plan)
{
    std::uint64_t bytes = 0;
    for (const quern::PlannedTensor& tensor : plan.tensors)
        bytes += tensor.choice.quantizer ? tensor.methodBytes : 0;
    return bytes;
}

Needs calibrationNeeds(const quern::Model& model, const quern::Chunks& chunks, const TextRun& run)
{
    Needs needs {.chunks = chunks.count(),
                 .run = quern::calibrationNeeds(model, chunks, {.hessians = run.moments}),
                 .sequence = {}};
    if (run.sequential)
        needs.sequence = quern::sequenceNeeds(model, chunks);
    return needs;
}

// plan: null if there is none.
Needs evaluationNeeds(const quern::Model& model, const quern::Chunks& chunks, const quern::Plan* plan,
                      const Known& known, const quern::Progress& progress)
{
    Needs needs {.chunks = chunks.count(),
                 .run = {.memory = quern::evaluationBytes(model, &model, chunks), .disk = plan ? madeBytes(*plan) : 0},
                 .sequence = {}};
    if (plan && plan->sequential) {
        const Reading reading = readingFor(*plan, model, known, progress);
        const quern::CalibrationNeeds sequence = quern::sequenceNeeds(model, *reading.chunks);
        needs.run.memory = std::max(needs.run.memory, sequence.memory);
        needs.run.disk += sequence.disk;
    }
    return needs;
}

} // namespace

TextRun RunDialog::defaultText()
{
    return {QStringLiteral(":/calibration/quern.txt"), tr("Quern's text")};
}

RunDialog::RunDialog(const Session* session, Purpose purpose, const QString& folder, QWidget* parent)
    : QDialog(parent)
    , m_session(session)
    , m_purpose(purpose)
    , m_folder(folder)
    , m_text(new QComboBox(this))
    , m_context(new QSpinBox(this))
    , m_most(new QSpinBox(this))
    , m_moments(new QCheckBox(tr("Collect second &moments of the inputs too"), this))
    , m_sequential(new QCheckBox(tr("&Quantize block by block on this text"), this))
    , m_save(new QCheckBox(tr("&Save it as an importance matrix too"), this))
    , m_target(new QLineEdit(this))
    , m_needs(new QLabel(this))
    , m_buttons(new QDialogButtonBox(QDialogButtonBox::Cancel, this))
{
    const bool calibrate = purpose == Purpose::Calibrate;
    setWindowTitle(calibrate ? tr("Calibrate") : tr("Evaluate"));
    addTexts();
    m_needs->setWordWrap(true);
    m_needs->setTextFormat(Qt::PlainText);
    m_needs->setAlignment(Qt::AlignLeft | Qt::AlignTop);
    m_needs->setMinimumHeight(fontMetrics().lineSpacing() * 3);
    m_start = m_buttons->addButton(calibrate ? tr("Ca&librate") : tr("&Evaluate"), QDialogButtonBox::AcceptRole);
    m_start->setDefault(true);
    auto* layout = new QVBoxLayout(this);
    layout->addLayout(makeForm());
    layout->addWidget(m_moments);
    layout->addWidget(m_sequential);
    layout->addWidget(m_save);
    layout->addWidget(makeTarget());
    layout->addWidget(m_needs, 1);
    layout->addWidget(m_buttons);
    m_moments->setVisible(calibrate);
    m_moments->setChecked(calibrate);
    m_moments->setToolTip(tr("What GPTQ and coordinate descent go by: presets use them where they are known, and lose "
                             "far less. They take disk space, which is said below."));
    m_sequential->setVisible(calibrate);
    m_sequential->setChecked(calibrate);
    m_sequential->setToolTip(
        tr("Export and Evaluate then run the text through the model as it is quantized: each block "
           "is made for what those before it have become, and makes up for their errors. That "
           "takes longer and loses less: by a seventh to six tenths of the KL divergence, on the "
           "models measured."));
    m_save->setVisible(calibrate);
    resize(fontMetrics().averageCharWidth() * 80, sizeHint().height());
    connectInputs();
    examine();
}

QLayout* RunDialog::makeForm()
{
    auto* browse = new QPushButton(tr("&Browse…"), this);
    connect(browse, &QPushButton::clicked, this, &RunDialog::browse);
    auto* text = new QHBoxLayout;
    text->addWidget(m_text, 1);
    text->addWidget(browse);
    auto* label = new QLabel(tr("&Text"), this);
    label->setBuddy(m_text);
    m_context->setRange(kShortest, kLongest);
    m_context->setValue(static_cast<int>(TextRun {}.context));
    m_context->setToolTip(m_purpose == Purpose::Evaluate
                              ? tr("Each chunk is read by itself; the predictions of its second half count.")
                              : tr("Each chunk is read by itself."));
    m_most->setRange(0, kMostChunks);
    m_most->setSpecialValueText(tr("all"));
    m_most->setToolTip(tr("More chunks take longer and make the figures more certain."));
    auto* form = new QFormLayout;
    form->addRow(label, text);
    form->addRow(tr("Tokens of a &chunk"), m_context);
    form->addRow(tr("Chunks at &most"), m_most);
    return form;
}

QWidget* RunDialog::makeTarget()
{
    auto* row = new QWidget(this);
    auto* browse = new QPushButton(tr("B&rowse…"), row);
    connect(browse, &QPushButton::clicked, this, &RunDialog::browseTarget);
    const QFileInfo model(QFile::decodeName(m_session->model()->path.c_str()));
    m_target->setText(QDir(m_folder.isEmpty() ? QDir::homePath() : m_folder)
                          .filePath(model.completeBaseName() + QStringLiteral("-imatrix.gguf")));
    m_target->setAccessibleName(tr("File of the importance matrix"));
    auto* layout = new QHBoxLayout(row);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->addWidget(m_target, 1);
    layout->addWidget(browse);
    row->hide();
    connect(m_save, &QCheckBox::toggled, row, &QWidget::setVisible);
    return row;
}

void RunDialog::connectInputs()
{
    connect(m_text, &QComboBox::currentIndexChanged, this, &RunDialog::examine);
    connect(m_context, &QSpinBox::valueChanged, this, &RunDialog::examine);
    connect(m_most, &QSpinBox::valueChanged, this, &RunDialog::examine);
    connect(m_moments, &QCheckBox::toggled, this, &RunDialog::examine);
    connect(m_sequential, &QCheckBox::toggled, this, &RunDialog::examine);
    connect(m_session, &Session::modelChanged, this, &QDialog::reject);
    connect(m_buttons, &QDialogButtonBox::accepted, this, &QDialog::accept);
    connect(m_buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    connect(&m_examining, &Job::failed, this, [this](const quern::Error& error) {
        m_needs->setText(sentence(error));
        m_start->setEnabled(false);
    });
}

// A model may bring texts of its own, as the demo does.
void RunDialog::addTexts()
{
    const QFileInfo model(QFile::decodeName(m_session->model()->path.c_str()));
    const QDir folder(model.isDir() ? model.filePath() : model.path());
    QStringList names {QStringLiteral("evaluation.txt"), QStringLiteral("calibration.txt")};
    if (m_purpose == Purpose::Calibrate)
        names.swapItemsAt(0, 1);
    for (const QString& name : names)
        if (folder.exists(name))
            m_text->addItem(tr("%1 (beside the model)").arg(name), folder.filePath(name));
    m_text->addItem(defaultText().title, defaultText().path);
}

TextRun RunDialog::run() const
{
    const QString path = m_text->currentData().toString();
    const QString title = path == defaultText().path ? defaultText().title : QFileInfo(path).fileName();
    return {path, title, m_context->value(), m_most->value(), m_moments->isChecked(), m_sequential->isChecked()};
}

QString RunDialog::target() const
{
    return m_save->isChecked() ? QDir::fromNativeSeparators(m_target->text().trimmed()) : QString();
}

QString RunDialog::needs() const
{
    return m_needs->text();
}

void RunDialog::browse()
{
    auto* dialog = new QFileDialog(this, tr("Choose a text"), m_folder);
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setFileMode(QFileDialog::ExistingFile);
    dialog->setNameFilters({tr("Texts (*.txt *.md *.raw)"), tr("All files (*)")});
    connect(dialog, &QFileDialog::fileSelected, this, [this](const QString& path) {
        m_text->insertItem(0, path, path);
        m_text->setCurrentIndex(0);
    });
    dialog->open();
}

void RunDialog::browseTarget()
{
    auto* dialog
        = new QFileDialog(this, tr("Save the importance matrix"), m_target->text(), tr("Importance matrices (*.gguf)"));
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setAcceptMode(QFileDialog::AcceptSave);
    dialog->setOption(QFileDialog::DontConfirmOverwrite); // an existing file is not replaced
    dialog->setDefaultSuffix(QStringLiteral("gguf"));
    connect(dialog, &QFileDialog::fileSelected, m_target, &QLineEdit::setText);
    dialog->open();
}

// Finds out what the run would take.
void RunDialog::examine()
{
    m_start->setEnabled(true);
    m_needs->clear();
    m_examining.start(
        [model = m_session->model(), plan = m_session->plan(),
         known = Known {m_session->calibration(), m_session->text()}, run = run(),
         purpose = m_purpose](quern::Progress& progress) {
            const quern::Chunks chunks = chunksOf(*model, run, progress);
            return purpose == Purpose::Calibrate ? calibrationNeeds(*model, chunks, run)
                                                 : evaluationNeeds(*model, chunks, plan.get(), known, progress);
        },
        [this](const Needs& needs) {
            QString text = tr("Chunks: %L1. At most %2 of memory besides the files, and %3 of disk space meanwhile.")
                               .arg(needs.chunks)
                               .arg(bytesText(needs.run.memory), bytesText(needs.run.disk));
            if (needs.sequence)
                text += u' '
                    + tr("Block by block, export then takes at most %1 of memory and %2 of disk space besides the "
                         "file.")
                          .arg(bytesText(needs.sequence->memory), bytesText(needs.sequence->disk));
            m_needs->setText(text);
        });
}
