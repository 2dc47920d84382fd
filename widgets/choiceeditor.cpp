#include "widgets/choiceeditor.h"

#include "core/group.h"
#include "core/secondmoments.h"
#include "widgets/combo.h"
#include "widgets/methods.h"
#include "widgets/settingsform.h"
#include "widgets/text.h"

#include <QFormLayout>
#include <QLabel>
#include <QScopedValueRollback>
#include <QSlider>
#include <QSpinBox>
#include <QStandardItemModel>

#include <algorithm>

namespace {

constexpr int kLinear = -1, kAsStored = -2; // entries of the format list that are no format
constexpr int kRow = 0, kTensor = -1;       // entries of the group list that are no size
constexpr int kLeastBits = 2, kMostBits = 8, kUsualBits = 4, kUsualGroup = 128;

const quern::BlockFormat* affineFormat(int bits, quern::Zero zero, int group)
{
    const quern::Scope scope = group == kRow ? quern::Scope::Row
        : group == kTensor                   ? quern::Scope::Tensor
                                             : quern::Scope::Block;
    return quern::findAffineFormat({bits, zero, scope}, std::max(group, 0));
}

int groupOf(const quern::BlockFormat& format)
{
    return format.affine.scope == quern::Scope::Row   ? kRow
        : format.affine.scope == quern::Scope::Tensor ? kTensor
                                                      : format.values;
}

} // namespace

ChoiceEditor::ChoiceEditor(QWidget* parent)
    : QWidget(parent)
    , m_format(new QComboBox(this))
    , m_slider(new QSlider(Qt::Horizontal, this))
    , m_bits(new QSpinBox(this))
    , m_group(new QComboBox(this))
    , m_zero(new QComboBox(this))
    , m_method(new QComboBox(this))
    , m_summary(new QLabel(this))
    , m_settings(new SettingsForm(this))
{
    auto* form = new QFormLayout(this);
    form->setContentsMargins(0, 0, 0, 0);
    form->setFieldGrowthPolicy(QFormLayout::AllNonFixedFieldsGrow);
    m_format->setWhatsThis(
        tr("How the numbers are stored: one of GGUF's types, or a linear grid of any bits and group."));
    form->addRow(tr("&Format"), m_format);
    createGrid(form);
    m_format->setToolTip(m_format->whatsThis());
    m_method->setWhatsThis(tr("How the stored value of each weight is chosen."));
    form->addRow(tr("M&ethod"), m_method);
    m_summary->setWordWrap(true);
    m_summary->setForegroundRole(QPalette::PlaceholderText);
    form->addRow(QString(), m_summary);
    form->addRow(m_settings);

    connect(m_format, &QComboBox::activated, this, &ChoiceEditor::formatEdited);
    connect(m_method, &QComboBox::activated, this, &ChoiceEditor::methodEdited);
    connect(m_settings, &SettingsForm::edited, this, &ChoiceEditor::edited);
}

