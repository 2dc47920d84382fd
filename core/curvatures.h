#pragma once

#include "core/curvature.h"
#include "core/recipe.h"

#include <list>
#include <mutex>

namespace quern {

// The curvatures that choices ask for, made when they are asked for and kept for the next time. What is kept of an H is
// what methods share: its moments, and a factor for each damping and order of columns. Its functions may be called from
// several threads at once; what two of them ask for at the same time both make.
class Curvatures {
public:
    // most: bytes that are kept, the longest unused going first. What has been asked for last is kept whatever it
    // takes: weights that share their input often follow each other. 0 for runs where no more than that should be in
    // memory.
    explicit Curvatures(std::uint64_t most = 0);

    // Of matrix `matrix` of a tensor with these inputs. Null where the choice's quantizer asks for none, where there is
    // no H, or where it could not be factored although that was asked for. Throws Error, Cancelled.
    std::shared_ptr<const Curvature> of(const Choice& choice, const InputStats* stats, long matrix, Progress& progress);

    // The same, and H's moments with it, whatever the choice asks for: null only where there is no H. No feedback is
    // where H has no factor.
    std::shared_ptr<const Curvature> withMoments(const Choice& choice, const InputStats* stats, long matrix,
                                                 Progress& progress);

    std::uint64_t bytes() const; // that are kept

private:
    // What is made of an H: its moments or, where needs.feedback is set, the feedback of the rest of `needs`. Both may
    // be null: it has no factor.
    struct Part {
        std::weak_ptr<const Hessian> hessian;
        CurvatureNeeds needs;
        int block, code; // values in a block, in a code, where the order of columns depends on them; else 0
        std::uint64_t bytes;
        std::shared_ptr<const WalkMatrix> moments;
        std::shared_ptr<const Feedback> feedback;

        bool serves(const Part& asked) const;
    };

    std::shared_ptr<const Curvature> make(const std::shared_ptr<const Hessian>& hessian, const BlockFormat& format,
                                          CurvatureNeeds needs, Progress& progress);
    bool find(Part& asked);
    void makeRoom(std::uint64_t bytes, std::span<const Part> spared);
    void keep(const Part& made);
    static std::vector<Part> partsOf(const BlockFormat& format, const CurvatureNeeds& needs,
                                     const std::shared_ptr<const Hessian>& hessian);

    const std::uint64_t m_most;
    mutable std::mutex m_mutex; // of what follows
    std::list<Part> m_parts;    // the latest used first
    std::uint64_t m_bytes = 0;
};

// Whether it has what the choice's quantizer asks for.
bool serves(const Curvature& curvature, const Choice& choice);

// H of a matrix of a tensor; null where there is none.
std::shared_ptr<const Hessian> hessianOf(const InputStats* stats, long matrix);

} // namespace quern
