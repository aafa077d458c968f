// A typed pipeline on a grid: the programs are kernels that the compiler has made, their numbers
// and all else are those of the same stages without their types (pipelines/plan_builder.hpp).
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <tweedie/dsl/device/launch.hpp>
#include <tweedie/networks/inlined.hpp>
#include <tweedie/pipelines/any_stages.hpp>
#include <tweedie/pipelines/compiled.hpp>
#include <tweedie/pipelines/plan_builder.hpp>

namespace tweedie {

namespace detail {

/// A program that the compiler has made a kernel of.
template <class Program, class Door> class compiled_code final : public runnable {
 public:
  any_program const& program() const override { return describe<Program>(); }
  void launch(launch_numbers numbers, state& s, rows const& r) const override {
    launch_numbered<Program, Door>(numbers, s, r);
  }
  bool is_compiled() const override { return true; }
  bool runs_on_devices() const override { return std::is_same_v<Door, device_door>; }
};
/// One object for all plans.
template <class Program, class Door = door>
inline compiled_code<Program, Door> const compiled_once{};
/// A pointer that owns nothing.
inline any_code borrowed(runnable const& code) { return {std::shared_ptr<void>(), &code}; }
template <class Program, class Door = door> any_code code_of() {
  return borrowed(compiled_once<Program, Door>);
}
template <class... P, class Door = door> compiled_programs codes_of(list<P...>) {
  static any_code const all[]{code_of<P, Door>()...};
  return all;
}

/// A program behind an inlined network.
template <class Program, class Function, class Door>
class compiled_evaluation final : public inlined_evaluation {
 public:
  explicit compiled_evaluation(Function const& function) : function_(function) {}
  void launch(batch const& b, launch_numbers numbers, state& s, rows const& r) const override {
    launch_numbered<Program, Door>(numbers, s, r,
                                   networks::detail::inlined_at<Function>{
                                       networks::detail::rows_of(function_, b), b.levels[0]});
  }

 private:
  Function function_;
};

}  // namespace detail

template <class Stages, class Network, class Door = door> class plan : public any_plan {
  struct parts {
    Stages stages;
    Network network;
  };

 public:
  using code = compiled<Stages>;

  /// Levels from noisy to clean, or (for encoding) from clean to noisy; throws tweedie::error where
  /// a number of a step is not finite. `between` answers for the levels between those.
  plan(Stages stages, Network net, std::vector<level> levels, path between = {})
      : plan(std::make_shared<parts const>(parts{std::move(stages), std::move(net)}),
             std::move(levels), std::move(between)) {}

  Stages const& stages() const { return parts_->stages; }
  Network const& network() const { return parts_->network; }

  /// Calls f(program, structure, numbers) with the program of a row, what it is for, and its
  /// numbers in double.
  template <class F> void visit(row const& r, F&& f) const {
    visit(r, f, typename code::structures{}, typename code::programs{});
  }

  /// The same plan entered at step k: the levels from there on, histories empty.
  plan from(std::size_t k) const {
    if (k >= steps())
      throw error(fmt::format("step {} was asked for, the plan has steps 0 to {}", k, steps() - 1));
    return {parts_, {levels().begin() + static_cast<std::ptrdiff_t>(k), levels().end()}, between_};
  }

 private:
  plan(std::shared_ptr<parts const> of, std::vector<level> levels, path between)
      : any_plan(build_plan(forget_stages(of, of->stages),
                            forget_network(detail::owner(of, &of->network), of->network),
                            std::move(levels), between, detail::codes_of(typename code::starts{}),
                            structures_of(typename code::structures{}, typename code::programs{}),
                            inlined_in(of->network, typename code::programs{}))),
        parts_(std::move(of)),
        between_(std::move(between)) {}

  /// Each program with the network before it, if the network is inlined.
  template <class... P> static std::vector<any_inlined> inlined_in(Network const& net, list<P...>) {
    if constexpr (networks::is_inlined<Network>) {
      networks::detail::refuse_variance(code::learns_variance);
      using function = std::remove_cvref_t<decltype(net.function)>;
      return {std::make_shared<detail::compiled_evaluation<P, function, Door>>(net.function)...};
    } else return {};
  }

  template <class... S, class... P>
  static std::span<declared_structure const> structures_of(list<S...>, list<P...>) {
    static declared_structure const all[]{{detail::compiled_once<P, Door>, &S::kind::name,
                                           S::evaluation, static_cast<bool>(S::guided)}...};
    return all;
  }

  template <class F, class... S, class... P>
  void visit(row const& r, F& f, list<S...>, list<P...>) const {
    std::size_t i = 0;
    ((i++ == r.structure ? f(P{}, S{}, numbers(r)) : void()), ...);
  }

  std::shared_ptr<parts const> parts_;
  path between_;
};

}  // namespace tweedie
