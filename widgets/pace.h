#pragma once

#include <optional>

// How long work will still take, from how fast its fraction has grown lately. Times are seconds of any clock.
class Pace {
public:
    void start(double now);
    void report(double fraction, double now); // 0 to 1
    // Seconds; none before 2 s and 2 % have passed, when a guess would be noise.
    std::optional<double> remaining(double now) const;
    double elapsed(double now) const { return now - m_start; }

private:
    double m_start = 0;
    double m_seen = 0;     // when the last report came
    double m_fraction = 0; // of the last report
    double m_rate = 0;     // per second, smoothed
};
