#pragma once

#include "core/measure.h"
#include "widgets/tabledialog.h"

class Session;
struct OverviewLayout;

// What the overview says in words and numbers.

quern::Measured measured(const Session& session, int tensor);
QString measureText(const quern::Measure& measure); // "SQNR [dB]"
QString valueText(const quern::Measure& measure, const quern::Measured& measured);
QString tensorLine(const Session& session, const quern::Measure& measure, int tensor); // name, measure, value
QString tensorTooltip(const Session& session, int index);                              // all measures, rich text
PlotTable overviewTable(const Session& session, const OverviewLayout& layout);
// A rule decides, where a preset or an earlier rule had said something else.
bool overridden(const quern::Recipe& recipe, std::string_view tensor);
