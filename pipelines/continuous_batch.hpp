// Continuous batching: samples that come and go while others are on their way. Each has its own
// plan (steps, weights, eta, even sampler), seed and labels, and the bits that it has alone.
//
// One evaluation of every sample is one call of the network and one launch for each structure that
// is present: the numbers of a launch are a line per row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <tweedie/pipelines/any_plan.hpp>

namespace tweedie {

/// A sample that is asked for.
struct joining {
  std::uint64_t id = 0;  ///< below 2^48; with the seed it is the sample's noise
  std::uint64_t seed = 0;
  conditions given = labels{no_label};
  images known = {}, mask = {};  ///< of this sample, for a sampler that keeps what is known
};

/// A sample that has left.
struct finished_sample {
  std::uint64_t id;
  images sample;  ///< of shape {1, ...}
};

class continuous_batch {
 public:
  /// For samples of a shape, {1, 28, 28}, by plans like this one: those of the same network, with
  /// the same branches and histories, as a pipeline's plans for any steps and values are. Networks
  /// are the same where they are one object, or their type can be compared and they are equal.
  /// Throws tweedie::error where the noise is the caller's own, or the plan cannot run in that
  /// place.
  continuous_batch(std::shared_ptr<any_plan const> like, std::vector<std::size_t> shape,
                   placement const& where = default_placement());
  continuous_batch(continuous_batch&&) = default;
  continuous_batch(continuous_batch const&) = delete;  // a question points into its own batch

  /// A sample joins at its plan's start. Throws tweedie::error where the id is in the batch
  /// already, the plan is of another kind or asks another network, or the request does not fit; the
  /// batch is as it was.
  void join(std::shared_ptr<any_plan const> plan, joining const& request);
  /// A sample leaves before its end. Throws where it is not there.
  void cancel(std::uint64_t id);

  /// One evaluation of every sample, and what runs after it. Samples that have come to their end
  /// leave; for these alone a device is waited for. If the network throws, each sample is where it
  /// was.
  std::vector<finished_sample> advance();

  /// The same for a caller who brings the network's output, as a driven_loop is for one plan: what
  /// the network is asked of all samples, each at its own level; null where the batch is empty. It
  /// holds until `answer`, before which none joins or leaves.
  batch const* next();
  /// Call it when the output is written. Throws tweedie::error if nothing was asked, and of an
  /// output in the host's memory that is not finite: then it may be written again.
  std::vector<finished_sample> answer();

  std::size_t size() const { return members_.size(); }
  bool empty() const { return members_.empty(); }
  /// Launches of the last advance(), one for each structure present.
  std::size_t launches() const { return launches_; }

 private:
  struct member {
    std::shared_ptr<any_plan const> plan;
    std::uint64_t id;
    std::vector<int> labels;    ///< one for each condition
    std::size_t evaluated = 0;  ///< of its own plan
  };

  std::size_t find(std::uint64_t id) const;
  void remove(std::size_t row);
  void gather_labels();
  any_plan::row const& row_of(std::size_t member) const;
  /// What all samples ask together, and their levels.
  any_plan::row gather_question();
  /// The kernels, after the network.
  std::vector<finished_sample> apply();
  void check_not_asked(char const* what) const;

  std::shared_ptr<any_plan const> like_;
  state_layout layout_;
  state s_;
  std::vector<member> members_;
  buffer block_;  ///< on a device: the numbers and the rows of an advance
  std::size_t launches_ = 0;
  std::vector<level> seen_, to_;  ///< what the levels of a question point at
  any_plan::row asked_row_;
  batch asked_;
  bool is_asked_ = false;
};

}  // namespace tweedie
