#include "widgets/views/matrixlayers.h"

namespace {

// Of the pyramid: two bytes for every 4 x 4 weights, and a third more for the levels above.
std::size_t pyramidBytes(const quern::Pyramid& pyramid)
{
    return static_cast<std::size_t>(pyramid.rows()) * static_cast<std::size_t>(pyramid.cols()) * 2 / 15;
}

} // namespace

std::shared_ptr<const LayerPicture> layerPicture(const Subject& subject, MatrixLayer layer, quern::Progress& progress)
{
    auto picture = std::make_shared<LayerPicture>(LayerPicture {subject});
    const quern::Tensor& tensor = picture->subject.tensor();
    const auto keep = [&](quern::Pyramid pyramid) {
        picture->pyramid = std::make_shared<const quern::Pyramid>(std::move(pyramid));
        picture->bytes += pyramidBytes(*picture->pyramid);
    };
    if (layer == MatrixLayer::Weight) {
        keep(quern::Pyramid::ofWeights(tensor, progress));
    } else if (layer == MatrixLayer::Error) {
        quern::ProgressPart quantizing(progress, 0, 0.9), reducing(progress, 0.9, 1);
        picture->stored = quern::quantizedCopy(tensor, subject.choice, picture->subject.knownInputs(), quantizing);
        picture->bytes += picture->stored->bytes.size();
        keep(quern::Pyramid::ofErrors(tensor, picture->stored->tensor, reducing));
    } else if (const quern::Matrix steps
               = quern::groupSteps(tensor, subject.choice, picture->subject.knownInputs(), progress);
               steps.size() > 0) {
        picture->columnsPerCell = static_cast<double>(quern::groupSize(*subject.choice.format, tensor.cols()));
        picture->bytes += static_cast<std::size_t>(steps.size()) * sizeof(float);
        keep(quern::Pyramid::ofMatrix(steps, progress));
    }
    return picture;
}

std::shared_ptr<const LayerPicture> LayerCache::find(const Subject& subject, MatrixLayer layer)
{
    for (auto it = m_entries.begin(); it != m_entries.end(); ++it) {
        const Subject& kept = it->picture->subject;
        // The weights do not depend on the plan.
        const bool same = layer == MatrixLayer::Weight ? kept.model == subject.model && kept.index == subject.index
                                                       : kept == subject;
        if (it->layer != layer || !same)
            continue;
        m_entries.splice(m_entries.begin(), m_entries, it);
        return m_entries.front().picture;
    }
    return nullptr;
}

void LayerCache::insert(MatrixLayer layer, std::shared_ptr<const LayerPicture> picture)
{
    m_bytes += picture->bytes;
    m_entries.push_front({layer, std::move(picture)});
    while (m_bytes > m_most && m_entries.size() > 1) {
        m_bytes -= m_entries.back().picture->bytes;
        m_entries.pop_back();
    }
}

void LayerCache::clear()
{
    m_entries.clear();
    m_bytes = 0;
}
