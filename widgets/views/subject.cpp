#include "widgets/views/subject.h"

#include "widgets/session.h"
#include "widgets/text.h"

#include <QCoreApplication>

namespace {

struct Missing {
    Q_DECLARE_TR_FUNCTIONS(Missing)
};

} // namespace

const quern::InputStats* Subject::inputs() const
{
    return calibration ? calibration->find(tensor().name) : nullptr;
}

QString Subject::name() const
{
    return text(tensor().name);
}

QString Subject::formatName() const
{
    return text(quantized() ? choice.format->name : tensor().format->name);
}

std::optional<Subject> subjectOf(const Session& session)
{
    const int index = session.selected();
    if (!session.model() || index < 0)
        return std::nullopt;
    Subject subject {session.model(), session.calibration(), index, session.curvatures(), {}};
    if (const auto plan = session.plan())
        subject.choice = plan->tensors[static_cast<std::size_t>(index)].choice;
    return subject;
}

QString missingSubject(const Session& session)
{
    if (!session.model())
        return Missing::tr("Open a model (Ctrl+O), or drop one on the window.");
    return session.selected() < 0 ? Missing::tr("Select a tensor, in the overview or in the list.") : QString();
}

QString missingStats(const Session& session)
{
    QString missing = missingSubject(session);
    if (!missing.isEmpty() || session.stats(session.selected()))
        return missing;
    const QString& failure = session.failure(session.selected());
    const std::string& name = session.model()->tensors[static_cast<std::size_t>(session.selected())].name;
    return failure.isEmpty() ? Missing::tr("%1 is being measured.").arg(text(name)) : failure;
}