void ChoiceEditor::createGrid(QFormLayout* form)
{
    m_slider->setRange(kLeastBits, kMostBits);
    m_slider->setPageStep(1);
    m_slider->setTickPosition(QSlider::TicksBelow);
    m_slider->setTickInterval(1);
    m_slider->setAccessibleName(tr("Bits per code"));
    m_slider->setToolTip(tr("Bits per weight of a linear grid; moving this chooses one."));
    m_bits->setRange(kLeastBits, kMostBits);
    m_bits->setAccessibleName(tr("Bits per code"));
    m_bits->setToolTip(m_slider->toolTip());
    auto* bits = new QHBoxLayout;
    bits->addWidget(m_slider, 1);
    bits->addWidget(m_bits);
    auto* label = new QLabel(tr("&Bits"), this);
    label->setBuddy(m_bits);
    form->addRow(label, bits);

    for (const int group : {16, 32, 64, 128, 256})
        m_group->addItem(tr("%n weights", "", group), group);
    m_group->addItem(tr("whole row"), kRow);
    m_group->addItem(tr("whole tensor"), kTensor);
    chooseItem(m_group, kUsualGroup);
    m_group->setWhatsThis(tr("How many weights side by side share a scale."));
    form->addRow(tr("&Group"), m_group);

    m_zero->addItem(tr("symmetric"), static_cast<int>(quern::Zero::Symmetric));
    m_zero->addItem(tr("asymmetric, FP16 minimum"), static_cast<int>(quern::Zero::Minimum));
    m_zero->addItem(tr("asymmetric, integer zero"), static_cast<int>(quern::Zero::ZeroPoint));
    m_zero->setWhatsThis(tr("Whether codes are centred on zero: x = s·q, x = s·q + m, or x = s·(q − z)."));
    form->addRow(tr("&Zero"), m_zero);

    connect(m_slider, &QSlider::sliderPressed, this, &ChoiceEditor::dragStarted);
    connect(m_slider, &QSlider::sliderReleased, this, &ChoiceEditor::dragEnded);
    connect(m_slider, &QSlider::valueChanged, m_bits, &QSpinBox::setValue);
    connect(m_bits, &QSpinBox::valueChanged, m_slider, &QSlider::setValue);
    connect(m_bits, &QSpinBox::valueChanged, this, &ChoiceEditor::gridEdited);
    connect(m_group, &QComboBox::activated, this, &ChoiceEditor::gridEdited);
    connect(m_zero, &QComboBox::activated, this, &ChoiceEditor::gridEdited);
}

void ChoiceEditor::setChoice(const quern::Choice& choice, const quern::Tensor& tensor, const quern::InputStats* inputs)
{
    m_moments = quern::hasMoments(inputs);
    const QScopedValueRollback guard(m_showing, true);
    m_cols = tensor.cols();
    fillFormats();
    const bool copied = !choice.quantizer || !choice.format;
    if (!copied && choice.format->affine.bits > 0) {
        chooseItem(m_format, kLinear);
        m_bits->setValue(choice.format->affine.bits);
        chooseItem(m_zero, static_cast<int>(choice.format->affine.zero));
        chooseItem(m_group, groupOf(*choice.format));
    } else {
        const auto all = quern::blockFormats();
        const auto at = std::ranges::find(all, choice.format);
        chooseItem(m_format, copied || at == all.end() ? kAsStored : static_cast<int>(at - all.begin()));
        if (!copied && choice.format->values > 0)
            m_bits->setValue(8 * choice.format->bytes / choice.format->values);
    }
    showGrid();
    fillGroups();
    fillMethods();
    if (choice.quantizer)
        chooseItem(m_method, text(choice.quantizer->name));
    showSettings(choice.settings);
}

bool ChoiceEditor::linear() const
{
    return m_format->currentData().toInt() == kLinear;
}

const quern::BlockFormat* ChoiceEditor::format() const
{
    const int entry = m_format->currentData().toInt();
    if (entry == kLinear)
        return affineFormat(m_bits->value(), static_cast<quern::Zero>(m_zero->currentData().toInt()),
                            m_group->currentData().toInt());
    return entry == kAsStored ? nullptr : quern::blockFormats()[static_cast<std::size_t>(entry)];
}

quern::Choice ChoiceEditor::choice() const
{
    const quern::BlockFormat* format = this->format();
    if (!format)
        return {};
    return {quern::findQuantizer(m_method->currentData().toString().toStdString()), format, m_settings->settings()};
}

void ChoiceEditor::fillFormats()
{
    m_format->clear();
    m_format->addItem(tr("linear grid"), kLinear);
    m_format->addItem(tr("as stored"), kAsStored);
    const auto all = quern::blockFormats();
    for (std::size_t i = 0; i < all.size(); ++i) {
        const quern::BlockFormat& format = *all[i];
        if (!format.encode || format.affine.bits > 0)
            continue;
        const QString name = text(format.name);
        m_format->addItem(format.values > 0 ? tr("%1: %2 bits").arg(name, fixed(8.0 * format.bytes / format.values))
                                            : name,
                          static_cast<int>(i));
        enableItem(m_format, m_format->count() - 1, format.fits(m_cols),
                   format.fits(m_cols)
                       ? tr("Bits per weight, scales included")
                       : tr("Rows of %1 weights are no multiple of %2.").arg(m_cols).arg(format.values));
    }
}

