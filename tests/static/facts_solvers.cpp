// What the solvers compile to: kernels, buffers read and written, noise.
#include <array>
#include <cstddef>
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/edm_stochastic.hpp>
#include <tweedie/samplers/euler.hpp>
#include <tweedie/samplers/euler_maruyama.hpp>
#include <tweedie/samplers/heun.hpp>
#include <tweedie/samplers/heun_in_rho.hpp>
#include <tweedie/samplers/runge_kutta.hpp>
#include <tweedie/samplers/sde_dpmpp_2m.hpp>
#include <tweedie/samplers/unipc_2.hpp>
#include <tweedie/schedules/edm.hpp>
#include <type_traits>
#include <utility>

namespace {

using namespace tweedie;

struct free_network {
  using kind = kinds::network;
  void operator()(batch const&) const {}
};

template <class Sampler>
using code_of = typename decltype((schedules::edm{} | predicts::epsilon{} |
                                   std::declval<Sampler>() | free_network{})
                                      .plan(1))::code;
template <class Tableau> using by = code_of<samplers::runge_kutta<Tableau>>;
template <class Tableau> using in_rho = code_of<samplers::runge_kutta<Tableau, samplers::in_rho>>;

struct fact {
  std::size_t reads, writes, noises = 0;
};

template <class Code, std::size_t N> constexpr bool is(fact const (&expected)[N]) {
  if (Code::structures::size != N) return false;
  for (std::size_t i = 0; i < N; ++i) {
    auto const& f = Code::facts[i];
    if (f.kernels != 1 || f.reads != expected[i].reads || f.writes != expected[i].writes ||
        f.noise_streams != expected[i].noises)
      return false;
  }
  return true;
}

// In theta: one kernel for each slope of a step; last. Every slope's kernel reads x and the
// network's output, which make the slope, all but the first the y that the step began with, and the
// slopes that have a weight there.
static_assert(is<by<tableaux::midpoint>>({{2, 2}, {3, 1}, {2, 1}}));
static_assert(is<by<tableaux::rk4>>({{2, 3}, {3, 2}, {3, 2}, {6, 1}, {2, 1}}));
static_assert(by<tableaux::midpoint>::keeps == 1);
static_assert(by<tableaux::rk4>::keeps == 4);
static_assert(std::is_same_v<by<tableaux::heun>::programs, code_of<samplers::heun>::programs>);

// In rho: first; the same; last. A network that predicts eps gives the slope itself.

// No slope is kept; the second kernel reads u and the second slope alone.
static_assert(is<in_rho<tableaux::midpoint>>({{2, 1}, {2, 2}, {2, 1}, {2, 1}}));
static_assert(is<in_rho<tableaux::ralston>>({{2, 1}, {2, 3}, {3, 1}, {2, 1}}));
static_assert(is<in_rho<tableaux::kutta_3>>({{2, 1}, {2, 3}, {3, 2}, {4, 1}, {2, 1}}));
// Each slope starts from the one before alone; three are kept for the end.
static_assert(is<in_rho<tableaux::rk4>>({{2, 1}, {2, 3}, {2, 2}, {2, 2}, {5, 1}, {2, 1}}));
// Three of four slopes: the last one's weight is 0.
static_assert(is<in_rho<tableaux::bogacki_shampine>>({{2, 1}, {2, 3}, {2, 2}, {4, 1}, {2, 1}}));
// Six of seven; the second slope has no weight at the end.
static_assert(is<in_rho<tableaux::dormand_prince>>(
    {{2, 1}, {2, 3}, {3, 2}, {4, 2}, {5, 2}, {6, 2}, {6, 1}, {2, 1}}));

static_assert(
    std::is_same_v<in_rho<tableaux::euler>::programs, code_of<samplers::euler>::programs>);
static_assert(
    std::is_same_v<in_rho<tableaux::heun>::programs, code_of<samplers::heun_in_rho>::programs>);

static_assert(tableaux::first_same_as_last<tableaux::bogacki_shampine>());
static_assert(tableaux::first_same_as_last<tableaux::dormand_prince>());
static_assert(!tableaux::first_same_as_last<tableaux::rk4>());

// Two warm-ups, step, last: corrector and predictor are one kernel that reads x, the network, the
// corrected x and two predictions of x0, and writes x, the corrected x and x0.
using unipc = code_of<samplers::unipc_2>;
static_assert(is<unipc>({{2, 3}, {4, 3}, {5, 3}, {2, 1}}));
static_assert(unipc::keeps == 1 && unipc::past_x0 == 2);

// Warm-up, step, last.
static_assert(is<code_of<samplers::sde_dpmpp_2m>>({{2, 2, 1}, {3, 2, 1}, {2, 1}}));
// first, step, last.
static_assert(is<code_of<samplers::euler_maruyama>>({{2, 1, 1}, {2, 1, 1}, {2, 1}}));
// The kernel that ends a step adds the next one's noise; none comes after the last.
static_assert(is<code_of<samplers::edm_stochastic>>({{2, 1, 1}, {2, 3}, {3, 1, 1}, {2, 1}}));

}  // namespace
