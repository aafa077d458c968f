// Continuous batching beside a batch of equals, and what a plan costs to build.
//
// 1000 samples of 784 floats with a free network: all with the same number of steps, or each with
// its own. Both are in the middle of their way, where one structure is present.
#include <cstdio>
#include <cstdlib>
#include <memory>

#include <fmt/format.h>

#include <tweedie/pipelines/continuous_batch.hpp>
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/dpmpp_2m.hpp>
#include <tweedie/schedules/cosine.hpp>

#include "timing.hpp"

using namespace tweedie;

namespace {

struct free_network {
  using kind = kinds::network;
  void operator()(batch const&) const {}
};

template <class Sampler> void measure(char const* name, Sampler sampler, unsigned samples) {
  auto const pipeline = schedules::continuous::cosine{} | predicts::v{} |
                        guidance::classifier_free{1} | sampler | free_network{};
  auto const joined = [&](bool equal) {
    auto batch = std::make_unique<continuous_batch>(
        std::make_shared<decltype(pipeline.plan(9))>(pipeline.plan(9)),
        std::vector<std::size_t>{784});
    for (unsigned i = 0; i < samples; ++i) {
      int const steps = 1000 + (equal ? 0 : static_cast<int>(i));
      batch->join(std::make_shared<decltype(pipeline.plan(steps))>(pipeline.plan(steps)),
                  {.id = i});
    }
    for (int k = 0; k < 5; ++k) batch->advance();
    return batch;
  };
  auto const equals = joined(true), each_its_own = joined(false);
  auto const advance = [](continuous_batch& b) {
    for (int k = 0; k < 5; ++k) b.advance();
  };
  auto const best = bench::seconds({[&] { advance(*equals); }, [&] { advance(*each_its_own); }});
  fmt::print("| {:<9} | {:>9.1f} | {:>9.1f} | {:.3f} (asked: 1.05) | {} |\n", name,
             best[0] / 5 * 1e6, best[1] / 5 * 1e6, best[1] / best[0], each_its_own->launches());
}

}  // namespace

int main() {
  set_threads(2);
  unsigned const samples = std::getenv("TWEEDIE_SMOKE") ? 20 : 1000;
  fmt::print(
      "{} samples of 784 floats, microseconds per evaluation, 2 threads, best of 25\n\n"
      "| sampler | equal steps | each its own | times | launches |\n|---|---|---|---|---|\n",
      samples);
  measure("ddim", samplers::ddim{}, samples);
  measure("dpmpp_2m", samplers::dpmpp_2m{}, samples);
  measure("ancestral", samplers::ancestral{}, samples);

  auto const pipeline = schedules::cosine{} | predicts::v{} | guidance::classifier_free{1} |
                        samplers::dpmpp_2m{} | free_network{};
  double const plan = bench::seconds([&] { pipeline.plan(1000); });
  fmt::print("\nA plan for 1000 steps is built in {:.2f} ms (asked: 5).\n", plan * 1e3);
}
