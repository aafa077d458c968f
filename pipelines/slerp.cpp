#include <tweedie/pipelines/slerp.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tweedie/dsl/base/error.hpp>

namespace tweedie {

namespace {

/// One sample, all sums in double; `to` may be one of the two.
void slerp_sample(std::span<float const> a, std::span<float const> b, double w, float* to) {
  double dot = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    double const p = a[i], q = b[i];
    dot += p * q;
    aa += p * p;
    bb += q * q;
  }
  double const theta = std::acos(std::clamp(dot / std::sqrt(aa * bb), -1.0, 1.0));
  double u = 1 - w, v = w;
  // Below this angle the two differ by less than a float's last bit; a zero has no angle.
  if (std::sin(theta) > 1e-4) {
    u = std::sin((1 - w) * theta) / std::sin(theta);
    v = std::sin(w * theta) / std::sin(theta);
  }
  for (std::size_t i = 0; i < a.size(); ++i) to[i] = static_cast<float>(u * a[i] + v * b[i]);
}

void check_weight(double w) {
  if (!std::isfinite(w))
    throw error(fmt::format("slerp: a weight of {} was given, expected a finite one", w));
}

}  // namespace

images slerp(images const& a, images const& b, double w) {
  check_weight(w);
  std::size_t const n = detail::product_of(a.shape);
  if (a.shape != b.shape || a.shape.empty() || a.data.size() != n || b.data.size() != n)
    throw error(fmt::format(
        "slerp: samples of shape {{{}}} with {} values and of shape {{{}}} with {} values were "
        "given, expected two of one shape",
        fmt::join(a.shape, ", "), a.data.size(), fmt::join(b.shape, ", "), b.data.size()));
  images r = a;
  for (std::size_t i = 0; i < a.count(); ++i)
    slerp_sample(a[i], b[i], w, r.data.data() + i * a[i].size());
  return r;
}

state slerp(state const& a, state const& b, double w) {
  check_weight(w);
  if (a.shape != b.shape || a.samples != b.samples || a.x.size() != b.x.size())
    throw error(fmt::format(
        "slerp: states of {} samples of shape {{{}}} and of {} samples of shape {{{}}} were "
        "given, expected two of one shape",
        a.samples, fmt::join(a.shape, ", "), b.samples, fmt::join(b.shape, ", ")));
  if (a.plan != b.plan || a.evaluated != b.evaluated)
    throw error(
        fmt::format("slerp: states of {} after {} and after {} evaluations were given, expected "
                    "two of one plan "
                    "at one level",
                    a.plan == b.plan ? "one plan" : "two plans", a.evaluated, b.evaluated));
  if (a.where.on_device() || b.where.on_device())
    return moved(slerp(moved(a, {}), moved(b, {}), w), a.where);
  state r = a;
  for (std::size_t i = 0; i < a.samples; ++i)
    slerp_sample({a.x.data() + i * a.pitch, a.elements}, {b.x.data() + i * b.pitch, b.elements}, w,
                 r.x.data() + i * r.pitch);
  return r;
}

}  // namespace tweedie
