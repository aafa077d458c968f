// What a pipeline compiles to, without running it: one kernel per evaluation of the network, and
// what each kernel does to memory and to the generator.
#include <array>
#include <cmath>
#include <cstddef>
#include <tweedie/guidances/guidance.hpp>
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/dpmpp_2m.hpp>
#include <tweedie/samplers/euler.hpp>
#include <tweedie/samplers/heun.hpp>
#include <tweedie/schedules/cosine.hpp>
#include <tweedie/thresholds/thresholds.hpp>
#include <type_traits>
#include <utility>

namespace {

using namespace tweedie;

struct free_network {
  using kind = kinds::network;
  void operator()(batch const&) const {}
};

struct my_ddim {  // no kind: that it has a step says what it is
  double eta = 0.3;
  auto step(level t, level s) const {
    using namespace symbols;
    double const beta = t.sigma * t.sigma - std::pow(t.alpha / s.alpha * s.sigma, 2);
    double const kappa = eta * s.sigma / t.sigma * std::sqrt(beta);
    return tweedie::step(x = s.alpha * x0 + std::sqrt(s.sigma * s.sigma - kappa * kappa) * eps +
                             kappa * noise);
  }
};

template <class... Stages>
using code_of =
    typename decltype((schedules::cosine{} | ... | std::declval<Stages>()).plan(1))::code;

/// The pipeline: v, classifier-free guidance, clipping.
template <class Sampler>
using full =
    code_of<predicts::v, guidance::classifier_free, thresholds::clip, Sampler, free_network>;
/// The barest one.
template <class Predicts, class Sampler = samplers::ddim>
using bare = code_of<Predicts, Sampler, free_network>;

struct fact {
  std::size_t reads, writes, bytes, noises;
};

template <class Code, std::size_t N> constexpr bool is(fact const (&expected)[N]) {
  if (Code::structures::size != N || Code::programs::size != N) return false;
  for (std::size_t i = 0; i < N; ++i) {
    auto const& f = Code::facts[i];
    if (f.reads != expected[i].reads || f.writes != expected[i].writes ||
        f.bytes_per_element != expected[i].bytes || f.noise_streams != expected[i].noises ||
        f.deterministic() != (expected[i].noises == 0))
      return false;
  }
  return true;
}

// A buffer costs 4 bytes an element and a kernel: x and two branches in, x out are 16.

// step; last
static_assert(is<full<samplers::ddim>>({{3, 1, 16, 0}, {3, 1, 16, 0}}));
static_assert(is<full<samplers::ddim_eta>>({{3, 1, 16, 1}, {3, 1, 16, 0}}));
static_assert(is<full<samplers::ancestral>>({{3, 1, 16, 1}, {3, 1, 16, 0}}));
static_assert(is<full<my_ddim>>({{3, 1, 16, 1}, {3, 1, 16, 0}}), "a user's own sampler");
// first; step; last
static_assert(is<full<samplers::euler>>({{3, 1, 16, 0}, {3, 1, 16, 0}, {3, 1, 16, 0}}));
// first; both evaluations of a step, with x / alpha and the slope kept between them; last
static_assert(is<full<samplers::heun>>({{3, 3, 24, 0}, {5, 1, 24, 0}, {3, 1, 16, 0}}));
// warm-up, which stores x0; step, which reads one and stores the next; last
static_assert(is<full<samplers::dpmpp_2m>>({{3, 2, 20, 0}, {4, 2, 24, 0}, {3, 1, 16, 0}}));

// Without guidance and threshold one buffer less.
static_assert(is<bare<predicts::v>>({{2, 1, 12, 0}, {2, 1, 12, 0}}));
static_assert(is<bare<predicts::epsilon, samplers::ancestral>>({{2, 1, 12, 1}, {2, 1, 12, 0}}));
static_assert(is<bare<predicts::velocity, samplers::dpmpp_2m>>(
    {{2, 2, 16, 0}, {3, 2, 20, 0}, {2, 1, 12, 0}}));

// Dead symbols are not loaded: the last step of a network that predicts x0 is its output alone.
static_assert(is<bare<predicts::x0>>({{2, 1, 12, 0}, {1, 1, 8, 0}}));

// Where guidance is off one branch is loaded. Per kind of step: on, off.
static_assert(is<code_of<predicts::v, guidance::within<guidance::classifier_free>, thresholds::clip,
                         samplers::ddim, free_network>>(
    {{3, 1, 16, 0}, {2, 1, 12, 0}, {3, 1, 16, 0}, {2, 1, 12, 0}}));

// Steps of one shape are one kernel. A clip leaves ddim's last step without x beside its node, so
// it is a kernel of its own; without one both steps are the same.
static_assert(full<samplers::ddim>::distinct == 2);
static_assert(full<samplers::heun>::distinct == 3);
static_assert(full<samplers::dpmpp_2m>::distinct == 3);
static_assert(bare<predicts::v>::distinct == 1);
static_assert(std::is_same_v<bare<predicts::v, samplers::ddim>::programs,
                             bare<predicts::epsilon, samplers::ddim>::programs>,
              "what the network predicts is in the numbers, not in the kernel");
static_assert(std::is_same_v<bare<predicts::v, samplers::ddim_eta>::programs,
                             bare<predicts::v, samplers::ancestral>::programs>,
              "ancestral sampling is ddim's kernel");
static_assert(std::is_same_v<full<samplers::ddim_eta>::programs, full<my_ddim>::programs>,
              "a user's formula is the library's kernel");

// Histories and values kept are allocated where a sampler uses them.
static_assert(full<samplers::ddim>::keeps == 0 && full<samplers::ddim>::past_x0 == 0);
static_assert(full<samplers::heun>::keeps == 2 && full<samplers::heun>::past_eps == 0);
static_assert(full<samplers::dpmpp_2m>::past_x0 == 1 && full<samplers::dpmpp_2m>::keeps == 0);

template <class... S> constexpr bool all_different(list<S...>) {
  constexpr std::array<symbol_id, sizeof...(S)> ids{S::id...};
  for (std::size_t i = 0; i < ids.size(); ++i)
    for (std::size_t j = i + 1; j < ids.size(); ++j)
      if (ids[i] == ids[j]) return false;
  return true;
}
template <class... W> constexpr bool targets_different(list<W...>) {
  return all_different(list<typename W::target...>{});
}

// Each buffer is loaded once, each stream drawn once, each output stored once; a kernel is copied
// to a device as its bytes.
template <class... P> constexpr bool sound(list<P...>) {
  return ((all_different(typename P::read_list{}) && all_different(typename P::noise_list{}) &&
           targets_different(typename P::write_list{}) &&
           std::is_trivially_copyable_v<kernel<P, host_width>> &&
           std::is_trivially_copyable_v<kernel<P, device_width>>)&&...);
}
static_assert(sound(full<samplers::ddim>::programs{}));
static_assert(sound(full<samplers::ddim_eta>::programs{}));
static_assert(sound(full<samplers::ancestral>::programs{}));
static_assert(sound(full<samplers::euler>::programs{}));
static_assert(sound(full<samplers::heun>::programs{}));
static_assert(sound(full<samplers::dpmpp_2m>::programs{}));
static_assert(sound(full<my_ddim>::programs{}));
static_assert(!all_different(list<sym::x, sym::known, sym::x>{}), "the check sees a repetition");

}  // namespace
