// Plans whose kernels nvcc has compiled, for the test that runs them over a runtime without a
// device.
#pragma once

#include <memory>

#include <tweedie/pipelines/any_plan.hpp>

/// What the networks of the plans do; each call is counted.
struct network_calls {
  static inline std::size_t count = 0;
  /// A call that cannot be recorded: it waits for the device.
  static inline bool waits = false;
};

using plan_pointer = std::shared_ptr<tweedie::any_plan const>;

// n steps over v, classifier-free guidance and a clip.
plan_pointer deterministic(int n);
plan_pointer stochastic(int n);
plan_pointer multistep(int n);
plan_pointer two_evaluations(int n);
/// With a reduction between two kernels of an evaluation.
plan_pointer reducing(int n);
/// Whose network sees c_in x.
plan_pointer scaled_input(int n);
/// That blends in what is known, by a mask.
plan_pointer inpainting(int n);

/// Doubles `n` floats on a device by a formula of its own.
void doubled(float* x, std::size_t n, tweedie::placement const& where);

/// Whose network is a part of its kernels.
plan_pointer of_an_inlined_network(int n);
plan_pointer reducing_of_an_inlined_network(int n);
/// And whose guidance launches a kernel of its own before them.
plan_pointer classified_of_an_inlined_network(int n);
/// Whose network is made for hosts.
plan_pointer of_a_host_network(int n);
/// Whose network says that it cannot be recorded.
plan_pointer of_a_network_that_waits(int n);
