#include "app/cli/console.h"

#include "core/error.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <csignal>
#include <cstdio>

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kInterval = std::chrono::milliseconds(100); // between two lines

volatile std::sig_atomic_t interrupted = 0;

} // namespace

extern "C" {
static void onInterrupt(int)
{
    interrupted = 1;
}
}

Console::Console(Style style)
    : m_style(style)
{
    struct sigaction action { };
    action.sa_handler = onInterrupt;
    action.sa_flags = static_cast<int>(SA_RESETHAND); // the second one ends the program
    sigaction(SIGINT, &action, nullptr);
}

Console::~Console()
{
    finish();
}

bool Console::cancelled() const
{
    return interrupted != 0;
}

void Console::report(double fraction, std::string_view step)
{
    if (m_style == Style::Silent)
        return;
    const std::scoped_lock lock(m_mutex);
    const auto now = Clock::now();
    if (fraction < m_fraction || (now < m_next && fraction < 1))
        return;
    m_fraction = fraction;
    m_next = now + kInterval;
    show(fraction, quern::toText(step));
}

void Console::show(double fraction, const std::string& step)
{
    m_shown = true;
    if (m_style == Style::Json) {
        const nlohmann::json line {{"fraction", std::clamp(fraction, 0.0, 1.0)}, {"step", step}};
        std::fprintf(stderr, "%s\n", line.dump().c_str());
    } else {
        std::fprintf(stderr, "\r\033[K%3.0f %%  %.60s", 100 * fraction, step.c_str());
    }
}

void Console::finish()
{
    if (m_shown && m_style == Style::Line)
        std::fputs("\r\033[K", stderr);
    m_shown = false;
}
