// What bench/python_step.py measures through Python, in C++: a step on 16 x 7 floats by
// driven_loop, with the copies of the sample, the output and the result. JSON, nanoseconds a step,
// the least of many runs of 50.
#include <chrono>
#include <cstring>
#include <limits>
#include <vector>

#include <fmt/format.h>

#include <tweedie/pipelines/driven_loop.hpp>
#include <tweedie/pipelines/ready/recipe.hpp>

using namespace tweedie;

namespace {

void copy_rows(float const* from, std::size_t from_pitch, float* to, std::size_t to_pitch,
               std::size_t rows, std::size_t elements) {
  for (std::size_t i = 0; i < rows; ++i)
    std::memcpy(to + i * to_pitch, from + i * from_pitch, elements * sizeof(float));
}

double nanoseconds_of(char const* sampler) {
  using clock = std::chrono::steady_clock;
  auto const text = fmt::format("sampler = '{}'\nsteps = 50", sampler);
  ready::recipe const r = ready::parse_recipe_beside(text, "cosine", "v");
  any_plan const plan = ready::make_plan(r, *r.schedule, *r.predicts, ready::network_of_caller());
  images x{{16, 7}, std::vector<float>(16 * 7, 1.0f)};
  std::vector<float> const output(16 * 7);
  double least = std::numeric_limits<double>::infinity();
  for (int run = 0; run < 5000; ++run) {
    auto const begin = clock::now();
    driven_loop loop(plan, plan.start_at(x, {}));
    while (batch const* ask = loop.next()) {
      copy_rows(x.data.data(), 7, loop.x(), ask->pitch, 16, 7);
      copy_rows(output.data(), 7, ask->out, ask->pitch, 16, 7);
      loop.answer();
      copy_rows(loop.x(), ask->pitch, x.data.data(), 7, 16, 7);
    }
    std::chrono::duration<double, std::nano> const took = clock::now() - begin;
    least = std::min(least, took.count() / 50);
  }
  return least;
}

}  // namespace

int main() {
  fmt::print("{{\"ddim\": {}, \"dpmpp_2m\": {}}}\n", nanoseconds_of("ddim"),
             nanoseconds_of("dpmpp_2m"));
}
