#pragma once

#include "core/progress.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>

// Progress on stderr: as JSON, one object a line; as one line that is overwritten; or not at all.
// Cancelled by Ctrl+C, which ends the program at once when pressed again. One object a program.
class Console final : public quern::Progress {
public:
    enum class Style { Silent, Line, Json };
    explicit Console(Style style);
    ~Console() override;
    Console(const Console&) = delete;
    Console& operator=(const Console&) = delete;

    void report(double fraction, std::string_view step) override;
    bool cancelled() const override;
    void finish(); // clears the line

private:
    void show(double fraction, const std::string& step);
    std::string remaining(double fraction) const;

    Style m_style;
    std::mutex m_mutex;
    double m_fraction = -1; // last shown; never goes back
    bool m_shown = false;
    std::chrono::steady_clock::time_point m_next {}, m_start = std::chrono::steady_clock::now();
};
