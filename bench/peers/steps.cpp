// The steps that measure.py holds beside the peers', in a process of its own: it sleeps until a
// line asks for something and answers in one line.
//
//   step NAME ROWS ELEMENTS FILE   take up a step; FILE holds x and the network's two outputs
//   walk COUNT FILE                COUNT steps from that x, and where they lead into FILE
//   time COUNT WALKS               seconds of a step in each of some walks, as a JSON list
//   triad FLOATS RUNS              seconds of STREAM triad out of place and in place, the least
//
// The network is free: its outputs are there and stay. The rest of `advance` is timed.
#include <fstream>
#include <functional>
#include <iostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>


#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tweedie/networks/guidance.hpp>
#include <tweedie/networks/predicts.hpp>
#include <tweedie/networks/thresholds.hpp>
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/dpmpp_2m.hpp>
#include <tweedie/schedules/grids/leading.hpp>
#include <tweedie/schedules/grids/linspace.hpp>
#include <tweedie/schedules/scaled_linear.hpp>

#include "../timing.hpp"
#include "../triad.hpp"

using namespace tweedie;

namespace {

constexpr int grid_steps = 50;

struct free_network {
  using kind = kinds::network;
  void operator()(batch const&) const {}
};

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

/// A plan, its state, and the way back to the start.
struct subject {
  std::function<void()> rewind, advance;
  std::function<images()> samples;
};

template <class Pipeline, class Grid>
subject make_subject(Pipeline const& pipeline, Grid const& grid, buffers const& from) {
  auto const plan = pipeline.plan(grid, grid_steps);
  std::size_t const n = from.rows * from.elements;
  images const x{{from.rows, from.elements}, {from.part(0), from.part(0) + n}};
  auto const s = std::make_shared<state>(plan.start_at(x, {.seed = 1}));
  for (std::size_t row = 0; row < s->branches * s->samples; ++row)
    std::copy_n(from.part(1) + row * s->elements, s->elements, s->out.data() + row * s->pitch);
  // In place: a fresh copy of the state would be memory that nobody has touched yet.
  auto const rewind = [s, x = s->x, keys = s->keys] {
    std::copy_n(x.data(), x.size(), s->x.data());
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
double seconds_a_step(subject const& s, int count) {
  s.rewind();
  s.advance();
  return bench::seconds_of([&] {
           for (int i = 0; i < count; ++i) s.advance();
         }) /
         count;
}

std::string answer(std::string const& line, subject& current) {
  std::istringstream words(line);
  std::string verb, name, file;
  words >> verb;
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
    images const end = current.samples();
    std::ofstream to(file, std::ios::binary);
    to.write(reinterpret_cast<char const*>(end.data.data()),
             static_cast<std::streamsize>(end.data.size() * sizeof(float)));
    if (!to.flush()) throw error(fmt::format("{} was not written", file));
    return "[]";
  }
  if (verb == "time") {
    int count = 1, walks = 1;
    words >> count >> walks;
    std::vector<double> seconds;
    for (int i = 0; i < walks; ++i) seconds.push_back(seconds_a_step(current, count));
    return fmt::format("{}", seconds);
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
  throw error(fmt::format("'{}' was asked, expected step, walk, time or triad", line));
}

}  // namespace

int main() {
  set_threads(2);
  try {
    subject current;
    for (std::string line; std::getline(std::cin, line);)
      std::cout << answer(line, current) << std::endl;
  } catch (error const& e) {
    fmt::print(stderr, "bench/peers: {}\n", e.what());
    return 1;
  }
}
