#include "app/demo.h"
#include "app/mainwindow.h"
#include "app/paths.h"
#include "core/gguf.h"
#include "core/preset.h"
#include "widgets/infobar.h"
#include "widgets/jobstatus.h"
#include "widgets/text.h"

#include <QClipboard>
#include <QDesktopServices>
#include <QFile>
#include <QFileDialog>
#include <QFileInfo>
#include <QGridLayout>
#include <QGuiApplication>
#include <QMessageBox>
#include <QSaveFile>
#include <QStatusBar>
#include <QUrl>

namespace {

QString recipeFilter()
{
    return MainWindow::tr("Recipes (*.json)");
}

QString summaryOf(const quern::Model& model)
{
    return MainWindow::tr("%1: %L2 weights in %3, %4, %5 bits per weight")
        .arg(QFileInfo(QFile::decodeName(model.path.c_str())).fileName())
        .arg(model.parameters())
        .arg(tensorsText(static_cast<int>(model.tensors.size())), bytesText(model.bytes()),
             fixed(model.bitsPerWeight()));
}

} // namespace

void MainWindow::openDemo()
{
    const QString path = demoPath();
    if (path.isEmpty())
        return refuse(tr("The demo cannot be opened"), tr("The demo model is not installed with this program."));
    openModel(path);
}

void MainWindow::openModel(const QString& path)
{
    const QFileInfo file(path);
    QString opened = file.absoluteFilePath();
    // Of a Hugging Face folder any of these stands for the whole.
    if (file.fileName() == QStringLiteral("config.json") || file.fileName().endsWith(QStringLiteral("index.json")))
        opened = file.absolutePath();
    statusBar()->showMessage(tr("Opening %1…").arg(opened), 2000);
    const quern::Preset* preset = quern::findPreset(m_settings->preset().toStdString());
    m_opening.start(
        [opened, preset](quern::Progress&) {
            Opened result;
            result.model = std::make_shared<const quern::Model>(quern::openModel(nativePath(opened)));
            result.recipe.preset = preset;
            result.resolved = resolved(result.recipe, *result.model, nullptr);
            if (!result.resolved.plan) {
                result.presetError = result.resolved.error;
                result.recipe = {};
                result.resolved = resolved(result.recipe, *result.model, nullptr);
            }
            return result;
        },
        [this](Opened result) { showOpened(std::move(result)); });
}

void MainWindow::showOpened(Opened opened)
{
    const QString path = QFile::decodeName(opened.model->path.c_str());
    m_demo = path == QFileInfo(demoPath()).absoluteFilePath() ? path : QString();
    if (m_demo.isEmpty())
        m_settings->addRecentModel(path);
    setWindowTitle(tr("%1 – Quern").arg(QFileInfo(path).fileName()));
    setWindowFilePath(path);
    m_session.setModel(std::move(opened.model), std::move(opened.recipe), std::move(opened.resolved));
    // Something to look at: the first matrix of a layer that the plan quantizes.
    for (int i = 0; m_session.plan() && m_session.selected() < 0 && i < m_session.tensorCount(); ++i) {
        const auto at = static_cast<std::size_t>(i);
        if (m_session.model()->tensors[at].shape.size() > 1 && m_session.plan()->tensors[at].choice.quantizer
            && quern::layerOf(m_session.model()->tensors[at].name) >= 0)
            m_session.select(i);
    }
    m_status->setIdle(summaryOf(*m_session.model()));
    showNotes(opened.presetError);
    examineModel();
    emit modelOpened();
}

