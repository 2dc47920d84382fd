#include "widgets/views/subject.h"

#include "widgets/session.h"
#include "widgets/text.h"

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
    Subject subject {session.model(), session.calibration(), index, {}};
    if (const auto plan = session.plan())
        subject.choice = plan->tensors[static_cast<std::size_t>(index)].choice;
    return subject;
}
