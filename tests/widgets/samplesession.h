#pragma once

#include "core/preset.h"
#include "core/quantize.h"
#include "core/stats.h"
#include "tests/core/modelmaker.h"
#include "widgets/session.h"
#include "widgets/view.h"

#include <QLayout>
#include <QTest>
#include <QWidget>

#include <cmath>
#include <limits>

// Sessions with small models for tests of views.
namespace samplesession {

inline std::shared_ptr<quern::Model> emptyModel()
{
    return std::make_shared<quern::Model>();
}

// Layers of seven matrices and two norms, an embedding and an output; blk.1.ffn_down has one input channel 30 times too
// large.
inline std::shared_ptr<quern::Model> smallModel(int layers = 3, long cols = 64)
{
    auto model = emptyModel();
    const auto add = [&](const std::string& name, long rows, long inputs) {
        auto weights = modelmaker::normalWeights(static_cast<std::size_t>(rows * inputs), model->tensors.size() + 1);
        if (name == "blk.1.ffn_down.weight")
            for (long row = 0; row < rows; ++row)
                weights[static_cast<std::size_t>(row * inputs + 17)] *= 30;
        modelmaker::add(*model, name, {rows, inputs}, weights, "F16");
    };
    add("token_embd.weight", 96, cols);
    for (int i = 0; i < layers; ++i) {
        const std::string layer = "blk." + std::to_string(i) + ".";
        for (const char* kind : {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up"})
            add(layer + kind + ".weight", 48, cols);
        add(layer + "ffn_down.weight", 48, 2 * cols);
        modelmaker::add(*model, layer + "attn_norm.weight", {cols},
                        std::vector<float>(static_cast<std::size_t>(cols), 1.0F));
    }
    add("output.weight", 96, cols);
    return model;
}

inline quern::Recipe recipe(const char* format = "Q4_0")
{
    return {.name = format,
            .preset = nullptr,
            .rules = {{"*", {quern::findQuantizer("nearest"), quern::findBlockFormat(format), {}}}}};
}

// What the analysis service does, at once.
inline void measure(Session& session, int tensor)
{
    quern::NoProgress quiet;
    const auto model = session.model();
    const quern::Tensor& t = model->tensors[static_cast<std::size_t>(tensor)];
    session.setStats(tensor, std::make_shared<quern::TensorStats>(quern::tensorStats(t, 2048, quiet)));
    if (const auto plan = session.plan(); plan && t.count() > 0) {
        const quern::Choice& choice = plan->tensors[static_cast<std::size_t>(tensor)].choice;
        const quern::InputStats* inputs = session.calibration() ? session.calibration()->find(t.name) : nullptr;
        session.setError(tensor, {quern::preview(t, choice, inputs, 1, quiet), true});
    }
}

inline void measureAll(Session& session)
{
    for (int i = 0; i < session.tensorCount(); ++i)
        measure(session, i);
}

// Figures as an evaluation brings them: some predictions that did not move, most that did a little, a tail.
inline std::shared_ptr<const Evaluated> sampleEvaluation(const Session& session)
{
    std::vector<quern::Prediction> predictions;
    for (int i = 0; i < 1000; ++i) {
        const double far = i < 20 ? 0 : std::exp(-9 + 0.008 * i);
        predictions.push_back({2 + 0.001 * i + far, 2 + 0.001 * i, far, i % 9 != 0});
    }
    auto result = std::make_shared<Evaluated>();
    result->figures = {quern::summary(predictions, true), {0.01, 0.02, 0.05, 0.04}, 512, 4, "a text"};
    result->plan = session.plan();
    result->calibration = session.calibration();
    result->recipe = QStringLiteral("Q4_0");
    return result;
}

inline void evaluate(Session& session)
{
    session.setEvaluation(sampleEvaluation(session));
}

inline int indexOf(const Session& session, std::string_view name)
{
    const auto& tensors = session.model()->tensors;
    const auto it = std::ranges::find(tensors, name, &quern::Tensor::name);
    return it == tensors.end() ? -1 : static_cast<int>(it - tensors.begin());
}

inline const View& view(const char* id)
{
    const auto it
        = std::ranges::find(views(), std::string_view(id), [](const View* v) { return std::string_view(v->id); });
    Q_ASSERT(it != views().end());
    return **it;
}

// Lets jobs deliver and queued replots happen.
inline void settle(int milliseconds = 150)
{
    QTest::qWait(milliseconds);
}

inline QPalette lightPalette()
{
    QPalette palette;
    palette.setColor(QPalette::Window, QColor(240, 240, 240));
    palette.setColor(QPalette::Base, Qt::white);
    for (const auto role : {QPalette::Text, QPalette::WindowText, QPalette::ButtonText})
        palette.setColor(role, Qt::black);
    return palette;
}

inline QPalette darkPalette()
{
    QPalette palette;
    palette.setColor(QPalette::Window, QColor(45, 45, 48));
    palette.setColor(QPalette::Base, QColor(30, 30, 30));
    palette.setColor(QPalette::AlternateBase, QColor(38, 38, 40));
    palette.setColor(QPalette::Button, QColor(60, 60, 63));
    palette.setColor(QPalette::ToolTipBase, QColor(60, 60, 63));
    for (const auto role : {QPalette::Text, QPalette::WindowText, QPalette::ButtonText, QPalette::ToolTipText})
        palette.setColor(role, QColor(225, 225, 225));
    palette.setColor(QPalette::Highlight, QColor(60, 120, 200));
    return palette;
}

} // namespace samplesession