void MainWindow::showNotes(const QString& presetError)
{
    const auto model = m_session.model();
    QStringList warnings;
    for (const std::string& warning : model->warnings)
        warnings << text(warning);
    if (!presetError.isEmpty())
        warnings << presetError;
    if (model->obstacle)
        warnings << tr("It can be looked at but not exported: %1").arg(sentence(*model->obstacle));
    if (warnings.size() == 1)
        m_info->tell(InfoBar::Tone::Warning, warnings.front());
    else if (!warnings.isEmpty())
        m_info->tell(InfoBar::Tone::Warning,
                     tr("The model was opened with %n warnings.", "", static_cast<int>(warnings.size())), warnings);
    else if (!m_demo.isEmpty())
        m_info->tell(
            InfoBar::Tone::Hint,
            tr("This is the demo model. Drop a model folder, a .gguf or a .safetensors file here, or open one."), {},
            {{tr("Open &file…"), [this] { chooseModel(false); }},
             {tr("Open fol&der…"), [this] { chooseModel(true); }}});
    else
        m_info->dismiss();
}

void MainWindow::refuse(const QString& title, const QString& sentence)
{
    auto* box = new QMessageBox(QMessageBox::Warning, title, title + u'.', QMessageBox::Ok, this);
    box->setAttribute(Qt::WA_DeleteOnClose);
    box->setTextFormat(Qt::PlainText);
    box->setInformativeText(sentence);
    box->setTextInteractionFlags(Qt::TextSelectableByMouse);
    // As wide as a paragraph, which a box of its own accord is not.
    if (auto* grid = qobject_cast<QGridLayout*>(box->layout()))
        grid->addItem(new QSpacerItem(fontMetrics().averageCharWidth() * 70, 0), grid->rowCount(), 0, 1,
                      grid->columnCount());
    box->open();
}

void MainWindow::chooseModel(bool folder)
{
    auto* dialog = new QFileDialog(this, folder ? tr("Open a model folder") : tr("Open a model"), m_settings->folder());
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setFileMode(folder ? QFileDialog::Directory : QFileDialog::ExistingFile);
    dialog->setOption(QFileDialog::ShowDirsOnly, folder);
    if (!folder)
        dialog->setNameFilters({tr("Models (*.gguf *.safetensors *.json)"), tr("All files (*)")});
    connect(dialog, &QFileDialog::fileSelected, this, [this](const QString& path) {
        m_settings->setFolder(QFileInfo(path).absolutePath());
        openModel(path);
    });
    dialog->open();
}

void MainWindow::chooseFile(const QString& title, const QString& filter, void (MainWindow::*open)(const QString&))
{
    auto* dialog = new QFileDialog(this, title, m_settings->folder());
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setFileMode(QFileDialog::ExistingFile);
    dialog->setNameFilters({filter, tr("All files (*)")});
    connect(dialog, &QFileDialog::fileSelected, this, open);
    dialog->open();
}

void MainWindow::saveFile(const QString& title, const QString& name, const QString& filter,
                          const std::function<QByteArray()>& contents, const std::function<void(const QString&)>& saved)
{
    auto* dialog = new QFileDialog(this, title, QDir(m_settings->folder()).filePath(name), filter);
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setAcceptMode(QFileDialog::AcceptSave);
    dialog->setDefaultSuffix(QFileInfo(name).suffix());
    connect(dialog, &QFileDialog::fileSelected, this, [this, title, contents, saved](const QString& path) {
        QSaveFile file(path);
        if (!file.open(QIODevice::WriteOnly) || file.write(contents()) < 0 || !file.commit())
            refuse(title, tr("%1 cannot be written: %2.").arg(path, file.errorString()));
        else if (saved)
            saved(path);
    });
    dialog->open();
}

void MainWindow::openRecipe(const QString& path)
{
    constexpr qint64 kLargest = 16 << 20;
    QFile file(path);
    if (!file.open(QIODevice::ReadOnly) || file.size() > kLargest)
        return refuse(tr("The recipe cannot be opened"),
                      file.isOpen() ? tr("%1 is too large to be a recipe.").arg(path)
                                    : tr("%1: %2.").arg(path, file.errorString()));
    try {
        const QByteArray json = file.readAll();
        m_editor.change(quern::recipeFromJson({json.data(), static_cast<std::size_t>(json.size())}, path.toStdString()),
                        tr("Recipe %1").arg(QFileInfo(path).fileName()));
    } catch (const quern::Error& error) {
        refuse(tr("The recipe cannot be opened"), sentence(error));
    }
}

