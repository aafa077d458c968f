// A fused program as formulas with their numbers:  x = 0.98 x - 0.12 out<0> + 0.05 noise
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include <tweedie/dsl/program.hpp>

namespace tweedie {

namespace detail {

inline std::string to_text(double c, std::string const& symbol, bool leading) {
  char const* sign = c < 0 ? (leading ? "-" : " - ") : (leading ? "" : " + ");
  double const size = std::abs(c);
  return size == 1 ? fmt::format("{}{}", sign, symbol)
                   : fmt::format("{}{:.6g} {}", sign, size, symbol);
}

template <class... S> std::string sum_text(list<S...>, double const*& c) {
  std::string r;
  ((r += to_text(*c++, S::name(), r.empty())), ...);
  return r;
}

template <class Target, class... S> std::string line_text(sum<Target, S...>, double const*& c) {
  return fmt::format("{} = {}", Target::name(), sum_text(list<S...>{}, c));
}
template <class Target, class F, class... Sums>
std::string line_text(node<Target, F, Sums...>, double const*& c) {
  std::string parameters, arguments;
  if constexpr (requires { F::opaque; }) c += F::parameters;
  else
    for (std::size_t i = 0; i < F::parameters; ++i) parameters += fmt::format(", {:.6g}", *c++);
  (arguments.append(arguments.empty() ? "" : ", ").append(sum_text(typename Sums::terms{}, c)),
   ...);
  return fmt::format("{} = {}({}{})", Target::name(), F::name, arguments, parameters);
}

template <class... Line>
void append_lines(list<Line...>, double const*& c, std::string const& indent, std::string& to) {
  (to.append(indent).append(line_text(Line{}, c)).append("\n"), ...);
}

template <class... S> std::string names(list<S...>) {
  std::string r;
  (r.append(r.empty() ? "" : " ").append(S::name()), ...);
  return r.empty() ? "nothing" : r;
}
template <class... W> std::string targets(list<W...>) {
  return names(list<typename W::target...>{});
}

}  // namespace detail

namespace detail {

template <class Program>
void append_program(Program, double const*& c, std::string const& indent, std::string& to) {
  append_lines(typename Program::uniform_list{}, c, indent, to);
  append_lines(typename Program::node_list{}, c, indent, to);
  append_lines(typename Program::write_list{}, c, indent, to);
}

template <class T, class R, class... S>
std::string reduction_text(reduction_over<T, R, S...>, double const*& c) {
  std::string parameters;
  for (std::size_t i = 0; i < R::parameters; ++i) parameters += fmt::format(", {:.6g}", *c++);
  return fmt::format("{} = {}({}{}) over each sample", T::name(), R::name, names(list<S...>{}),
                     parameters);
}
template <class... One>
void append_reductions(list<One...>, double const*& c, std::string const& indent, std::string& to) {
  (to.append(indent).append(reduction_text(One{}, c)).append("\n"), ...);
}
template <class... P, class... R>
void append_program(phased<list<P...>, list<R...>>, double const*& c, std::string const& indent,
                    std::string& to) {
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    auto const phase = [&]<std::size_t K>(std::integral_constant<std::size_t, K>) {
      using program = std::tuple_element_t<K, std::tuple<P...>>;
      append_program(program{}, c, indent, to);
      if constexpr (K < sizeof...(R))
        append_reductions(std::tuple_element_t<K, std::tuple<R...>>{}, c, indent, to);
    };
    (phase(std::integral_constant<std::size_t, I>{}), ...);
  }
  (std::index_sequence_for<P...>{});
}

template <class... R, class... M> auto all_read(list<R...>, list<M...>) -> list<R..., M...>;

}  // namespace detail

/// The lines of a program in the order they are computed, each with `indent` before it.
template <class Program>
std::string formulas(Program p, std::span<double const> numbers, std::string const& indent = "") {
  std::string r;
  double const* c = numbers.data();
  detail::append_program(p, c, indent, r);
  return r;
}

/// What a program does to memory and to the generator: "reads x out<0>, writes x, draws noise, 12
/// bytes per element".
template <class Program> std::string traffic(Program) {
  using namespace detail;
  return fmt::format(
      "reads {}, writes {}, {}, {} bytes per element",
      names(decltype(all_read(typename Program::read_list{}, typename Program::mask_list{})){}),
      targets(typename Program::write_list{}),
      Program::deterministic ? "no noise"
                             : fmt::format("draws {}", names(typename Program::noise_list{})),
      Program::bytes_per_element);
}
template <class... P, class... R> std::string traffic(phased<list<P...>, list<R...>>) {
  std::string r;
  int i = 0;
  ((r += fmt::format("{}kernel {}: {}", i ? "; " : "", i + 1, traffic(P{})), ++i), ...);
  return r;
}

}  // namespace tweedie
