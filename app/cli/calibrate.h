#pragma once

#include "app/cli/arguments.h"
#include "core/calibration.h"
#include "core/model.h"

#include <optional>

// What --text may be used for.
enum class Making { Nothing, Sums, SecondMoments };

std::string calibrationPath(const Arguments& arguments); // of --calibration or --imatrix; empty for none

// That of --calibration or --imatrix, or one made on the way of --text; none without. Throws WrongUsage for more than
// one of them, and for --text where nothing may be made.
std::optional<quern::Calibration> givenCalibration(const Arguments& arguments, const quern::Model& model, Making making,
                                                   quern::Progress& progress);