void MainWindow::saveRecipe(const QString& path)
{
    QSaveFile file(path);
    if (!file.open(QIODevice::WriteOnly) || file.write(QByteArray::fromStdString(quern::toJson(m_session.recipe()))) < 0
        || !file.commit())
        refuse(tr("The recipe cannot be saved"), tr("%1 cannot be written: %2.").arg(path, file.errorString()));
}

void MainWindow::loadImatrix(const QString& path)
{
    if (!m_session.model())
        return;
    struct Loaded {
        std::shared_ptr<const quern::Calibration> calibration;
        Resolved resolved;
        int found = 0; // tensors of the model that it knows
    };
    m_jobs.submit(
        tr("Load %1").arg(QFileInfo(path).fileName()),
        [path, model = m_session.model(), recipe = m_session.recipe()](quern::Progress&) {
            Loaded loaded;
            auto read = quern::readImatrix(nativePath(path));
            quern::splitExperts(read, *model);
            for (const quern::Tensor& tensor : model->tensors)
                loaded.found += read.find(tensor.name) ? 1 : 0;
            loaded.calibration = std::make_shared<const quern::Calibration>(std::move(read));
            loaded.resolved = resolved(recipe, *model, loaded.calibration.get());
            return loaded;
        },
        [this, path, model = m_session.model(), recipe = m_session.recipe()](Loaded loaded) {
            if (model != m_session.model())
                return; // another model has been opened meanwhile
            if (recipe != m_session.recipe())
                return loadImatrix(path); // the plan is of a recipe that has been changed meanwhile
            m_session.setCalibration(std::move(loaded.calibration), std::move(loaded.resolved));
            useSequence(false); // of its text only the name is known, if that
            m_info->tell(loaded.found > 0 ? InfoBar::Tone::Hint : InfoBar::Tone::Warning,
                         tr("%1 knows the inputs of %2 of this model.")
                             .arg(QFileInfo(path).fileName(), tensorsText(loaded.found)));
        });
}

void MainWindow::forgetImatrix()
{
    if (!m_session.model() || !m_session.calibration())
        return;
    m_jobs.submit(
        tr("Forget the importance matrix"),
        [model = m_session.model(), recipe = m_session.recipe()](quern::Progress&) {
            return resolved(recipe, *model, nullptr);
        },
        [this, model = m_session.model(), recipe = m_session.recipe()](Resolved resolved) {
            if (model != m_session.model())
                return; // another model has been opened meanwhile
            if (recipe != m_session.recipe())
                return forgetImatrix(); // the recipe has been changed meanwhile
            m_session.setCalibration(nullptr, std::move(resolved));
            useSequence(false);
        });
}

void MainWindow::chooseTarget()
{
    const QString folder = m_demo.isEmpty() ? QString()
        : m_settings->folder().isEmpty()    ? QDir::homePath()
                                            : m_settings->folder();
    auto* dialog = new ExportDialog(&m_session, folder, this);
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    connect(dialog, &QDialog::accepted, this, [this, dialog] {
        quern::ExportOptions options;
        options.overwrite = dialog->overwrite();
        options.zeroNonFinite = dialog->zeroNonFinite();
        options.coarse = dialog->coarse();
        m_settings->setFolder(QFileInfo(dialog->target()).absolutePath());
        exportTo(dialog->target(), options);
    });
    dialog->open();
}

