// The steps that measure.py holds beside the peers', in a process of its own: it sleeps until a
// line asks for something and answers in one line.
//
//   step NAME ROWS ELEMENTS FILE   take up a step; FILE holds x and the network's two outputs
//   walk COUNT FILE                COUNT steps from that x, and where they lead into FILE
//   time COUNT WALKS               seconds of a step in each of some walks, as a JSON list
//   loop STEPS RUNS FILE           seconds of a loop over 16x7 numbers whose network is a tiny MLP,
//                                  in each of some runs; the start and the end into FILE
//   triad FLOATS RUNS              seconds of STREAM triad out of place and in place, the least
//   copy FLOATS RUNS               seconds of a copy, the least
//
// The network is free: its outputs are there and stay. The rest of `advance` is timed. Compiled by
// nvcc all lies on a device, and what is timed is recorded and launched at once.
#include <fstream>
#include <functional>
#include <iostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tweedie/guidances/guidance.hpp>
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/dpmpp_2m.hpp>
#include <tweedie/schedules/grids/leading.hpp>
#include <tweedie/schedules/grids/linspace.hpp>
#include <tweedie/schedules/linear.hpp>
#include <tweedie/schedules/scaled_linear.hpp>
#include <tweedie/thresholds/thresholds.hpp>

#include "../../tests/unit/tiny_mlp.hpp"
#include "../timing.hpp"
#include "../triad.hpp"

using namespace tweedie;

namespace {

constexpr int grid_steps = 50;

struct free_network {
  using kind = kinds::network;
  static constexpr bool enqueues = true;
  void operator()(batch const&) const {}
};

/// Where all lies.
placement const& place() {
#if defined(__CUDACC__)
  static placement const device = [] {
    cudaStream_t stream = nullptr;
    detail::check_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking),
                       "making a stream");
    return on(stream);
  }();
#else
  static placement const device = {};
#endif
  return device;
}

/// What f enqueues; on a device as one launch that is waited for.
std::function<void()> recorded(std::function<void()> const& f) {
  if (!place().on_device()) return f;
  device_memory& device = *place().memory;
  device.begin_recording();
  f();
  std::shared_ptr<recording> const all = device.end_recording();
  return [all, &device] {
    all->launch();
    device.wait();
  };
}

/// x and the outputs of two branches, each `rows` times `elements` floats.
struct buffers {
  std::size_t rows = 0, elements = 0;
  std::vector<float> floats;
  float const* part(std::size_t k) const { return floats.data() + k * rows * elements; }
};

buffers read(std::size_t rows, std::size_t elements, std::string const& path) {
  buffers b{rows, elements, std::vector<float>(3 * rows * elements)};
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(b.floats.data()),
            static_cast<std::streamsize>(b.floats.size() * sizeof(float)));
  if (!file) throw error(fmt::format("{}: expected {} floats", path, b.floats.size()));
  return b;
}

void write(images const& all, std::string const& path) {
  std::ofstream to(path, std::ios::binary);
  to.write(reinterpret_cast<char const*>(all.data.data()),
           static_cast<std::streamsize>(all.data.size() * sizeof(float)));
  if (!to.flush()) throw error(fmt::format("{} was not written", path));
}

/// A plan, its state, and the way back to the start.
struct subject {
  std::function<void()> rewind, advance;
  std::function<images()> samples;
  std::function<void()> walk = {};  ///< so many steps from the second on
  int steps = 0;
};

template <class Pipeline, class Grid>
subject make_subject(Pipeline const& pipeline, Grid const& grid, buffers const& from) {
  auto const plan = pipeline.plan(grid, grid_steps);
  std::size_t const n = from.rows * from.elements;
  images const x{{from.rows, from.elements}, {from.part(0), from.part(0) + n}};
  auto const s = std::make_shared<state>(plan.start_at(x, {.seed = 1}, label{}, place()));
  for (std::size_t row = 0; row < s->branches * s->samples; ++row)
    s->out.put(row * s->pitch, from.part(1) + row * s->elements, s->elements);
  // In place: a fresh copy of the state would be memory that nobody has touched yet.
  auto const rewind = [s, x = s->x, keys = s->keys] {
    buffer::copy(x, 0, s->x, 0, x.size() * sizeof(float));
    s->keys = keys;
    s->evaluated = 0;
  };
  return {rewind, [s, plan] { plan.advance(*s); }, [s] { return take(*s); }};
}

