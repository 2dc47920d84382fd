#include "app/exportdialog.h"

#include "app/reading.h"
#include "core/preset.h"
#include "core/rewrite.h"
#include "core/secondmoments.h"
#include "core/sequence.h"
#include "widgets/methods.h"
#include "widgets/text.h"

#include <QCheckBox>
#include <QDialogButtonBox>
#include <QFileDialog>
#include <QFileInfo>
#include <QFormLayout>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QPushButton>
#include <QStorageInfo>
#include <QStyle>
#include <QVBoxLayout>

#include <algorithm>
#include <map>

namespace {

// "Stored as 42 × Q4_K, 8 × Q6_K, 25 × F32.", the format with the most bytes first.
QString formatsText(const quern::Plan& plan)
{
    struct Use {
        int tensors = 0;
        std::uint64_t bytes = 0;
    };
    std::map<const quern::BlockFormat*, Use> uses;
    for (const quern::PlannedTensor& tensor : plan.tensors) {
        ++uses[tensor.stored].tensors;
        uses[tensor.stored].bytes += tensor.storedBytes;
    }
    std::vector<std::pair<const quern::BlockFormat*, Use>> order(uses.begin(), uses.end());
    std::ranges::sort(order, [](const auto& a, const auto& b) {
        return std::tuple(b.second.bytes, a.first->name) < std::tuple(a.second.bytes, b.first->name);
    });
    QStringList parts;
    for (const auto& [format, use] : order)
        parts << ExportDialog::tr("%1 × %2").arg(use.tensors).arg(text(format->name));
    return ExportDialog::tr("Stored as %1.").arg(parts.join(QStringLiteral(", ")));
}

// "Quantized by gptq+descent (42 tensors), nearest (one tensor)."; empty if nothing is.
QString methodsText(const quern::Plan& plan)
{
    std::map<std::string_view, int> uses;
    for (const quern::PlannedTensor& tensor : plan.tensors)
        if (tensor.choice.quantizer)
            ++uses[tensor.choice.quantizer->name];
    QStringList parts;
    for (const auto& [method, count] : uses)
        parts << ExportDialog::tr("%1 (%2)").arg(text(method), tensorsText(count));
    return parts.isEmpty() ? QString() : ExportDialog::tr("Quantized by %1.").arg(parts.join(QStringLiteral(", ")));
}

} // namespace

