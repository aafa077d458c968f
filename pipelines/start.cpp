// The starts of a plan: from noise, from clean samples, at samples that are on their way.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tweedie/dsl/device/launch.hpp>
#include <tweedie/pipelines/any_plan.hpp>
#include <tweedie/pipelines/noising.hpp>
#include <tweedie/pipelines/state_layout.hpp>

namespace tweedie {

state any_plan::allocate(request const& r, conditions const& given, placement const& where) const {
  check_place(where);
  state s = layout().make(r, given, where, of_.calls->check);
  s.plan = fingerprint_;
  return s;
}

void any_plan::draw(state& s) const {
  if (layout().noise_given) {
    of_.calls->noise(s.ask_noise(start_stream, s.x));
    s.settle("the source of noise");
  }
  of_.fresh.code->launch({of_.fresh.numbers.data()}, s, s.kernel_rows());
  if (layout().enters) enter(s);
}

// Before the first evaluation: the sampler's enter, and net_in if the network sees another buffer
// than x. At a fresh start without enter, `fresh` has written net_in already.
void any_plan::enter(state& s) const {
  if (!of_.entering.code) return;
  // Every key is at evaluation 0. 0 - 1 wraps to 2^32 - 1, which no evaluation has: this noise is
  // not that of the first evaluation's kernel.
  for (sample_key& key : s.keys) --key.step;
  give_noise(of_.entering.code->program(), s);
  for (sample_key& key : s.keys) ++key.step;
  tweedie::rows rows = s.kernel_rows();
  --rows.step;
  of_.entering.code->launch({of_.entering.numbers.data()}, s, rows);
}

state any_plan::start(request const& r, conditions const& given, placement const& where) const {
  detail::check_pure_noise(levels()[0], "a start from noise");
  state s = allocate(r, given, where);
  draw(s);
  s.tell_device();
  return s;
}

namespace {

/// Takes the shape from the given samples. Throws if the request has another one, or if a value is
/// not finite.
void take_shape(request& r, images const& given, char const* what) {
  if (!r.shape.empty() && r.shape != given.shape)
    throw error(
        fmt::format("shape = {{{}}} was given with {} of shape {{{}}}, expected the same, or none",
                    fmt::join(r.shape, ", "), what, fmt::join(given.shape, ", ")));
  auto const bad = std::ranges::find_if(given.data, [](float a) { return !std::isfinite(a); });
  if (bad != given.data.end())
    throw error(fmt::format("{}: value {} is {}, expected finite ones", what,
                            bad - given.data.begin(), *bad));
  r.shape = given.shape;
}

}  // namespace

/// As `add_noise`, of what the caller's source draws.
void any_plan::add_given_noise(state& s, images const& clean) const {
  using namespace symbols;
  if (s.where.on_device())
    throw error(
        "clean samples and noise of the caller's were given on a device; expected a start on the "
        "host, whose state is moved there");
  detail::check_shape(s, clean);
  buffer const rows = detail::padded(clean.data, s.elements);
  of_.calls->noise(s.ask_noise(noising_stream, s.x));
  level const t = levels()[0];
  launch(step(x = t.alpha * known + t.sigma * x),
         bindings{bind(x, s.x.data()), bind(known, rows.data())},
         {.count = s.samples, .pitch = s.pitch, .keys = s.keys.data()});
}

state any_plan::start_from(images const& clean, request r, conditions const& given,
                           placement const& where) const {
  take_shape(r, clean, "clean samples");
  state s = allocate(r, given, where);
  if (layout().noise_given) add_given_noise(s, clean);
  else add_noise(s, clean, levels()[0]);
  enter(s);
  s.tell_device();
  return s;
}

state any_plan::start_at(images const& x_t, request r, conditions const& given,
                         placement const& where) const {
  take_shape(r, x_t, "samples x_t");
  state s = allocate(r, given, where);
  detail::put(s, x_t);
  enter(s);
  s.tell_device();
  return s;
}

}  // namespace tweedie
