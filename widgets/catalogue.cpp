// Every view of the main window. To add one, write its file and name it here.
#include "widgets/view.h"

#include <array>

extern constinit const View channels, distribution, matrix, methods, output, overview;

std::span<const View* const> views()
{
    static constexpr std::array all {&overview, &distribution, &matrix, &channels, &methods, &output};
    return all;
}
