// A server's loop: requests come while others are on their way, each with its own number of steps,
// guidance weight, label and seed. Every evaluation is one batch of the network, whoever is in it;
// every sample has the bits that it has alone.
#include <fmt/format.h>

#include <map>
#include <memory>

#include <tweedie/pipelines/continuous_batch.hpp>
#include <tweedie/tweedie.hpp>

using namespace tweedie;

int main() {
  networks::gaussian_mixture const mixture{{{.mean = {0.8, 0.8}, .variance = 0.01, .label = 0},
                                            {.mean = {-0.8, 0.4}, .variance = 0.02, .label = 1}}};
  auto const plan_of = [&](int steps, double w) {
    auto const pipeline = schedules::cosine{} | predicts::v{} | guidance::classifier_free{w} |
                          samplers::dpmpp_2m{} | mixture.predicting<predicts::v>();
    auto plan = pipeline.plan(steps);
    return std::make_shared<decltype(plan) const>(std::move(plan));
  };

  struct request {
    int when, steps;
    double w;
    int label;
  };
  request const requests[] = {{0, 6, 0, 0}, {0, 10, 0, 1}, {2, 4, 1, 1}, {3, 8, 0.5, 0}};

  continuous_batch batch(plan_of(1, 0), {2});
  std::map<std::uint64_t, images> done;
  for (int now = 0; done.size() < std::size(requests); ++now) {
    for (std::uint64_t id = 0; id < std::size(requests); ++id)
      if (auto const& r = requests[id]; r.when == now)
        batch.join(plan_of(r.steps, r.w), {.id = id, .seed = 7, .given = labels{r.label}});
    fmt::print("evaluation {:2}: {} samples", now, batch.size());
    auto const finished = batch.advance();
    fmt::print(", {} launches", batch.launches());
    for (finished_sample const& f : finished) {
      fmt::print("; sample {} is ready", f.id);
      done[f.id] = f.sample;
    }
    fmt::print("\n");
  }

  bool same = true;
  for (auto const& [id, sample] : done) {
    auto const& r = requests[id];
    auto const alone =
        plan_of(r.steps, r.w)->sample({.shape = {1, 2}, .seed = 7, .first_id = id}, label{r.label});
    same = same && alone.data == sample.data;
    fmt::print("sample {} of class {}: ({:.3f}, {:.3f})\n", id, r.label, sample.data[0],
               sample.data[1]);
  }
  fmt::print("the bits are those of each sample alone: {}\n", same ? "yes" : "no");
  return same ? 0 : 1;
}