void MainWindow::exportTo(const QString& target, const quern::ExportOptions& options)
{
    const quern::Recipe recipe = m_session.recipe();
    quern::Command command = commandFor(target);
    command.overwrite = options.overwrite;
    command.zeroNonFinite = options.zeroNonFinite;
    command.coarse = options.coarse;
    m_jobs.submit(
        tr("Export %1").arg(QFileInfo(target).fileName()),
        [model = m_session.model(), plan = m_session.plan(), known = this->known(), target,
         chosen = options](quern::Progress& progress) {
            Findings findings;
            quern::ExportOptions options = chosen;
            findings.listen(options);
            const Reading reading = readingFor(*plan, *model, known, progress);
            options.text = reading.chunks ? &*reading.chunks : nullptr;
            quern::exportModel(*model, *plan, reading.calibration, nativePath(target), options, progress);
            return findings;
        },
        [this, target, recipe, command, plan = m_session.plan(), model = m_session.model(),
         known = this->known()](const Findings& findings) {
            const QString of = plan->rewrites.empty() ? QString() : tr(" of the rescaled weights");
            QString message = tr("%1 exported: %2, %3 bits per weight, relative error %4%5.")
                                  .arg(QFileInfo(target).fileName(), bytesText(plan->fileBytes),
                                       fixed(plan->bitsPerWeight(*model)), figure(findings.stored.relative()), of);
            if (findings.nonFinite > 0)
                message
                    += u' ' + tr("Weights that were no finite numbers and became zero: %L1.").arg(findings.nonFinite);
            if (plan->sequential && known.text)
                message += u' ' + tr("It was made block by block, on %1.").arg(known.text->title);
            const QUrl folder = QUrl::fromLocalFile(QFileInfo(target).absolutePath());
            tell(message, findings,
                 {{tr("Open &folder"), [folder] { QDesktopServices::openUrl(folder); }},
                  {tr("&Copy command line"), [this, recipe, command] { copyCommandLine(recipe, command); }},
                  {tr("Open the &result"), [this, target] { openModel(target); }}});
            emit exported(target);
        });
}

// With what was found on the way.
void MainWindow::tell(QString message, const Findings& findings, const std::vector<InfoBar::Button>& buttons)
{
    for (const QString& rewrite : findings.rewrites)
        message += u' ' + rewrite;
    m_info->tell(findings.warnings.isEmpty() ? InfoBar::Tone::Hint : InfoBar::Tone::Warning, message,
                 findings.warnings + findings.places, buttons);
}

quern::Command MainWindow::commandFor(const QString& target) const
{
    quern::Command command;
    command.model = m_session.model()->path;
    command.target = nativePath(target);
    if (m_session.calibration())
        command.imatrix = m_session.calibration()->path;
    if (const auto text = m_session.text()) {
        command.text = nativePath(text->path);
        command.context = text->context;
        command.chunks = text->most;
    }
    return command;
}

void MainWindow::copyCommandLine()
{
    copyCommandLine(
        m_session.recipe(),
        commandFor(ExportDialog::suggestedTarget(m_session, m_demo.isEmpty() ? QString() : QDir::homePath())));
}

// What options cannot say is saved first, and the command then names its file: recipes, and texts of this program.
void MainWindow::copyCommandLine(const quern::Recipe& recipe, quern::Command command)
{
    const QString read = QFile::decodeName(command.text.c_str());
    if (recipe.sequential && read.isEmpty())
        return refuse(tr("There is no such command line"),
                      tr("The recipe quantizes block by block. Calibrate the model on a text first."));
    if (recipe.sequential && read.startsWith(u':'))
        return saveFile(
            tr("Save the text that the command line will use"), QFileInfo(read).fileName(), tr("Texts (*.txt)"),
            [read] { return QByteArray::fromStdString(textOf({.path = read, .title = {}})); },
            [this, recipe, command](const QString& path) mutable {
                command.text = nativePath(path);
                copyCommandLine(recipe, command);
            });
    if (!quern::sayable(recipe) && command.recipe.empty())
        return saveFile(
            tr("Save the recipe that the command line will use"), QStringLiteral("recipe.json"), recipeFilter(),
            [recipe] { return QByteArray::fromStdString(quern::toJson(recipe)); },
            [this, recipe, command](const QString& path) mutable {
                command.recipe = nativePath(path);
                copyCommandLine(recipe, command);
            });
    const QString line = text(quern::commandLine(recipe, command));
    QGuiApplication::clipboard()->setText(line);
    statusBar()->showMessage(tr("Copied: %1").arg(line), 10000);
}
