// From types to flat values, and from the flat program back to the types that a kernel is made of.
//
// Who calls `fuse` of a node also includes dsl/kernel/bodies.hpp, as dsl/device/launch.hpp and the
// pipelines do.
#pragma once

#include <array>
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>

#include <tweedie/dsl/language/expression.hpp>
#include <tweedie/dsl/language/statement.hpp>
#include <tweedie/dsl/lowering/lower.hpp>

namespace tweedie::lowering {

// ---- Formulas with their numbers, as they are written, into an ir ----

template <symbol... S> constexpr range put(ir& p, form<S...> const& f) {
  int const first = p.terms.size;
  int i = 0;
  (p.terms.add({f.c[static_cast<std::size_t>(i++)], S::id}), ...);
  return {first, p.terms.size};
}
constexpr range put(ir& p, form<> const&) { return {p.terms.size, p.terms.size}; }
template <symbol S> constexpr range put(ir& p, S) { return put(p, form<S>{{1.0}}); }

template <symbol... S> constexpr void fill(ir& p, int at, form<S...> const& f) {
  p.expressions[at].terms = put(p, f);
}
template <symbol S> constexpr void fill(ir& p, int at, S s) { p.expressions[at].terms = put(p, s); }
// Declared before either is defined: an argument may be a node itself.
template <class F, class... A> constexpr void fill(ir& p, int at, pointwise_node<F, A...> const& n);
template <class R, class... A> constexpr void fill(ir& p, int at, reduction_node<R, A...> const& n);

template <class Node> constexpr void fill_parts(ir& p, int at, Node const& n) {
  int const parameters = p.parameters.size;
  for (double one : n.parameters) p.parameters.add(one);
  p.expressions[at].parameters = {parameters, p.parameters.size};
  constexpr int count = static_cast<int>(std::tuple_size_v<decltype(n.arguments)>);
  int const first = p.expressions.size;
  for (int i = 0; i < count; ++i) p.expressions.add({});
  p.expressions[at].arguments = {first, p.expressions.size};
  if (p.expressions.full) return;
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (fill(p, first + static_cast<int>(I), std::get<I>(n.arguments)), ...);
  }
  (std::make_index_sequence<static_cast<std::size_t>(count)>{});
}
template <class F, class... A>
constexpr void fill(ir& p, int at, pointwise_node<F, A...> const& n) {
  p.expressions[at].by = operation::of(detail::function_of<F, sizeof...(A)>, p.operations++);
  fill_parts(p, at, n);
}
template <class R, class... A>
constexpr void fill(ir& p, int at, reduction_node<R, A...> const& n) {
  p.expressions[at].by = operation::of(detail::reduction_of_type<R>, p.operations++);
  fill_parts(p, at, n);
}
/// The place of an expression.
template <class E> constexpr int put_expression(ir& p, E const& e) {
  int const at = p.expressions.add({});
  if (!p.expressions.full) fill(p, at, e);
  return at;
}

template <class Target, class V> constexpr statement put(ir& p, assignment<Target, V> const& s) {
  return {Target::id, put_expression(p, s.value)};
}
template <class... S> constexpr void put_all(ir& p, std::tuple<S...> const& from, statements& to) {
  bool arrived = false;
  statements after;
  auto const one = [&]<class T>(T const& s) {
    if constexpr (!std::is_same_v<T, detail::arrival>) (arrived ? after : to).add(put(p, s));
    else {
      if (arrived) then(p, to, after);
      arrived = true;
      after = {};
    }
  };
  [&]<std::size_t... I>(std::index_sequence<I...>) { (one(std::get<I>(from)), ...); }
  (std::index_sequence_for<S...>{});
  if (arrived) then(p, to, after);
}

/// What a stage answers. In a constant expression, where stages are not constexpr, a value of the
/// same type: its numbers are 0, and `stage` may be null.
template <class Stage, class Ask> constexpr auto answer_of(Stage const* stage, Ask ask) {
  if (std::is_constant_evaluated()) return std::remove_cvref_t<decltype(ask(*stage))>{};
  else return ask(*stage);
}
/// A level at which nothing is divided by 0, for constant expressions.
inline constexpr level any_level{.t = 1, .sigma = 1, .dalpha = 1, .dsigma = 1};

