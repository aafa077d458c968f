// What a step costs through C above the C++ call, on 16 x 7 floats. A program in turns of loops of
// 50 steps: by driven_loop, and by libtweedie.so's next and answer over the loop's own memory, and
// by its step over buffers of the caller's own, where the C++ copies the same rows. The output is
// looked through for what is not finite in all of them. Then the same with a preview of x0. JSON,
// nanoseconds a step, the least and the median of many runs.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include <fmt/format.h>
#include <tweedie.h>

#include <tweedie/pipelines/driven_loop.hpp>
#include <tweedie/pipelines/ready/recipe.hpp>

using namespace tweedie;

namespace {

constexpr std::size_t rows = 16, elements = 7, steps = 50;

void copy_rows(float const* from, std::size_t from_pitch, float* to, std::size_t to_pitch) {
  for (std::size_t i = 0; i < rows; ++i)
    std::memcpy(to + i * to_pitch, from + i * from_pitch, elements * sizeof(float));
}

void expect(bool holds) {
  if (!holds) throw error(fmt::format("libtweedie.so: {}", tweedie_error()));
}

/// Times of one way to do the steps, a run each.
struct way {
  char const* name;
  std::vector<double> nanoseconds = {};

  template <class F> void run(F f) {
    using clock = std::chrono::steady_clock;
    auto const begin = clock::now();
    f();
    std::chrono::duration<double, std::nano> const took = clock::now() - begin;
    nanoseconds.push_back(took.count() / steps);
  }
  std::string told() {
    std::ranges::sort(nanoseconds);
    return fmt::format("\"{}\": {{\"least\": {:.0f}, \"median\": {:.0f}}}", name, nanoseconds[0],
                       nanoseconds[nanoseconds.size() / 2]);
  }
};

std::string measured(char const* sampler, int runs) {
  auto const text = fmt::format("sampler = '{}'\nsteps = {}", sampler, steps);
  ready::recipe const r = ready::parse_recipe_beside(text, "cosine", "v");
  any_plan const plan = ready::make_plan(r, *r.schedule, *r.predicts, ready::network_of_caller());
  tweedie_plan* const in_c = tweedie_plan_from_recipe(text.c_str(), "cosine", "v");
  expect(in_c);
  std::size_t const shape[] = {rows, elements};
  std::vector<float> x(rows * elements), out(rows * elements);
  std::size_t const bytes = x.size() * sizeof(float);
  tweedie_buffer const of_x{x.data(), bytes, TWEEDIE_FLOAT32, TWEEDIE_HOST, nullptr};
  tweedie_buffer const of_out{out.data(), bytes, TWEEDIE_FLOAT32, TWEEDIE_HOST, nullptr};

  way cpp{"C++"}, c{"C"}, cpp_copying{"C++ and copies"}, c_step{"C, step"}, preview{"C++, preview"};
  for (int run = 0; run < runs; ++run) {
    {
      auto loop = plan.steps(plan.start({.shape = {rows, elements}}));
      cpp.run([&] {
        while (auto const* ask = loop.next()) {
          std::memset(ask->out, 0, rows * ask->pitch * sizeof(float));
          loop.answer();
        }
      });
    }
    {
      tweedie_loop* const loop = tweedie_loop_start(in_c, shape, 2, 0, nullptr);
      c.run([&] {
        for (tweedie_question ask; tweedie_loop_next(loop, &ask) == 1;) {
          std::memset(ask.out, 0, rows * ask.pitch * sizeof(float));
          expect(tweedie_loop_answer(loop) == 0);
        }
      });
      tweedie_loop_release(loop);
    }
    {
      auto loop = plan.steps(plan.start({.shape = {rows, elements}}));
      cpp_copying.run([&] {
        while (auto const* ask = loop.next()) {
          copy_rows(out.data(), elements, ask->out, ask->pitch);
          loop.answer();
          copy_rows(loop.x(), ask->pitch, x.data(), elements);
        }
      });
    }
    {
      tweedie_loop* const loop = tweedie_loop_start(in_c, shape, 2, 0, nullptr);
      c_step.run([&] {
        for (tweedie_question ask; tweedie_loop_next(loop, &ask) == 1;)
          expect(tweedie_loop_step(loop, &of_x, &of_out) == 0);
      });
      tweedie_loop_release(loop);
    }
  }
  for (int run = 0; run < runs / 10; ++run) {
    auto loop = plan.steps(plan.start({.shape = {rows, elements}}));
    preview.run([&] {
      while (auto const* ask = loop.next()) {
        std::memset(ask->out, 0, rows * ask->pitch * sizeof(float));
        loop.x0_rows();
        loop.answer();
      }
    });
  }
  tweedie_plan_release(in_c);
  return fmt::format("  \"{}\": {{{}, {}, {}, {}, {}}}", sampler, cpp.told(), c.told(),
                     cpp_copying.told(), c_step.told(), preview.told());
}

}  // namespace

int main() {
  constexpr int runs = 4000;
  fmt::print("{{\n{},\n{}\n}}\n", measured("ddim", runs), measured("dpmpp_2m", runs));
}
