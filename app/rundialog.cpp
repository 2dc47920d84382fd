#include "app/rundialog.h"

#include "core/chunks.h"
#include "core/evaluate.h"
#include "widgets/text.h"

#include <QComboBox>
#include <QDialogButtonBox>
#include <QDir>
#include <QFile>
#include <QFileDialog>
#include <QFileInfo>
#include <QFormLayout>
#include <QLabel>
#include <QLocale>
#include <QPushButton>
#include <QSpinBox>

namespace {

constexpr qint64 kLargest = (qint64 {2} << 30) - 1; // bytes of a text
constexpr int kShortest = 4, kLongest = 1 << 20;    // tokens of a chunk
constexpr int kMostChunks = 1'000'000;

// Bytes that quantizing by the plan keeps in a temporary file.
std::uint64_t madeBytes(const quern::Plan& plan)
{
    std::uint64_t bytes = 0;
    for (const quern::PlannedTensor& tensor : plan.tensors)
        bytes += tensor.choice.quantizer ? tensor.methodBytes : 0;
    return bytes;
}

} // namespace

std::string textOf(const TextRun& run)
{
    QFile file(run.path);
    if (!file.open(QIODevice::ReadOnly))
        quern::fail(QUERN_TEXT("core", "The text %1 cannot be read: %2."), run.path.toStdString(),
                    file.errorString().toStdString());
    if (file.size() > kLargest)
        quern::fail(QUERN_TEXT("core", "The text %1 has %2 bytes; at most %3 can be read."), run.path.toStdString(),
                    file.size(), kLargest);
    return file.readAll().toStdString();
}

TextRun RunDialog::defaultText()
{
    return {QStringLiteral(":/calibration/default.txt"), tr("Quern's text")};
}

RunDialog::RunDialog(const Session* session, const QString& folder, QWidget* parent)
    : QDialog(parent)
    , m_session(session)
    , m_folder(folder)
    , m_text(new QComboBox(this))
    , m_context(new QSpinBox(this))
    , m_most(new QSpinBox(this))
    , m_needs(new QLabel(this))
    , m_buttons(new QDialogButtonBox(QDialogButtonBox::Cancel, this))
{
    setWindowTitle(tr("Evaluate"));
    addTexts();
    auto* browse = new QPushButton(tr("&Browse…"), this);
    auto* text = new QHBoxLayout;
    text->addWidget(m_text, 1);
    text->addWidget(browse);
    auto* label = new QLabel(tr("&Text"), this);
    label->setBuddy(m_text);
    m_context->setRange(kShortest, kLongest);
    m_context->setValue(static_cast<int>(TextRun {}.context));
    m_context->setToolTip(tr("Each chunk is read by itself; the predictions of its second half count."));
    m_most->setRange(0, kMostChunks);
    m_most->setSpecialValueText(tr("all"));
    m_most->setToolTip(tr("More chunks take longer and make the figures more certain."));
    auto* form = new QFormLayout;
    form->addRow(label, text);
    form->addRow(tr("Tokens of a &chunk"), m_context);
    form->addRow(tr("Chunks at &most"), m_most);
    m_needs->setWordWrap(true);
    m_needs->setTextFormat(Qt::PlainText);
    m_needs->setAlignment(Qt::AlignLeft | Qt::AlignTop);
    m_needs->setMinimumHeight(fontMetrics().lineSpacing() * 3);
    auto* start = m_buttons->addButton(tr("&Evaluate"), QDialogButtonBox::AcceptRole);
    start->setDefault(true);
    auto* layout = new QVBoxLayout(this);
    layout->addLayout(form);
    layout->addWidget(m_needs, 1);
    layout->addWidget(m_buttons);
    resize(fontMetrics().averageCharWidth() * 80, sizeHint().height());

    connect(browse, &QPushButton::clicked, this, &RunDialog::browse);
    connect(m_text, &QComboBox::currentIndexChanged, this, &RunDialog::examine);
    connect(m_context, &QSpinBox::valueChanged, this, &RunDialog::examine);
    connect(m_most, &QSpinBox::valueChanged, this, &RunDialog::examine);
    connect(m_session, &Session::modelChanged, this, &QDialog::reject);
    connect(m_buttons, &QDialogButtonBox::accepted, this, &QDialog::accept);
    connect(m_buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    connect(&m_examining, &Job::failed, this, [this, start](const quern::Error& error) {
        m_needs->setText(sentence(error));
        start->setEnabled(false);
    });
    examine();
}

// A model may bring texts of its own, as the demo does.
void RunDialog::addTexts()
{
    const QFileInfo model(QFile::decodeName(m_session->model()->path.c_str()));
    const QDir folder(model.isDir() ? model.filePath() : model.path());
    for (const QString& name : {QStringLiteral("evaluation.txt"), QStringLiteral("calibration.txt")})
        if (folder.exists(name))
            m_text->addItem(tr("%1 (beside the model)").arg(name), folder.filePath(name));
    m_text->addItem(defaultText().title, defaultText().path);
}

TextRun RunDialog::run() const
{
    const QString path = m_text->currentData().toString();
    const QString title = path == defaultText().path ? defaultText().title : QFileInfo(path).fileName();
    return {path, title, m_context->value(), m_most->value()};
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

// Finds out what the run would take.
void RunDialog::examine()
{
    for (QAbstractButton* button : m_buttons->buttons())
        button->setEnabled(true);
    m_needs->clear();
    struct Found {
        long chunks = 0;
        std::uint64_t memory = 0;
    };
    m_examining.start(
        [model = m_session->model(), run = run()](quern::Progress& progress) {
            const quern::Chunks chunks
                = quern::chunksOf(quern::tokenizerOf(*model), textOf(run), run.context, run.most, progress);
            return Found {chunks.count(), quern::evaluationBytes(*model, model.get(), run.context)};
        },
        [this](const Found& found) {
            const QString needs = tr("Chunks: %L1. At most %2 of memory besides the files.")
                                      .arg(found.chunks)
                                      .arg(bytesText(found.memory));
            const auto plan = m_session->plan();
            m_needs->setText(plan ? tr("%1 The quantized model takes %2 of disk space meanwhile.")
                                        .arg(needs, bytesText(madeBytes(*plan)))
                                  : needs);
        });
}