template <class P> constexpr prediction_formulas put_prediction(ir& p, P const* stage, level t) {
  range const x0 = put(p, answer_of(stage, [&](P const& s) { return s.x0_of(t); }));
  range const eps = put(p, answer_of(stage, [&](P const& s) { return s.eps_of(t); }));
  return {x0, eps};
}

// ---- Symbols and functions by their values ----

// What the stages answer is in no program, and has no type here.
template <sym::word W, int K> constexpr auto type_of_symbol() {
  if constexpr (W == sym::word::x) return sym::x{};
  else if constexpr (W == sym::word::out) return sym::out<K>{};
  else if constexpr (W == sym::word::known) return sym::known{};
  else if constexpr (W == sym::word::grad) return sym::grad{};
  else if constexpr (W == sym::word::mask) return sym::mask{};
  else if constexpr (W == sym::word::out_variance) return sym::out_variance{};
  else if constexpr (W == sym::word::memory) return sym::memory<K>{};
  else if constexpr (W == sym::word::given_noise) return sym::given_noise<K>{};
  else if constexpr (W == sym::word::per_sample) return sym::per_sample<K>{};
  else if constexpr (W == sym::word::past_x0) return sym::past_x0<K>{};
  else if constexpr (W == sym::word::past_eps) return sym::past_eps<K>{};
  else if constexpr (W == sym::word::keep) return sym::keep<K>{};
  else if constexpr (W == sym::word::thresholded) return sym::thresholded{};
  else if constexpr (W == sym::word::guided_raw) return sym::guided_raw{};
  else if constexpr (W == sym::word::guided_x0) return sym::guided_x0{};
  else if constexpr (W == sym::word::guided_eps) return sym::guided_eps{};
  else if constexpr (W == sym::word::arrived) return sym::arrived<K>{};
  else if constexpr (W == sym::word::let) return sym::let<K>{};
  else if constexpr (W == sym::word::nameless) return sym::nameless<K>{};
  else if constexpr (W == sym::word::reduced) return sym::reduced<K>{};
  else if constexpr (W == sym::word::target) return sym::target{};
  else if constexpr (W == sym::word::scratch) return sym::scratch<K>{};
  else if constexpr (W == sym::word::net_in) return sym::net_in<K>{};
  else if constexpr (W == sym::word::noise_stream) return sym::noise_stream<K>{};
  else static_assert(W != W, "a word of programs without a type: name it here");
}
template <sym::word W, int K> using symbol_at = decltype(type_of_symbol<W, K>());

/// The functions and reductions that a formula's type names, in the order in which they are put.
template <class T> struct functions_in { using type = list<>; };
template <class F, class... A> struct functions_in<pointwise_node<F, A...>> {
  using type = decltype(detail::concat(list<F>{}, typename functions_in<A>::type{}...));
};
template <class R, class... A> struct functions_in<reduction_node<R, A...>> {
  using type = decltype(detail::concat(list<R>{}, typename functions_in<A>::type{}...));
};
template <class T, class V> struct functions_in<assignment<T, V>> : functions_in<V> {};
template <class... S> struct functions_in<std::tuple<S...>> {
  using type = decltype(detail::concat(typename functions_in<S>::type{}...));
};
template <class V> using functions_of = typename functions_in<std::remove_cvref_t<V>>::type;

template <int I, class List> struct nth;
template <int I, class First, class... Rest>
struct nth<I, list<First, Rest...>> : nth<I - 1, list<Rest...>> {};
template <class First, class... Rest> struct nth<0, list<First, Rest...>> { using type = First; };

// ---- Back to types ----

/// What buffers hold if nobody says otherwise.
struct floats {
  template <class S> using of = float;
};

/// Says what is wrong with the program at `P`: in a function, for a class with a failed assertion
/// has no members for clang++, which says that too.
template <auto const& P> auto check_fits() {
  constexpr limit full = P.exceeded;
  static_assert(full != limit::statements,
                "an evaluation has more in it than fits: 160 statements are the most");
  static_assert(full != limit::expressions,
                "an evaluation has more in it than fits: 400 expressions are the most");
  static_assert(
      full != limit::parameters,
      "an evaluation has more in it than fits: 1000 parameters of functions are the most");
  static_assert(full != limit::terms,
                "an evaluation has more in it than fits: 6000 terms of sums are the most");
  static_assert(full != limit::sums,
                "an evaluation has more in it than fits: 600 sums are the most");
  static_assert(full != limit::lines,
                "an evaluation has more in it than fits: 200 lines are the most");
  static_assert(full != limit::symbols,
                "an evaluation has more in it than fits: 400 symbols in a kernel are the most");
  static_assert(full != limit::kernels,
                "an evaluation has more in it than fits: 21 kernels are the most");
  static_assert(!P.assigns_twice, "a step assigns each symbol once, this one assigns one twice");
  return 0;
}

