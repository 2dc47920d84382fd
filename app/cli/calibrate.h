#pragma once

#include "app/cli/arguments.h"
#include "core/calibration.h"
#include "core/model.h"

#include <optional>

// That of --calibration or --imatrix, or one made on the way of --text if `make`; none without. Throws WrongUsage for
// more than one of them.
std::optional<quern::Calibration> givenCalibration(const Arguments& arguments, const quern::Model& model, bool make,
                                                   quern::Progress& progress);
