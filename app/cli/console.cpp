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

// ", 2:05 left" once there is something to judge by; else nothing.
std::string Console::remaining(double fraction) const
{
    constexpr double kLeast = 0.01, kSeconds = 5;
    const double spent = std::chrono::duration<double>(Clock::now() - m_start).count();
    if (fraction < kLeast || fraction >= 1 || spent < kSeconds)
        return {};
    const auto left = static_cast<long>(spent * (1 - fraction) / fraction);
    char text[64];
    if (left >= 3600)
        std::snprintf(text, sizeof text, ", %ld:%02ld:%02ld left", left / 3600, left / 60 % 60, left % 60);
    else
        std::snprintf(text, sizeof text, ", %ld:%02ld left", left / 60, left % 60);
    return text;
}

void Console::show(double fraction, const std::string& step)
{
    m_shown = true;
    if (m_style == Style::Json) {
        const nlohmann::json line {{"fraction", std::clamp(fraction, 0.0, 1.0)}, {"step", step}};
        std::fprintf(stderr, "%s\n", line.dump().c_str());
    } else {
        std::fprintf(stderr, "\r\033[K%3.0f %%%s  %.60s", 100 * fraction, remaining(fraction).c_str(), step.c_str());
    }
}

void Console::finish()
{
    if (m_shown && m_style == Style::Line)
        std::fputs("\r\033[K", stderr);
    m_shown = false;
}
