// Explicit Runge-Kutta methods as data (Butcher 1964).
//
//   k_i = f(rho + c_i h, u + h sum_{j < i} a_ij k_j),  u' = u + h sum_i b_i k_i
//
// A tableau is a type, since which coefficients are 0 shapes the kernels: `stages`, `order`, `c`,
// `a` (row i has i entries, the rest is 0) and `b`. A pair has `b_low` besides, the weights of the
// solution of order `low_order` that its error is estimated with: h sum_i (b_i - b_low_i) k_i.
#pragma once

namespace tweedie::tableaux {

/// Euler 1768.
struct euler {
  static constexpr int stages = 1, order = 1;
  static constexpr double c[stages] = {0};
  static constexpr double a[stages][stages] = {{0}};
  static constexpr double b[stages] = {1};
};

/// The midpoint rule, Runge 1895.
struct midpoint {
  static constexpr int stages = 2, order = 2;
  static constexpr double c[stages] = {0, 1. / 2};
  static constexpr double a[stages][stages] = {{}, {1. / 2}};
  static constexpr double b[stages] = {0, 1};
};

/// The trapezoidal rule with Euler's predictor, Heun 1900: samplers::heun.
struct heun {
  static constexpr int stages = 2, order = 2;
  static constexpr double c[stages] = {0, 1};
  static constexpr double a[stages][stages] = {{}, {1}};
  static constexpr double b[stages] = {1. / 2, 1. / 2};
};

/// Ralston 1962, "Runge-Kutta methods with minimum error bounds", second order.
struct ralston {
  static constexpr int stages = 2, order = 2;
  static constexpr double c[stages] = {0, 2. / 3};
  static constexpr double a[stages][stages] = {{}, {2. / 3}};
  static constexpr double b[stages] = {1. / 4, 3. / 4};
};

/// Kutta 1901, third order.
struct kutta_3 {
  static constexpr int stages = 3, order = 3;
  static constexpr double c[stages] = {0, 1. / 2, 1};
  static constexpr double a[stages][stages] = {{}, {1. / 2}, {-1, 2}};
  static constexpr double b[stages] = {1. / 6, 2. / 3, 1. / 6};
};

/// Kutta 1901, fourth order: "the" Runge-Kutta method.
struct rk4 {
  static constexpr int stages = 4, order = 4;
  static constexpr double c[stages] = {0, 1. / 2, 1. / 2, 1};
  static constexpr double a[stages][stages] = {{}, {1. / 2}, {0, 1. / 2}, {0, 0, 1}};
  static constexpr double b[stages] = {1. / 6, 1. / 3, 1. / 3, 1. / 6};
};

/// Bogacki & Shampine 1989, "A 3(2) pair of Runge-Kutta formulas".
struct bogacki_shampine {
  static constexpr int stages = 4, order = 3, low_order = 2;
  static constexpr double c[stages] = {0, 1. / 2, 3. / 4, 1};
  static constexpr double a[stages][stages] = {{}, {1. / 2}, {0, 3. / 4}, {2. / 9, 1. / 3, 4. / 9}};
  static constexpr double b[stages] = {2. / 9, 1. / 3, 4. / 9, 0};
  static constexpr double b_low[stages] = {7. / 24, 1. / 4, 1. / 3, 1. / 8};
};

/// Dormand & Prince 1980, "A family of embedded Runge-Kutta formulae", RK5(4)7M.
struct dormand_prince {
  static constexpr int stages = 7, order = 5, low_order = 4;
  static constexpr double c[stages] = {0, 1. / 5, 3. / 10, 4. / 5, 8. / 9, 1, 1};
  static constexpr double a[stages][stages] = {
      {},
      {1. / 5},
      {3. / 40, 9. / 40},
      {44. / 45, -56. / 15, 32. / 9},
      {19372. / 6561, -25360. / 2187, 64448. / 6561, -212. / 729},
      {9017. / 3168, -355. / 33, 46732. / 5247, 49. / 176, -5103. / 18656},
      {35. / 384, 0, 500. / 1113, 125. / 192, -2187. / 6784, 11. / 84}};
  static constexpr double b[stages] = {35. / 384, 0, 500. / 1113, 125. / 192, -2187. / 6784,
                                       11. / 84,  0};
  static constexpr double b_low[stages] = {5179. / 57600,    0,           7571. / 16695, 393. / 640,
                                           -92097. / 339200, 187. / 2100, 1. / 40};
};

/// Whether the last slope is the first one of the next step: "first same as last". Its weight in b
/// is then 0, and a step that keeps it needs one evaluation less.
template <class Tableau> constexpr bool first_same_as_last() {
  for (int j = 0; j < Tableau::stages; ++j)
    if (Tableau::a[Tableau::stages - 1][j] != Tableau::b[j]) return false;
  return Tableau::c[Tableau::stages - 1] == 1;
}

/// The weights of a pair's error estimate, b_i - b_low_i.
template <class Tableau> constexpr double error_weight(int i) {
  return Tableau::b[i] - Tableau::b_low[i];
}

}  // namespace tweedie::tableaux
