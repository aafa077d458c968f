// A conditional network asked without its condition.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <tweedie/dsl/base/same.hpp>
#include <tweedie/dsl/language/batch.hpp>
#include <tweedie/dsl/language/composition.hpp>
#include <tweedie/dsl/language/hooks.hpp>

namespace tweedie::networks {

/// `networks::unconditional{network}`: the labels and other conditions are for others, such as a
/// classifier's gradient.
template <class Network> struct unconditional {
  using kind = kinds::network;
  /// A network that says so takes part in no guidance of two branches.
  static constexpr bool is_conditional = false;
  using prediction = typename tweedie::detail::prediction_of<Network>::type;
  Network network;
  friend bool operator==(unconditional const& a, unconditional const& b) requires(
      tweedie::detail::can_be_compared<Network>) {
    return tweedie::detail::same_value(a.network, b.network);
  }
  friend bool operator==(unconditional const& u, std::nullptr_t) {
    return tweedie::detail::calls_nothing(u.network);
  }
  std::string predicted() const { return tweedie::detail::name_of_predicted(network); }
  auto trained_on() const requires(tweedie::detail::names_schedule<Network>) {
    return network.trained_on();
  }
  constexpr device_use on_devices() const { return device_use_of(network); }
  void check(std::span<std::size_t const> shape, std::span<int const> labels, int branches) const {
    std::vector<int> const none(labels.size(), no_label);
    tweedie::detail::check_request(network, shape, none, branches);
  }
  void operator()(batch b) const {
    b.labels = b.device_labels = nullptr;
    b.arrays = {};
    network(std::as_const(b));
  }
};
template <class Network> unconditional(Network) -> unconditional<Network>;

}  // namespace tweedie::networks
