#pragma once

#include "app/settings.h"

// Qt's Fusion style in light or dark. Call once with the system's palette still in force before any other call.
void applyTheme(Theme theme);
