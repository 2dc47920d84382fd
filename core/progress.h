#pragma once

#include <string_view>

namespace quern {

// Thrown by Progress::check() once the user has asked to stop. Caught by whoever started the work, nowhere else.
struct Cancelled { };

// How long-running work talks to its starter. Every such function takes one as its last parameter.
// All functions may be called from any thread and must be cheap.
class Progress {
public:
    virtual ~Progress() = default;
    virtual void report(double fraction, std::string_view step) = 0; // fraction in [0, 1]
    virtual bool cancelled() const = 0;

    void check() const
    {
        if (cancelled())
            throw Cancelled {};
    }
};

// A stretch of a longer piece of work: maps the inner [0, 1] onto [from, to] of the whole.
class ProgressPart final : public Progress {
public:
    ProgressPart(Progress& whole, double from, double to)
        : m_whole(whole)
        , m_from(from)
        , m_to(to)
    {
    }

    void report(double fraction, std::string_view step) override
    {
        m_whole.report(m_from + fraction * (m_to - m_from), step);
    }
    bool cancelled() const override { return m_whole.cancelled(); }

private:
    Progress& m_whole;
    double m_from;
    double m_to;
};

// For tests and for work too short to watch.
class NoProgress final : public Progress {
public:
    void report(double, std::string_view) override { }
    bool cancelled() const override { return false; }
};

} // namespace quern