/// The types of the program at `P`; `Functions` are in the order in which they were put, the first
/// is that of a form under a name. A buffer holds what `Storage::of<Symbol>` says.
template <auto const& P, class Functions, class Storage = floats> struct typed {
  using checked = decltype(check_fits<P>());
  template <int N> using count = std::make_integer_sequence<int, N>;
  template <int I> using symbol_number = symbol_at<P.symbols[I].is, P.symbols[I].index>;
  template <int L> using target_of = symbol_at<P.lines[L].target.is, P.lines[L].target.index>;

  template <template <class...> class To, int First, class... Before, int... I>
  static auto symbols_in(std::integer_sequence<int, I...>)
      -> To<Before..., symbol_number<First + I>...>;
  /// To<Before..., the symbols of a range...>
  template <template <class...> class To, int First, int End, class... Before>
  using symbols = decltype(symbols_in<To, First, Before...>(count<End - First>{}));

  /// A symbol with what its buffer holds.
  template <class S>
  using in_memory = std::conditional_t<std::is_same_v<typename Storage::template of<S>, float>, S,
                                       as<S, typename Storage::template of<S>>>;
  template <class... S> static auto all_in_memory(list<S...>) -> list<in_memory<S>...>;

  template <int L> using function_of = typename nth<P.lines[L].by.number, Functions>::type;
  template <int S, class Target>
  using sum_of = symbols<sum, P.sums[S].first, P.sums[S].end, Target>;

  template <int L, int First, int... I>
  static auto node_in(std::integer_sequence<int, I...>)
      -> node<target_of<L>, function_of<L>, sum_of<First + I, target_of<L>>...>;
  template <int L, int First, int... I>
  static auto reduction_in(std::integer_sequence<int, I...>)
      -> reduction_over<target_of<L>, function_of<L>, symbol_number<P.sums[First + I].first>...>;
  template <int L> static auto line_at() {
    constexpr int first = P.lines[L].sums.first, n = P.lines[L].sums.size();
    if constexpr (P.lines[L].by.reduces()) return decltype(reduction_in<L, first>(count<n>{})){};
    else if constexpr (P.lines[L].by.computes()) return decltype(node_in<L, first>(count<n>{})){};
    else return sum_of<first, in_memory<target_of<L>>>{};
  }
  template <int First, int... I>
  static auto lines_in(std::integer_sequence<int, I...>) -> list<decltype(line_at<First + I>())...>;
  template <int First, int End> using lines = decltype(lines_in<First>(count<End - First>{}));

  template <int K> struct kernel_at {
    static constexpr kernel k = P.kernels[K];
    using type = program<decltype(all_in_memory(symbols<list, k.reads.first, k.reads.end>{})),
                         symbols<list, k.noises.first, k.noises.end>,
                         lines<k.nodes.first, k.nodes.end>, lines<k.writes.first, k.writes.end>,
                         besides<symbols<list, k.masks.first, k.masks.end>,
                                 symbols<list, k.scalars.first, k.scalars.end>,
                                 lines<k.uniform.first, k.uniform.end>>>;
    using reductions = lines<k.reductions.first, k.reductions.end>;
  };
  template <int... K> static auto program_in(std::integer_sequence<int, K...>) {
    if constexpr (P.exceeded != limit::none)
      return program<list<>, list<>, list<>, list<>>{};  // the sentence is enough
    else if constexpr (sizeof...(K) == 0) return typename kernel_at<0>::type{};
    else
      return phased<list<typename kernel_at<K>::type..., typename kernel_at<sizeof...(K)>::type>,
                    list<typename kernel_at<K>::reductions...>>{};
  }
  using type = decltype(program_in(count<P.kernels.size - 1>{}));
};

}  // namespace tweedie::lowering

