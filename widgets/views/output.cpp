#include "widgets/figurelist.h"
#include "widgets/session.h"
#include "widgets/text.h"
#include "widgets/view.h"
#include "widgets/viewframe.h"
#include "widgets/views/outputplots.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QLocale>
#include <QPushButton>
#include <QSplitter>

// How well the model predicts a text, how far quantization takes its predictions from the original's, and where on the
// way through the blocks that happens.
namespace {

class Output final : public ViewFrame {
    Q_DECLARE_TR_FUNCTIONS(Output)

public:
    Output(Session* session, QWidget* parent);

protected:
    void resizeEvent(QResizeEvent* event) override
    {
        ViewFrame::resizeEvent(event);
        arrange();
    }

private:
    void addControls();
    void take();
    void arrange(); // what there is room for
    void showFigures();
    void addDistances(const quern::PredictionSummary& predictions);
    void describe();
    QString missing() const;

    Session* m_session;
    DivergencePlot* m_divergences;
    HiddenErrorPlot* m_hidden;
    FigureList* m_figures;
    QPushButton* m_evaluate;
    QLabel* m_stale;
    QComboBox* m_shown;
};

QString withError(const QString& value, const QString& error)
{
    return QStringLiteral("%1 ± %2").arg(value, error);
}

Output::Output(Session* session, QWidget* parent)
    : ViewFrame(parent)
    , m_session(session)
{
    addControls();
    auto* splitter = new QSplitter(this);
    auto* plots = new QWidget(splitter);
    m_divergences = new DivergencePlot(plots);
    m_hidden = new HiddenErrorPlot(plots);
    auto* layout = new QHBoxLayout(plots);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->addWidget(m_divergences, 1);
    layout->addWidget(m_hidden, 1);
    m_figures = new FigureList(splitter);
    m_figures->setAccessibleName(tr("Figures of the evaluation"));
    splitter->setStretchFactor(0, 1);
    splitter->setSizes({500, fontMetrics().averageCharWidth() * 40});
    setContent(splitter);
    setFocusProxy(m_divergences);
    for (Plot* plot : std::initializer_list<Plot*> {m_divergences, m_hidden})
        connect(plot, &Plot::read, this, &ViewFrame::setStatus);
    connect(m_session, &Session::modelChanged, this, &Output::take);
    connect(m_session, &Session::evaluationChanged, this, &Output::take);
    connect(m_session, &Session::recipeChanged, this, &Output::describe);
    take();
}

void Output::addControls()
{
    m_evaluate = new QPushButton(tr("E&valuate…"), this);
    m_evaluate->setToolTip(tr("Run the model on a text and compare its predictions with the original's"));
    addControl(m_evaluate);
    m_shown = addChoice(tr("&Show"), {tr("Predictions"), tr("Error by block")});
    m_stale = new QLabel(tr("⚠ of an earlier recipe"), this);
    m_stale->setToolTip(tr("The recipe or the calibration has changed since these figures were computed."));
    addControl(m_stale);
    connect(m_evaluate, &QPushButton::clicked, m_session, &Session::wantEvaluation);
    connect(m_shown, &QComboBox::currentIndexChanged, this, &Output::arrange);
}

QString Output::missing() const
{
    if (!m_session->model())
        return tr("Open a model (Ctrl+O), or drop one on the window.");
    if (!m_session->evaluation())
        return tr(
            "Evaluate runs the model on a text, as opened and as the recipe would make it, and shows here how far "
            "the predictions move.");
    if (!m_session->evaluation()->figures.predictions.compared)
        return tr("The recipe stored everything as it was, so there was nothing to compare with. Choose other types "
                  "and evaluate again.");
    return {};
}

void Output::take()
{
    const auto evaluated = m_session->evaluation();
    const quern::Evaluation none;
    const quern::Evaluation& figures = evaluated ? evaluated->figures : none;
    m_divergences->show(figures.predictions);
    m_hidden->show(figures.hiddenErrors);
    m_divergences->setPlaceholder(missing());
    m_evaluate->setEnabled(m_session->model() != nullptr);
    showFigures();
    describe();
    arrange();
}

void Output::arrange()
{
    const bool compared = missing().isEmpty(),
               hidden = compared && !m_session->evaluation()->figures.hiddenErrors.empty();
    const bool both = width() > fontMetrics().averageCharWidth() * 150;
    m_shown->parentWidget()->setVisible(hidden && !both);
    const bool onlyHidden = hidden && !both && m_shown->currentIndex() == 1;
    m_hidden->setVisible(hidden && (both || onlyHidden));
    m_divergences->setVisible(!onlyHidden);
    m_figures->setVisible(m_session->evaluation() && width() > fontMetrics().averageCharWidth() * 60);
}

void Output::showFigures()
{
    m_figures->clearLines();
    const auto evaluated = m_session->evaluation();
    if (!evaluated)
        return;
    const quern::PredictionSummary& p = evaluated->figures.predictions;
    m_figures->addHeading(evaluated->recipe);
    const quern::Mean perplexity = quern::exponential(p.lnPerplexity);
    m_figures->addLine(tr("Perplexity"), withError(figure(perplexity.value, 5), figure(perplexity.error, 2)),
                       tr("How many tokens the model wavers between on average; less is better. After ±: the standard "
                          "error, from how single predictions scatter."));
    if (p.compared)
        addDistances(p);
    m_figures->addHeading(text(evaluated->figures.text));
    m_figures->addLine(tr("Predictions"), QLocale().toString(static_cast<qlonglong>(p.tokens)),
                       tr("Of the second half of each chunk, after the first has given it something to go by"));
    m_figures->addLine(tr("Chunks"),
                       tr("%1 of %2 tokens").arg(evaluated->figures.chunks).arg(evaluated->figures.context));
}

void Output::addDistances(const quern::PredictionSummary& p)
{
    m_figures->addLine(tr("… original"), figure(p.referencePerplexity, 5));
    const quern::Mean ratio = quern::exponential(p.lnRatio);
    m_figures->addLine(tr("… ratio"), withError(fixed(ratio.value, 4), fixed(ratio.error, 4)),
                       tr("Perplexity over that of the original, on the same tokens"));
    m_figures->addLine(tr("Same top"),
                       withError(tr("%1 %").arg(fixed(100 * p.sameTop.value)), fixed(100 * p.sameTop.error)),
                       tr("Share of predictions in which both find the same token most likely"));
    m_figures->addHeading(tr("KL divergence from the original"));
    m_figures->addLine(tr("Mean"), withError(figure(p.divergence.value), figure(p.divergence.error, 2)),
                       tr("Nats; 0 if the predictions are the same"));
    const std::pair<QString, double> shares[]
        = {{tr("Median"), 0.5}, {tr("99 %"), 0.99}, {tr("99.9 %"), 0.999}, {tr("Largest"), 1}};
    for (const auto& [name, share] : shares)
        m_figures->addLine(name, figure(quern::quantile(p.divergences, share)),
                           tr("Nats; this share of the predictions diverges less"));
}

void Output::describe()
{
    const auto evaluated = m_session->evaluation();
    const bool stale = evaluated && !m_session->evaluationIsCurrent();
    m_stale->setVisible(stale);
    QString sentence = missing();
    if (evaluated) {
        const quern::PredictionSummary& p = evaluated->figures.predictions;
        sentence = tr("%1 on %2: perplexity %3")
                       .arg(evaluated->recipe, text(evaluated->figures.text), figure(p.perplexity, 5));
        if (p.compared)
            sentence
                += tr(" (original %1), KL divergence %2, same top token %3 %")
                       .arg(figure(p.referencePerplexity, 5), figure(p.divergence.value), fixed(100 * p.sameTop.value));
        sentence += stale ? tr(". Of an earlier recipe.") : QStringLiteral(".");
    }
    setHint(evaluated ? sentence : QString()); // without, it stands in place of the drawing
    m_divergences->setDescription(sentence);
}

} // namespace

extern constinit const View output;
constinit const View output {
    .id = "output",
    .title = QT_TRANSLATE_NOOP("View", "Output"),
    .create = [](Session* session, QWidget* parent) -> QWidget* { return new Output(session, parent); }};
