// What a plan needs of a state: which buffers, and how many of each. Whoever needs a state's memory
// (a plan, a batch that samples come to and leave, a file, adaptive steps) asks this.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <tweedie/dsl/lowering/any_program.hpp>
#include <tweedie/pipelines/state.hpp>

namespace tweedie {

/// Throws where samples of such a shape, or with such labels or other conditions, cannot be taken;
/// may be empty.
using samples_check = std::function<void(std::span<std::size_t const>, std::span<int const>,
                                         std::span<named_array const>)>;

struct state_layout {
  std::size_t branches = 1;    ///< of the network
  std::size_t extras = 0;      ///< outputs of a second network that the guidance calls
  std::size_t conditions = 1;  ///< labels of a sample
  std::size_t keeps = 0, past_x0 = 0, past_eps = 0, memories = 0;
  std::vector<std::uint32_t> streams = {};  ///< of noise that the caller gives
  std::size_t scratches = 0;                ///< buffers that reductions run over
  std::size_t inputs = 0;                   ///< net_in<k>; 0: the network sees x
  bool input_per_branch = false;
  bool learns_variance = false, uses_known = false, uses_mask = false;
  bool noise_given = false;
  bool enters = false;  ///< whether the sampler changes x before each step
  element_type input = element_type::float32, output = element_type::float32;

  std::size_t outputs() const { return branches + extras + learns_variance; }
  friend bool operator==(state_layout const&, state_layout const&) = default;

  /// A state for a request: all zeros but what is known and masked, nothing is drawn. Throws
  /// tweedie::error where the request or the labels do not fit, or memory does not suffice.
  state make(request const& r, tweedie::conditions const& given, placement const& where = {},
             samples_check const& check_samples = {}) const;

  /// Changes the number of samples; those that still fit are kept.
  void resize(state& s, std::size_t samples) const;

  /// Copies sample i of `from` over sample `at` of `to`; both may be one state.
  void copy_sample(state const& from, std::size_t i, state& to, std::size_t at) const;

  /// Throws tweedie::error where a state has not all that is needed.
  void check(state const& s) const;

  /// Which of the buffers that outlive an evaluation: "keep.1".
  struct lasting {
    char const* kind;
    std::size_t index = 0;
    bool is_one_of_several = false;
    std::string name() const {
      return is_one_of_several ? fmt::format("{}.{}", kind, index) : kind;
    }
  };
  /// Calls f(lasting, buffer, blocks, bytes) for each of them: `blocks` blocks of a row for each
  /// sample, of elements of so many bytes.
  template <class State, class F> void each_lasting(State& s, F f) const {
    auto const several = [&](char const* kind, auto& all) {
      for (std::size_t k = 0; k < all.size(); ++k)
        f(lasting{kind, k, true}, all[k], std::size_t{1}, sizeof(float));
    };
    f(lasting{"x"}, s.x, std::size_t{1}, sizeof(float));
    several("keep", s.keep);
    several("past_x0", s.past_x0);
    several("past_eps", s.past_eps);
    several("memory", s.memory);
    if (inputs > 0)
      f(lasting{"net_in"}, s.net_in, inputs, input == element_type::float32 ? sizeof(float) : 2);
    if (uses_known) f(lasting{"known"}, s.known, std::size_t{1}, sizeof(float));
  }
};

}  // namespace tweedie
