// Numbers made of a whole sample, as the language knows them: names, arguments and parameters. What
// they compute is in dsl/kernel/reduce.hpp.
//
//                    rows    parameters   value
//   dot              a, b                 sum a_i b_i
//   norm             a                    sqrt(sum a_i^2), which overflows from |a| = 1.8e19 on
//   mean             a                    sum a_i / n
//   deviation        a                    sqrt(sum (a_i - mean)^2 / (n - 1)), or 0 where n = 1
//   quantile_of_abs  a       p, rest      the (p + rest)-quantile of |a_i|, linear between ranks
#pragma once

#include <cstddef>

namespace tweedie::reductions {

/// `Parameters` floats that it takes, `Arguments` rows that it reads.
template <std::size_t Parameters, std::size_t Arguments> struct reduction {
  static constexpr std::size_t parameters = Parameters;
  static constexpr std::size_t arguments = Arguments;
};

struct dot : reduction<0, 2> {
  static constexpr char const* name = "dot";
};
struct norm : reduction<0, 1> {
  static constexpr char const* name = "norm";
};
struct mean : reduction<0, 1> {
  static constexpr char const* name = "mean";
};
struct deviation : reduction<0, 1> {
  static constexpr char const* name = "deviation";
};
struct quantile_of_abs : reduction<2, 1> {
  static constexpr char const* name = "quantile_of_abs";
};

}  // namespace tweedie::reductions