// Group and zero can be set for the linear grid; a GGUF type brings its own.
void ChoiceEditor::showGrid()
{
    const quern::BlockFormat* format = this->format();
    const bool own = !linear();
    for (QComboBox* box : {m_group, m_zero}) {
        box->setEnabled(!own);
        box->setToolTip(own ? tr("Part of the format. Choose the linear grid, or move the bits, to set it.")
                            : box->whatsThis());
        if (own)
            box->setCurrentIndex(-1);
    }
    const long group = format ? quern::groupSize(*format, m_cols) : 1;
    m_group->setPlaceholderText(group > 1 ? tr("%n weights", "", static_cast<int>(group)) : QStringLiteral("–"));
    m_zero->setPlaceholderText(QStringLiteral("–"));
    if (!own && m_group->currentIndex() < 0)
        chooseItem(m_group, kUsualGroup);
    if (!own && m_zero->currentIndex() < 0)
        m_zero->setCurrentIndex(0);
}

void ChoiceEditor::fillGroups()
{
    const auto zero = static_cast<quern::Zero>(m_zero->currentData().toInt());
    for (int item = 0; item < m_group->count(); ++item) {
        const quern::BlockFormat* format = affineFormat(m_bits->value(), zero, m_group->itemData(item).toInt());
        const bool fits = format && format->fits(m_cols);
        enableItem(m_group, item, fits,
                   !format    ? tr("There is no such grid.")
                       : fits ? QString()
                              : tr("Rows of %1 weights are no multiple of %2.").arg(m_cols).arg(format->values));
    }
}

void ChoiceEditor::fillMethods()
{
    const QString before = m_method->currentData().toString();
    const quern::BlockFormat* format = this->format();
    m_method->clear();
    for (const quern::Quantizer* quantizer : quern::quantizers()) {
        m_method->addItem(text(quantizer->name), text(quantizer->name));
        const QString reason = whyNot(*quantizer, format, m_moments);
        enableItem(m_method, m_method->count() - 1, reason.isEmpty(),
                   reason.isEmpty() ? summaryOf(*quantizer) : reason);
    }
    chooseItem(m_method, before);
    m_method->setEnabled(format);
    m_method->setToolTip(format ? m_method->whatsThis() : tr("Values stored as they are need no method."));
}

void ChoiceEditor::showSettings(const quern::Settings& settings)
{
    const quern::Quantizer* method = choice().quantizer;
    m_summary->setText(method ? summaryOf(*method) : QString());
    m_summary->setVisible(method);
    m_settings->setSettings(method ? method->params : std::span<const quern::Param>(), settings);
}

void ChoiceEditor::formatEdited()
{
    showGrid();
    fillGroups();
    fillMethods();
    showSettings({});
    emit edited();
}

// Whoever moves bits or group wants a linear grid; a GGUF type that was chosen has none to move.
void ChoiceEditor::gridEdited()
{
    if (m_showing)
        return;
    chooseItem(m_format, kLinear);
    showGrid();
    fillGroups();
    if (!static_cast<QStandardItemModel*>(m_group->model())->item(m_group->currentIndex())->isEnabled())
        for (int item = m_group->count() - 1; item >= 0; --item)
            if (static_cast<QStandardItemModel*>(m_group->model())->item(item)->isEnabled()
                && m_group->itemData(item).toInt() > 0) {
                m_group->setCurrentIndex(item); // the widest that fits
                break;
            }
    fillMethods();
    emit edited();
}

void ChoiceEditor::methodEdited()
{
    showSettings({});
    emit edited();
}
