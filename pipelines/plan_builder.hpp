// A plan is built of stages without their types: those of a recipe, or of a typed pipeline, which
// brings the kernels that the compiler has made of its programs.
//
// The formulas are lowered by the code that lowers their types (dsl/lowering/lower.hpp), so that
// program and numbers are those of the typed pipeline, and so are the bits. A program that was
// compiled (one of `compiled_programs`) runs as its kernel, any other as a list of terms.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tweedie/dsl/language/hooks.hpp>
#include <tweedie/dsl/language/path.hpp>
#include <tweedie/networks/schedule_description.hpp>
#include <tweedie/pipelines/any_plan.hpp>
#include <tweedie/pipelines/any_stages.hpp>

namespace tweedie {

/// The schedule that a network says it was trained on, as levels.
struct known_schedule {
  networks::training_schedule said;
  std::string words;  ///< "linear {beta_first = 0.0001, ...}"
  double end = 0;
  path levels = {};
};
/// In tweedie::recipes, which knows the schedules by their names. Throws where it is none of them.
known_schedule know_schedule(networks::training_schedule const& trained);

/// A network as a plan calls it.
struct any_network {
  shared_call<void(batch const&)> call;
  /// Throws where it cannot take such samples or labels; may be empty.
  shared_call<void(std::span<std::size_t const>, std::span<int const>, std::size_t branches)> check;
  /// Throws where it cannot take such other conditions, if so many branches have none; may be
  /// empty.
  shared_call<void(std::span<named_array const>, std::size_t without)> check_arrays = {};
  shared_call<device_use()> use = {};  ///< what it can do on a device; empty: nothing
  /// The identity of the network, for whether two plans ask the same one; empty: the address of
  /// `call`.
  detail::callee asks = {};
  std::string predicts = {};  ///< the name of what it predicts, if it is known
  std::shared_ptr<known_schedule const> trained = {};  ///< on which schedule, if it is known
};
/// A network without its type; `shared` points at it and is shared by its functions.
template <class Network>
any_network forget_network(detail::owner const& shared, Network const& network) {
  if (detail::calls_nothing(network)) return {};  // which a plan refuses
  any_network r{{shared, [](void const* self, batch const& b) { detail::of<Network>(self)(b); }},
                {},
                {},
                {shared, [](void const* self) { return device_use_of(detail::of<Network>(self)); }},
                {shared, network},
                detail::name_of_predicted(network)};
  if constexpr (detail::checks_requests<Network>)
    r.check = {shared, [](void const* self, std::span<std::size_t const> s, std::span<int const> l,
                          std::size_t branches) {
                 detail::of<Network>(self).check(s, l, static_cast<int>(branches));
               }};
  if constexpr (detail::checks_arrays<Network>)
    r.check_arrays = {
        shared, [](void const* self, std::span<named_array const> arrays, std::size_t without) {
          detail::check_arrays(detail::of<Network>(self), arrays, static_cast<int>(without));
        }};
  if constexpr (detail::names_schedule<Network>)
    r.trained = std::make_shared<known_schedule const>(know_schedule(network.trained_on()));
  return r;
}
template <class Network> any_network forget_network(Network network) {
  auto const shared = std::make_shared<Network const>(std::move(network));
  return forget_network(shared, *shared);
}

namespace detail {
/// Throws tweedie::error where a network says that it predicts something else, or that it was
/// trained on another schedule than that of the levels.
void check_network(any_network const& network, std::string_view predicts,
                   std::vector<level> const& levels);
}  // namespace detail

/// Programs that have kernels. One that is not there runs by `list_of_terms`.
using compiled_programs = std::span<any_code const>;

/// A program that no compiler has seen: each element goes through its terms. The same bits, at
/// about 1.3 times the time.
any_code list_of_terms(any_program program);

/// A structure that the compiler knows.
struct declared_structure {
  runnable const& code;
  std::string (*kind)();
  std::size_t evaluation;
  bool guided;
};

/// Levels from noisy to clean, or (for encoding) from clean to noisy; `between` answers for the
/// levels between those. Throws tweedie::error where a number of a step is not finite, or a stage
/// does not work with its values. `declared` are the structures that there can be, in the order of
/// structures(), `inlined` the same with the network inlined; empty: as they are met.
any_plan build_plan(any_stages const& stages, any_network const& network, std::vector<level> levels,
                    path const& between, compiled_programs compiled = {},
                    std::span<declared_structure const> declared = {},
                    std::span<any_inlined const> inlined = {});

}  // namespace tweedie