subject subject_of(std::string const& name, buffers const& from) {
  auto const eps = schedules::scaled_linear{} | predicts::epsilon{} | free_network{};
  auto const guided = eps | guidance::classifier_free_scale{7.5};
  grids::leading const leading{.offset = 1};
  if (name == "ddim_guided") return make_subject(guided | samplers::ddim{}, leading, from);
  if (name == "dpmpp_2m_guided")
    return make_subject(guided | samplers::dpmpp_2m{}, grids::linspace_solver{}, from);
  if (name == "ddpm_clip")
    return make_subject(eps | thresholds::clip{1} | samplers::ancestral{}, leading, from);
  if (name == "ddim_eta") return make_subject(eps | samplers::ddim_eta{1}, leading, from);
  if (name == "ddim_dynamic")
    return make_subject(eps | thresholds::dynamic{0.995} | samplers::ddim{}, leading, from);
  throw error(fmt::format("there is no step {}", name));
}

/// The first step is another one in a multistep method, and brings the buffers where they will be.
double seconds_a_step(subject& s, int count) {
  s.rewind();
  s.advance();
  if (place().on_device()) place().memory->wait();
  if (s.steps != count) {
    s.walk = recorded([&] {
      for (int i = 0; i < count; ++i) s.advance();
    });
    s.steps = count;
  }
  return bench::seconds_of(s.walk) / count;
}

/// Where a loop begins, where it ends, and how long it takes.
std::vector<double> small_loop(int steps, int runs, std::string const& path) {
  auto const plan =
      (schedules::linear{} | predicts::v{} | samplers::ddim{} | networks::inlined{tiny_mlp{}})
          .plan(steps);
  request const r{.shape = {16, 7}, .seed = 1};
  images all = take(plan.start(r, label{}, place()));
  images const end = plan.sample(r, label{}, place());
  all.data.insert(all.data.end(), end.data.begin(), end.data.end());
  write(all, path);
  std::vector<double> seconds;
#if defined(__CUDACC__)
  auto loop = plan.record(r, place());
  for (int i = 0; i < runs; ++i)
    seconds.push_back(bench::seconds_of([&] {
      loop.launch(r);
      place().memory->wait();
    }));
#else
  for (int i = 0; i < runs; ++i) seconds.push_back(bench::seconds_of([&] { plan.sample(r); }));
#endif
  return seconds;
}

std::string answer(std::string const& line, subject& current) {
  std::istringstream words(line);
  std::string verb, name, file;
  words >> verb;
  if ((verb == "walk" || verb == "time") && !current.advance)
    throw error(fmt::format("'{}' was asked before any step, expected 'step ...' first", line));
  if (verb == "step") {
    std::size_t rows = 0, elements = 0;
    words >> name >> rows >> elements >> file;
    current = {};  // its memory goes before the next one's comes
    current = subject_of(name, read(rows, elements, file));
    return "[]";
  }
  if (verb == "walk") {
    int count = 0;
    words >> count >> file;
    current.rewind();
    for (int i = 0; i < count; ++i) current.advance();
    write(current.samples(), file);
    return "[]";
  }
  if (verb == "time") {
    int count = 1, walks = 1;
    words >> count >> walks;
    std::vector<double> seconds;
    for (int i = 0; i < walks; ++i) seconds.push_back(seconds_a_step(current, count));
    return fmt::format("{}", seconds);
  }
  if (verb == "loop") {
    int steps = 1, runs = 1;
    words >> steps >> runs >> file;
    return fmt::format("{}", small_loop(steps, runs, file));
  }
  if (verb == "copy") {
    std::size_t n = 0;
    int runs = 1;
    words >> n >> runs;
    buffer a(n, place()), b(n, place());
    constexpr int several = 20;
    auto const copies = recorded([&] {
      for (int i = 0; i < several; ++i) buffer::copy(a, 0, b, 0, n * sizeof(float));
    });
    return fmt::format("{}", bench::seconds({copies}, runs)[0] / several);
  }
  if (verb == "triad") {
    std::size_t n = 0;
    int runs = 1;
    words >> n >> runs;
    buffer a(n), b(n), c(n);
    return fmt::format(
        "{}", bench::seconds({[&] { bench::triad(a.data(), b.data(), c.data(), 0.9f, n); },
                              [&] { bench::triad(b.data(), b.data(), c.data(), 0.9f, n); }},
                             runs));
  }
  throw error(fmt::format("'{}' was asked, expected step, walk, time, loop, triad or copy", line));
}

}  // namespace

int main() {
  set_threads(2);
  try {
    subject current;
    for (std::string line; std::getline(std::cin, line);)
      std::cout << answer(line, current) << std::endl;
  } catch (std::exception const& e) {
    fmt::print(stderr, "bench/peers: {}\n", e.what());
    return 1;
  }
}