namespace tweedie {

/// A program with its numbers, in double.
template <class Program> struct fused {
  using type = Program;
  std::array<double, Program::coefficients> c{};
};

namespace lowering {

/// What formulas compile to. `Formulas{}.lower(ir&)` puts them into an ir by their types alone, in
/// a constant expression; one that holds stages and levels does so with their numbers.
/// `Formulas::functions` are those that it puts.
template <class Formulas, class Storage = floats> struct lowered {
  static constexpr program_value value = [] {
    ir p;
    Formulas{}.lower(p);
    return assemble(p);
  }();
  using functions =
      decltype(detail::concat(list<functions::same>{}, typename Formulas::functions{}));
  using program = typename typed<value, functions, Storage>::type;

  static fused<program> with_numbers(Formulas const& formulas) {
    fused<program> r;
    ir p;
    formulas.lower(p);
    auto to = r.c.begin();
    assemble(p, [&](double c) { *to++ = c; });
    return r;
  }
};

struct no_prediction {};

/// Statements in which x0 and eps are what a prediction, or something like one, says.
template <class P, class Statements> struct predicted {
  P const* predicts = nullptr;
  level t = any_level;
  Statements from = {};
  using functions = functions_of<Statements>;
  constexpr void lower(ir& p) const {
    stage_formulas s;
    s.t = t;
    if constexpr (!std::is_same_v<P, no_prediction>) s.predicts.add(put_prediction(p, predicts, t));
    statements all;
    put_all(p, from, all);
    lower_evaluation(p, s, all);
  }
};

}  // namespace lowering

/// The kernel of the statements of one evaluation: std::tuple{x = ..., keep<0> = ...}, in which x0
/// and eps are what `predicts` says at t.
template <class P, class Statements>
auto fuse(P const& predicts, level t, Statements const& statements) {
  return lowering::lowered<lowering::predicted<P, Statements>>::with_numbers(
      {&predicts, t, statements});
}

namespace lowering {

/// The numbers of statements of buffers and noise alone: each is a sum of some of those that are
/// written, and the compiler finds out of which.
template <class Statements> struct gathered {
  using program = typename lowered<predicted<no_prediction, Statements>>::program;
  static constexpr std::size_t size = program::coefficients;
  static constexpr std::size_t most = 52;  ///< bits that a double holds

  /// A bit for each term in the order written, the first for 1; a parameter is below 0.
  struct sources {
    std::array<double, size> of{};
    std::size_t terms = 0, parameters = 0;
    bool answered = false;  ///< one is of what a pipeline's stages answer, which are not there
  };
  static constexpr sources found = [] {
    ir p;
    statements all;
    put_all(p, Statements{}, all);
    sources r;
    r.terms = static_cast<std::size_t>(p.terms.size);
    r.parameters = static_cast<std::size_t>(p.parameters.size);
    for (term const& one : p.terms) r.answered = r.answered || one.symbol.is_answered();
    double bit = 1;
    for (int i = 0; i < p.terms.size && i < static_cast<int>(most); ++i) p.terms[i].c = bit *= 2;
    for (int i = 0; i < p.parameters.size; ++i) p.parameters[i] = -1 - i;
    stage_formulas none;
    none.t = any_level;
    lower_evaluation(p, none, all);
    std::size_t n = 0;
    assemble(p, [&](double c) {
      if (n < size) r.of[n++] = c;
    });
    return r;
  }();

  static fused<program> from(Statements const& written) {
    ir p;
    statements all;
    put_all(p, written, all);
    std::array<double, found.terms + found.parameters + 1> numbers{};
    for (std::size_t i = 0; i != found.terms; ++i) numbers[i] = p.terms[static_cast<int>(i)].c;
    for (std::size_t i = 0; i != found.parameters; ++i)
      numbers[found.terms + i] = p.parameters[static_cast<int>(i)];
    fused<program> r;
    for (std::size_t i = 0; i != size; ++i)
      if (found.of[i] < 0)
        r.c[i] = numbers[found.terms + static_cast<std::size_t>(-1 - found.of[i])];
      else {
        auto bits = static_cast<std::uint64_t>(found.of[i]);
        if (bits & 1) r.c[i] = 1;
        for (std::size_t k = 0; bits >>= 1; ++k)
          if (bits & 1) r.c[i] += numbers[k];
      }
    return r;
  }
};

}  // namespace lowering

/// The same of buffers and noise alone.
template <class Statements> auto fuse(Statements const& statements) {
  using gathered = lowering::gathered<Statements>;
  if constexpr (gathered::found.terms < gathered::most) return gathered::from(statements);
  else return fuse(lowering::no_prediction{}, level{}, statements);
}

}  // namespace tweedie
