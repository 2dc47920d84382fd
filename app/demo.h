#pragma once

#include <QString>

// The folder of the demo model, installed beside the program or in its source; empty if it is in neither.
QString demoPath();