ExportDialog::ExportDialog(const Session* session, const QString& folder, QWidget* parent)
    : QDialog(parent)
    , m_session(session)
    , m_target(new QLineEdit(suggestedTarget(*session, folder), this))
    , m_size(new QLabel(this))
    , m_checks(new QListWidget(this))
    , m_zero(new QCheckBox(tr("Store NaN and infinite weights as &zero"), this))
    , m_overwrite(new QCheckBox(tr("&Replace the existing file"), this))
    , m_coarse(new QCheckBox(tr("Export &without an importance matrix"), this))
    , m_buttons(new QDialogButtonBox(QDialogButtonBox::Cancel, this))
{
    setWindowTitle(tr("Export GGUF"));
    auto* browse = new QPushButton(tr("&Browse…"), this);
    auto* file = new QHBoxLayout;
    file->addWidget(m_target, 1);
    file->addWidget(browse);
    auto* label = new QLabel(tr("&File"), this);
    label->setBuddy(m_target);
    auto* form = new QFormLayout;
    form->addRow(label, file);
    form->addRow(tr("Size"), m_size);
    m_checks->setAccessibleName(tr("Checks before the export"));
    m_checks->setWordWrap(true);
    m_checks->setSelectionMode(QAbstractItemView::NoSelection);
    m_checks->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    auto* start = m_buttons->addButton(tr("&Export"), QDialogButtonBox::AcceptRole);
    start->setDefault(true);

    auto* layout = new QVBoxLayout(this);
    layout->addLayout(form);
    layout->addWidget(m_checks, 1);
    layout->addWidget(m_zero);
    layout->addWidget(m_overwrite);
    layout->addWidget(m_coarse);
    layout->addWidget(m_buttons);
    resize(fontMetrics().averageCharWidth() * 100, fontMetrics().height() * 22);

    connect(browse, &QPushButton::clicked, this, &ExportDialog::browse);
    connect(m_target, &QLineEdit::textChanged, this, &ExportDialog::check);
    connect(m_zero, &QCheckBox::toggled, this, &ExportDialog::check);
    connect(m_overwrite, &QCheckBox::toggled, this, &ExportDialog::check);
    connect(m_coarse, &QCheckBox::toggled, this, &ExportDialog::check);
    connect(m_session, &Session::statsChanged, this, [this](int tensor) {
        if (m_session->stats(tensor)->nonFinite > 0)
            check();
    });
    connect(m_session, &Session::recipeChanged, this, &ExportDialog::examine);
    connect(m_session, &Session::modelChanged, this, &QDialog::reject);
    connect(&m_examining, &Job::failed, this, [this](const quern::Error& error) {
        m_sequence.refusal = sentence(error);
        check();
    });
    connect(m_buttons, &QDialogButtonBox::accepted, this, &QDialog::accept);
    connect(m_buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    examine();
}

QString ExportDialog::suggestedTarget(const Session& session, const QString& folder)
{
    const QFileInfo model(QString::fromStdString(session.model()->path.string()));
    QString name = model.isDir() ? QFileInfo(model.canonicalFilePath()).fileName() : model.completeBaseName();
    const quern::Recipe& recipe = session.recipe();
    QString suffix = recipe.name.empty() ? QString() : QString::fromStdString(recipe.name);
    if (suffix.isEmpty())
        suffix = recipe.preset ? text(recipe.preset->name) : tr("quern");
    for (const quern::RewriteChoice& choice : recipe.rewrites)
        if (recipe.name.empty())
            suffix += u'-' + text(choice.rewrite->name);
    if (recipe.name.empty() && recipe.sequential)
        suffix += QStringLiteral("-sequential");
    if (recipe.name.empty() && !recipe.rules.empty())
        suffix += QStringLiteral("-tuned");
    return QDir(folder.isEmpty() ? model.absolutePath() : folder)
        .filePath(name + u'-' + suffix + QStringLiteral(".gguf"));
}

QString ExportDialog::target() const
{
    return QDir::fromNativeSeparators(m_target->text().trimmed());
}

bool ExportDialog::zeroNonFinite() const
{
    return m_zero->isChecked();
}

bool ExportDialog::overwrite() const
{
    return m_overwrite->isChecked();
}

bool ExportDialog::coarse() const
{
    return m_coarse->isChecked();
}

void ExportDialog::browse()
{
    auto* dialog = new QFileDialog(this, tr("Export GGUF"), target(), tr("GGUF models (*.gguf)"));
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setAcceptMode(QFileDialog::AcceptSave);
    dialog->setOption(QFileDialog::DontConfirmOverwrite); // asked here
    dialog->setDefaultSuffix(QStringLiteral("gguf"));
    connect(dialog, &QFileDialog::fileSelected, m_target, &QLineEdit::setText);
    dialog->open();
}

void ExportDialog::add(Verdict verdict, const QString& sentence)
{
    const QStyle::StandardPixmap icons[]
        = {QStyle::SP_DialogApplyButton, QStyle::SP_MessageBoxWarning, QStyle::SP_MessageBoxCritical};
    auto* item = new QListWidgetItem(style()->standardIcon(icons[static_cast<int>(verdict)]), sentence, m_checks);
    item->setToolTip(sentence);
    m_obstacle = m_obstacle || verdict == Verdict::Obstacle;
}

void ExportDialog::examine()
{
    m_examining.cancel();
    m_sequence = {};
    if (const auto plan = m_session->plan(); plan && plan->sequential)
        m_examining.start(
            [plan, model = m_session->model(),
             known = Known {m_session->calibration(), m_session->text()}](quern::Progress& progress) {
                const Reading reading = readingFor(*plan, *model, known, progress);
                return Sequence {reading.chunks->count(), quern::sequenceNeeds(*model, *reading.chunks), {}};
            },
            [this](Sequence sequence) {
                m_sequence = std::move(sequence);
                check();
            });
    check();
}

void ExportDialog::check()
{
    m_checks->clear();
    m_obstacle = false;
    m_zero->hide();
    m_overwrite->hide();
    m_coarse->hide();
    const auto plan = m_session->plan();
    const auto model = m_session->model();
    if (model->obstacle)
        add(Verdict::Obstacle, sentence(*model->obstacle));
    if (!plan)
        add(Verdict::Obstacle, m_session->planError());
    if (plan) {
        m_size->setText(tr("%1 (%2 bytes), %3 bits per weight")
                            .arg(bytesText(plan->fileBytes),
                                 QLocale().toString(static_cast<qulonglong>(plan->fileBytes)),
                                 fixed(plan->bitsPerWeight(*model))));
        add(Verdict::Good, formatsText(*plan));
        checkMethods();
        checkSequence();
        checkTarget();
        checkWeights();
        checkImportance();
        for (const std::string& warning : plan->warnings)
            add(Verdict::Note, text(warning));
    }
    QPushButton* start = nullptr;
    for (QAbstractButton* button : m_buttons->buttons())
        if (m_buttons->buttonRole(button) == QDialogButtonBox::AcceptRole)
            start = static_cast<QPushButton*>(button);
    start->setEnabled(!m_obstacle);
    start->setToolTip(m_obstacle ? tr("Something in the list above stands in the way.") : QString());
}

void ExportDialog::checkMethods()
{
    const quern::Recipe& recipe = m_session->recipe();
    if (!recipe.rewrites.empty())
        add(Verdict::Good, tr("Channels are rescaled first by %1.").arg(namesOf(recipe.rewrites)));
    const QString methods = methodsText(*m_session->plan());
    if (methods.isEmpty())
        return;
    add(Verdict::Good, methods);
    if (recipe.preset && !recipe.sequential && !quern::hasMoments(m_session->calibration().get()))
        add(Verdict::Note,
            tr("No second moments of the inputs are known. After Calibrate (Model menu) the same types are "
               "quantized by GPTQ and descent, and lose less."));
}

void ExportDialog::checkSequence()
{
    if (!m_session->plan()->sequential)
        return;
    if (!m_sequence.refusal.isEmpty())
        return add(Verdict::Obstacle, m_sequence.refusal);
    if (m_sequence.chunks == 0)
        return add(Verdict::Note, tr("Block by block; what that takes is being found out."));
    add(Verdict::Good,
        tr("Block by block, on %1 (%L2 chunks): at most %3 of memory besides the files, and %4 of disk space "
           "meanwhile.")
            .arg(m_session->text()->title)
            .arg(m_sequence.chunks)
            .arg(bytesText(m_sequence.needs.memory), bytesText(m_sequence.needs.disk)));
}

void ExportDialog::checkTarget()
{
    const QFileInfo file(target());
    const QFileInfo folder(file.absolutePath());
    if (target().isEmpty() || file.isDir())
        return add(Verdict::Obstacle, tr("Name a file to write."));
    if (!folder.isDir())
        return add(Verdict::Obstacle, tr("The folder %1 does not exist.").arg(folder.filePath()));
    if (!folder.isWritable())
        return add(Verdict::Obstacle, tr("You may not write to the folder %1.").arg(folder.filePath()));
    if (file.exists()) {
        m_overwrite->show();
        const bool source = file.canonicalFilePath()
            == QFileInfo(QString::fromStdString(m_session->model()->path.string())).canonicalFilePath();
        add(m_overwrite->isChecked() ? Verdict::Note : Verdict::Obstacle,
            source ? tr("This is the opened model itself.")
                   : tr("%1 exists already (%2).").arg(file.fileName(), bytesText(static_cast<quint64>(file.size()))));
    }
    const auto free = static_cast<std::uint64_t>(std::max<qint64>(QStorageInfo(folder.filePath()).bytesAvailable(), 0));
    const std::uint64_t needed = m_session->plan()->fileBytes + m_sequence.needs.disk;
    add(free >= needed ? Verdict::Good : Verdict::Obstacle,
        tr("Disk space: %1 free, %2 needed.").arg(bytesText(free), bytesText(needed)));
}

void ExportDialog::checkWeights()
{
    std::uint64_t nonFinite = 0;
    int unknown = 0;
    QString first;
    for (int i = 0; i < m_session->tensorCount(); ++i) {
        const auto stats = m_session->stats(i);
        if (stats && stats->nonFinite > 0 && nonFinite == 0)
            first = text(m_session->model()->tensors[static_cast<std::size_t>(i)].name);
        nonFinite += stats ? stats->nonFinite : 0;
        unknown += stats ? 0 : 1;
    }
    if (nonFinite > 0 || unknown > 0)
        m_zero->show();
    if (nonFinite > 0)
        add(m_zero->isChecked() ? Verdict::Note : Verdict::Obstacle,
            tr("Weights that are no finite numbers: %L1, the first in %2. The model may be damaged; they can be "
               "stored as zero.")
                .arg(nonFinite)
                .arg(first));
    else if (unknown > 0)
        add(Verdict::Note,
            tr("Not examined yet: %1. Should NaN or infinity turn up there, the export stops unless they are stored "
               "as zero.")
                .arg(tensorsText(unknown)));
    else
        add(Verdict::Good, tr("All weights are finite numbers."));
}

void ExportDialog::checkImportance()
{
    if (!m_session->plan()->tooCoarse)
        return;
    m_coarse->show();
    if (!m_coarse->isChecked())
        add(Verdict::Obstacle, sentence(*m_session->plan()->tooCoarse));
}
