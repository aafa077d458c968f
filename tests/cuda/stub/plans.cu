// See plans.hpp.
#include "plans.hpp"

#include <tweedie/guidances/classifier.hpp>
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/edm.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/dpmpp_2m.hpp>
#include <tweedie/samplers/euler.hpp>
#include <tweedie/samplers/heun.hpp>
#include <tweedie/samplers/replacement.hpp>
#include <tweedie/schedules/cosine.hpp>
#include <tweedie/schedules/edm.hpp>
#include <tweedie/schedules/linear.hpp>
#include <tweedie/thresholds/thresholds.hpp>
#include "../../unit/tiny_mlp.hpp"

using namespace tweedie;

namespace {

/// Enqueues zeros.
struct enqueued {
  using kind = kinds::network;
  static constexpr bool enqueues = true;
  void operator()(batch const& b) const {
    ++network_calls::count;
    auto const stream = static_cast<cudaStream_t>(b.stream);
    cudaMemsetAsync(b.out, 0, b.rows() * b.pitch * sizeof(float), stream);
    if (network_calls::waits) cudaStreamSynchronize(stream);
  }
};
struct waiting : enqueued {
  static constexpr bool is_capturable = false;
};
struct of_hosts {
  using kind = kinds::network;
  void operator()(batch const& b) const {
    ++network_calls::count;
    for (std::size_t row = 0; row < b.rows(); ++row)
      for (float& a : b.out_of(row)) a = 0;
  }
};

/// Its own launch says nothing of what went wrong.
__global__ void do_nothing() {}
struct launches_a_kernel {
  static constexpr bool enqueues = true;
  void operator()(batch const& b) const {
    do_nothing<<<1, 1, 0, static_cast<cudaStream_t>(b.stream)>>>();
  }
};

template <class Pipeline> plan_pointer plan_of(Pipeline const& p, int n) {
  auto plan = p.plan(n);
  return std::make_shared<decltype(plan) const>(std::move(plan));
}
auto const guided =
    schedules::cosine{} | predicts::v{} | guidance::classifier_free{2} | thresholds::clip{};

}  // namespace

plan_pointer deterministic(int n) { return plan_of(guided | samplers::ddim{} | enqueued{}, n); }
plan_pointer stochastic(int n) { return plan_of(guided | samplers::ancestral{} | enqueued{}, n); }
plan_pointer multistep(int n) { return plan_of(guided | samplers::dpmpp_2m{} | enqueued{}, n); }
plan_pointer two_evaluations(int n) { return plan_of(guided | samplers::heun{} | enqueued{}, n); }
plan_pointer reducing(int n) {
  return plan_of(
      schedules::cosine{} | predicts::v{} | thresholds::dynamic{} | samplers::ddim{} | enqueued{},
      n);
}
plan_pointer scaled_input(int n) {
  return plan_of(schedules::edm{} | predicts::edm{} | samplers::euler{} | enqueued{}, n);
}
plan_pointer inpainting(int n) {
  return plan_of(guided | samplers::replacement{samplers::ddim{}} | enqueued{}, n);
}
void doubled(float* data, std::size_t n, placement const& where) {
  using namespace symbols;
  launch(step(x = 2 * x), bindings{bind(x, data)}, {.count = 1, .pitch = n, .on = where});
}
plan_pointer of_an_inlined_network(int n) {
  return plan_of(guided | samplers::ancestral{} | networks::inlined{tiny_mlp{}}, n);
}
plan_pointer reducing_of_an_inlined_network(int n) {
  return plan_of(schedules::cosine{} | predicts::v{} | thresholds::dynamic{} | samplers::ddim{} |
                     networks::inlined{tiny_mlp{}},
                 n);
}
plan_pointer classified_of_an_inlined_network(int n) {
  return plan_of(schedules::linear{} | predicts::epsilon{} |
                     guidance::classifier{1, launches_a_kernel{}} | samplers::ancestral{} |
                     networks::inlined{tiny_mlp{}},
                 n);
}
plan_pointer of_a_host_network(int n) {
  return plan_of(schedules::cosine{} | predicts::v{} | samplers::ddim{} | of_hosts{}, n);
}
plan_pointer of_a_network_that_waits(int n) {
  return plan_of(schedules::cosine{} | predicts::v{} | samplers::ddim{} | waiting{}, n);
}
