// The language beyond linear forms: functions of an element, reductions over a sample, masks,
// numbers a sample, what follows a step, what the network sees, 16-bit buffers, the caller's noise.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <tweedie/pipelines/explain.hpp>
#include <tweedie/pipelines/noise_from.hpp>
#include <tweedie/pipelines/plan_builder.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/heun.hpp>

#include "laws_common.hpp"

using namespace laws;
using namespace tweedie::symbols;

namespace {

/// Two samples of seven elements in rows of eight: the padding holds what no reduction may see.
struct two_rows {
  alignas(64) float x[16], known[16];
  two_rows() {
    for (int i = 0; i < 16; ++i) {
      bool const padding = i % 8 == 7;
      x[i] = padding ? 1000.0f : 0.25f * static_cast<float>(i) - 1.5f;
      known[i] = padding ? -1000.0f : 1.0f / (1.0f + static_cast<float>(i));
    }
  }
  rows layout() const { return {.count = 2, .pitch = 8, .elements = 7}; }
  auto where() { return bindings{bind(symbols::x, x), bind(symbols::known, known)}; }
};

template <class F> void each_value(F f) {
  for (std::size_t row = 0; row < 2; ++row)
    for (std::size_t i = 0; i < 7; ++i) f(row, i, row * 8 + i);
}

double std_of(float const* a, std::size_t n) {
  double m = 0, v = 0;
  for (std::size_t i = 0; i < n; ++i) m += static_cast<double>(a[i]) / static_cast<double>(n);
  for (std::size_t i = 0; i < n; ++i) v += std::pow(static_cast<double>(a[i]) - m, 2);
  return std::sqrt(v / static_cast<double>(n - 1));
}

bool close(double a, double b, double bound = 1e-6) { return std::abs(a - b) <= bound; }

struct multiple {  // of one byte
  std::int8_t times;
  TWEEDIE_HD float operator()(float a) const { return static_cast<float>(times) * a; }
};
struct signed_by {
  TWEEDIE_HD float operator()(float a, float b) const { return a > b ? a : -b; }
};
struct between {
  static constexpr std::size_t parameters = 2;
  static constexpr char const* name = "between";
  TWEEDIE_HD static float apply(float const* p, float const* a) {
    return std::fma(p[0], a[0], p[1] * a[1]);
  }
};
struct affine {  // a function with numbers of its own
  float gain, shift;
  TWEEDIE_HD float operator()(float a) const { return gain * a + shift; }
};

}  // namespace

BOOST_AUTO_TEST_CASE(functions_of_an_element) {
  two_rows now;
  two_rows const was;
  alignas(64) float kept[2][16];
  launch(step(x = exp(0.5 * x), let<0> = product(x, known), keep<0> = sqrt(clamp(known, 0, 9)),
              keep<1> = pointwise(signed_by{}, x, let<0>)),
         bindings{bind(x, now.x), bind(known, now.known), bind(keep<0>, kept[0]),
                  bind(keep<1>, kept[1])},
         now.layout());
  each_value([&](std::size_t, std::size_t, std::size_t k) {
    double const a = static_cast<double>(was.x[k]), b = static_cast<double>(was.known[k]);
    BOOST_TEST(close(static_cast<double>(now.x[k]), std::exp(0.5 * a)));
    BOOST_TEST(close(static_cast<double>(kept[0][k]), std::sqrt(b)));
    BOOST_TEST(close(static_cast<double>(kept[1][k]), a > a * b ? a : -a * b));
  });
}

BOOST_AUTO_TEST_CASE(a_function_of_ones_own_with_numbers) {
  two_rows now;
  two_rows const was;
  launch(step(x = pointwise(affine{3, 0.1f}, 2 * x - known)), now.where(), now.layout());
  each_value([&](std::size_t, std::size_t, std::size_t k) {
    double const a = 2 * static_cast<double>(was.x[k]) - static_cast<double>(was.known[k]);
    BOOST_TEST(close(static_cast<double>(now.x[k]), 3 * a + static_cast<double>(0.1f), 4e-6));
  });
  two_rows small;
  launch(step(x = pointwise(multiple{-3}, x)), small.where(), small.layout());
  each_value(
      [&](std::size_t, std::size_t, std::size_t k) { BOOST_TEST(small.x[k] == -3 * was.x[k]); });
}

BOOST_AUTO_TEST_CASE(a_function_of_ones_own_whose_numbers_are_told) {
  two_rows now;
  two_rows const was;
  launch(step(x = pointwise<between>({0.25, 2}, x, known)), now.where(), now.layout());
  each_value([&](std::size_t, std::size_t, std::size_t k) {
    BOOST_TEST(now.x[k] == std::fma(0.25f, was.x[k], 2 * was.known[k]));
  });
  // Compiled and followed term by term, with numbers that change from step to step.
  struct mixing {
    auto step(level, level s) const {
      return tweedie::step(x = pointwise<between>({s.alpha, s.sigma}, x0, eps));
    }
  };
  auto const m = two_classes(3);
  auto const pipeline_ = schedules::cosine{} | predicts::v{} | mixing{} |
                         network_function(m.predicting<predicts::v>());
  auto const plan = pipeline_.plan(4);
  any_plan const followed = build_plan(forget_stages(pipeline_.stage_set()),
                                       forget_network(pipeline_.network()), plan.levels(), {});
  request const r{.shape = {3, 3}, .seed = 2};
  BOOST_TEST(equal_bits(followed.sample(r).data, plan.sample(r).data));
  BOOST_TEST(contains(explain(plan), "= between("));
  auto const ddim = schedules::cosine{} | predicts::v{} | samplers::ddim{} |
                    network_function(m.predicting<predicts::v>());
  BOOST_TEST(largest_difference(plan.sample(r).data, ddim.plan(4).sample(r).data) < 1e-5);
}

BOOST_AUTO_TEST_CASE(what_would_follow_each_repetition_is_refused) {
  level const t{.t = 1, .alpha = 0.6, .sigma = 0.8};
  says(sentence([&] { then(stages(at(t, x = eps), repeat(3, at(t, x = 2 * x))), x = 0.5 * x); }),
       {"ends with repeat(n, ...)", "done once"});
  BOOST_TEST(sentence([&] {
               then(stages(repeat(3, at(t, x = 2 * x)), at(t, x = eps)), x = 0.5 * x);
             }) == "nothing was thrown");
}

BOOST_AUTO_TEST_CASE(expressions_nest) {
  two_rows now;
  two_rows const was;
  launch(step(x = product(clamp(x, -1, 1), exp(clamp(known, 0, 0.2)))), now.where(), now.layout());
  each_value([&](std::size_t, std::size_t, std::size_t k) {
    double const a = std::clamp(static_cast<double>(was.x[k]), -1.0, 1.0);
    double const b = std::exp(std::min(static_cast<double>(was.known[k]), 0.2));
    BOOST_TEST(close(static_cast<double>(now.x[k]), a * b));
  });
}

BOOST_AUTO_TEST_CASE(a_mask_decides_exactly) {
  two_rows now;
  two_rows const was;
  now.known[3] = now.known[12] = std::numeric_limits<float>::quiet_NaN();
  float const mask_row[7] = {1, 0, 0.5f, 0, 1, 1, 0};
  launch(step(x = blend(mask, known, x)),
         bindings{bind(x, now.x), bind(known, now.known), bind(mask, mask_row, 7)}, now.layout());
  each_value([&](std::size_t row, std::size_t i, std::size_t k) {
    if (mask_row[i] == 0) BOOST_TEST(now.x[k] == was.x[k]);
    else if (mask_row[i] == 1) {
      if (k != 12) BOOST_TEST(now.x[k] == was.known[k]);
      else BOOST_TEST(std::isnan(now.x[k]));
    } else
      BOOST_TEST(close(static_cast<double>(now.x[k]),
                       (static_cast<double>(was.x[k]) + static_cast<double>(was.known[k])) / 2));
    (void)row;
  });
}

BOOST_AUTO_TEST_CASE(a_mask_of_one_channel_is_that_of_all_and_may_differ_between_samples) {
  alignas(64) float to[2][12] = {}, one[2][4] = {{1, 2, 3, 4}, {5, 6, 7, 8}};
  for (bool each : {false, true}) {
    launch(step(x = product(mask, 2 * mask)),
           bindings{bind(x, to[0]), bind(mask, one[0], 3, each ? 4 : 0)},
           {.count = 2, .pitch = 12});
    for (std::size_t row = 0; row < 2; ++row)
      for (std::size_t i = 0; i < 12; ++i) {
        float const m = one[each ? row : 0][i % 3];
        BOOST_TEST(to[row][i] == 2 * m * m);
      }
  }
}

BOOST_AUTO_TEST_CASE(one_number_a_sample) {
  two_rows now;
  two_rows const was;
  float weight[2] = {0.5f, -2};
  launch(step(x = product(per_sample<0>, x + known)),
         bindings{bind(x, now.x), bind(known, now.known), bind(per_sample<0>, weight)},
         now.layout());
  each_value([&](std::size_t row, std::size_t, std::size_t k) {
    BOOST_TEST(now.x[k] == weight[row] * (was.x[k] + was.known[k]));
  });
}

BOOST_AUTO_TEST_CASE(reductions_see_a_sample_without_its_padding) {
  two_rows now;
  two_rows const was;
  launch(step(x = product(deviation(x), known)), now.where(), now.layout());
  each_value([&](std::size_t row, std::size_t, std::size_t k) {
    double const s = std_of(was.x + row * 8, 7);
    BOOST_TEST(close(static_cast<double>(now.x[k]), s * static_cast<double>(was.known[k])));
  });
}

BOOST_AUTO_TEST_CASE(a_reduction_of_a_reduction) {
  two_rows now;
  two_rows const was;
  launch(step(let<0> = product(x, norm(known)), x = product(mean(let<0>), dot(let<0>, x))),
         now.where(), now.layout());
  for (std::size_t row = 0; row < 2; ++row) {
    double squares = 0, sum = 0, dots = 0;
    for (std::size_t i = 0; i < 7; ++i) {
      double const k = static_cast<double>(was.known[row * 8 + i]);
      squares += k * k;
    }
    for (std::size_t i = 0; i < 7; ++i) {
      double const a = static_cast<double>(was.x[row * 8 + i]);
      sum += a * std::sqrt(squares) / 7;
      dots += a * a * std::sqrt(squares);
    }
    for (std::size_t i = 0; i < 7; ++i)
      BOOST_TEST(close(static_cast<double>(now.x[row * 8 + i]), sum * dots, 1e-5));
  }
}

BOOST_AUTO_TEST_CASE(a_reduction_is_one_more_kernel_and_two_independent_ones_are_not_more) {
  auto const kernels = [](auto const& s) {
    using program = typename decltype(fuse(std::get<0>(s.evaluations).statements))::type;
    return program::kernels;
  };
  BOOST_TEST(kernels(step(x = clamp(x, -1, 1))) == 1u);
  BOOST_TEST(kernels(step(x = product(norm(x), known))) == 2u);
  BOOST_TEST(kernels(step(let<0> = product(norm(x), mean(known)), x = +let<0>)) == 2u);
  BOOST_TEST(kernels(step(let<0> = product(norm(x), known), x = product(norm(let<0>), x))) == 3u);
  BOOST_TEST(kernels(step(let<0> = norm(x), x = +known)) == 1u);  // nobody reads the norm
}

// The samples of a batch are reduced by as many tasks as there are threads.
BOOST_AUTO_TEST_CASE(a_reduction_has_the_same_bits_alone_and_in_a_batch) {
  std::size_t const rows_of_batch = 12, n = 5000;  // above the size that runs serially
  std::vector<float> batch_of(rows_of_batch * n);
  for (std::size_t i = 0; i < batch_of.size(); ++i)
    batch_of[i] = std::sin(static_cast<float>(i % 977)) * (1 + static_cast<float>(i / n));
  auto const original = batch_of;
  auto const statement = step(x = product(norm(x), exp(clamp(x, -1, 1))));
  launch(statement, bindings{bind(x, batch_of.data())}, {.count = rows_of_batch, .pitch = n});
  for (std::size_t row = 0; row < rows_of_batch; ++row) {
    std::vector<float> alone(original.begin() + static_cast<std::ptrdiff_t>(row * n),
                             original.begin() + static_cast<std::ptrdiff_t>((row + 1) * n));
    launch(statement, bindings{bind(x, alone.data())}, {.count = 1, .pitch = n});
    BOOST_TEST(std::equal(alone.begin(), alone.end(),
                          batch_of.begin() + static_cast<std::ptrdiff_t>(row * n)));
  }
}

BOOST_AUTO_TEST_CASE(then_reads_the_x_that_a_step_arrives_at) {
  two_rows now, two;
  launch(
      then(step(x = 2 * x + known), x = clamp(x, -1, 1), keep<0> = 3 * x),
      [&] {
        static float kept[16];
        return bindings{bind(x, now.x), bind(known, now.known), bind(keep<0>, kept)};
      }(),
      now.layout());
  launch(step(x = 2 * x + known), two.where(), two.layout());
  launch(step(x = clamp(x, -1, 1)), two.where(), two.layout());
  each_value([&](std::size_t, std::size_t, std::size_t k) { BOOST_TEST(now.x[k] == two.x[k]); });
}

BOOST_AUTO_TEST_CASE(repetitions_are_evaluations_of_one_structure) {
  struct patient {
    int times = 3;
    auto step(level t, level s) const {
      return stages(repeat(times, at(t, x = x + 0.125 * eps)),
                    at(t, x = s.alpha * x0 + s.sigma * eps));
    }
  };
  auto const plan = [](int times) {
    return (schedules::linear{} | predicts::v{} | patient{times} | silent).plan(4);
  };
  BOOST_TEST(plan(3).network_evaluations() == 3 * 4u + 1);
  BOOST_TEST(plan(1).network_evaluations() == 3 * 2u + 1);
  using code = decltype(plan(1))::code;
  BOOST_TEST(code::structures::size == 3u);
  BOOST_TEST(plan(0).network_evaluations() == 3 * 1u + 1);
  std::string const refused = sentence([&] { plan(-1); });
  BOOST_TEST(contains(refused, "-1 repetitions were given"), refused);
}

namespace {

/// A network of 16-bit buffers; what it is asked it answers as a mixture would.
template <class T, bool PerBranch> struct narrow_network {
  using kind = kinds::network;
  using input = T;
  using output = T;
  static constexpr bool input_per_branch = PerBranch;
  gaussian_mixture mixture;
  std::size_t* inputs;

  void operator()(batch const& b) const {
    *inputs = b.input_rows;
    for (std::size_t row = 0; row < b.rows(); ++row) {
      std::vector<double> seen;
      for (T e : b.template input_of<T>(row)) seen.push_back(static_cast<double>(to_float(e)));
      auto const v = answer<predicts::v>(mixture, seen, b.level_of(row), b.label_of(row));
      auto const out = b.template output_of<T>(row);
      for (std::size_t i = 0; i < v.size(); ++i) out[i] = from_float<T>(static_cast<float>(v[i]));
    }
  }
};

template <class T, bool PerBranch> images narrow_samples(std::size_t& inputs) {
  auto const pipeline = schedules::cosine{} | predicts::v{} | guidance::classifier_free{.w = 1} |
                        samplers::ddim{} | narrow_network<T, PerBranch>{two_classes(5), &inputs};
  return pipeline.sample({.shape = {6, 5}, .steps = 12}, label{1});
}

}  // namespace

BOOST_AUTO_TEST_CASE(buffers_of_16_bits_between_network_and_kernel) {
  std::size_t inputs = 0;
  auto const wide = narrow_samples<float, false>(inputs);
  BOOST_TEST(inputs == 6u);
  auto const twice = narrow_samples<float, true>(inputs);
  BOOST_TEST(inputs == 12u);  // each branch its own copy
  BOOST_TEST(equal_bits(wide.data, twice.data));
  // 8 and 11 bits of precision, twelve steps whose guidance triples an error.
  auto const brain = narrow_samples<bfloat16, false>(inputs);
  auto const ieee = narrow_samples<tweedie::float16, true>(inputs);
  double const of_brain = largest_difference(wide.data, brain.data);
  double const of_ieee = largest_difference(wide.data, ieee.data);
  BOOST_TEST_MESSAGE("bfloat16 differs by " << of_brain << ", half by " << of_ieee);
  BOOST_TEST(of_brain < 0.1);
  BOOST_TEST(of_ieee < 0.1 / 8);
  BOOST_TEST(of_ieee > 0);
}

BOOST_AUTO_TEST_CASE(bytes_of_16_bit_buffers_are_counted) {
  std::size_t inputs = 0;
  auto const p = schedules::cosine{} | predicts::v{} | samplers::ddim{} |
                 narrow_network<bfloat16, false>{two_classes(5), &inputs};
  // x read and written in floats, the network's output and its next input in 16 bits
  BOOST_TEST(p.facts()[0].bytes_per_element == 4u + 2 + 4 + 2);
  BOOST_TEST(p.facts()[1].bytes_per_element == 4u + 2 + 4);
}

BOOST_AUTO_TEST_CASE(the_callers_noise_in_place_of_philox) {
  auto const of = [](auto source) {
    return (schedules::linear{} | predicts::v{} | samplers::ancestral{} | source |
            network_function(two_classes(5).predicting<predicts::v>()))
        .sample({.shape = {3, 5}, .steps = 7, .seed = 11}, label{0});
  };
  auto const drawn = (schedules::linear{} | predicts::v{} | samplers::ancestral{} |
                      network_function(two_classes(5).predicting<predicts::v>()))
                         .sample({.shape = {3, 5}, .steps = 7, .seed = 11}, label{0});
  // The library's own noise, given from outside.
  auto const same = of(noise_from{[](noise_request const& r) {
    for (std::size_t i = 0; i < r.keys.size(); ++i)
      fill_normals(r.to + i * r.pitch, 0, r.pitch / 4, r.keys[i], r.stream);
  }});
  BOOST_TEST(equal_bits(same.data, drawn.data));
  auto const none = of(
      noise_from{[](noise_request const& r) { std::fill_n(r.to, r.keys.size() * r.pitch, 0.0f); }});
  for (std::size_t i = 0; i < 5; ++i) BOOST_TEST(none[0][i] == none[2][i]);
  BOOST_TEST(none.data != drawn.data);
}

BOOST_AUTO_TEST_CASE(explain_names_the_kernels_of_a_reduction) {
  auto const plan =
      (schedules::linear{} | predicts::v{} | thresholds::dynamic{0.9} | samplers::ddim{} | silent)
          .plan(4);
  std::string const text = explain(plan);
  for (char const* part : {"8 kernels", "quantile_of_abs(scratch<0>", "over each sample",
                           "kernel 1: reads x out<0>, writes scratch<0>", "kernel 2: "})
    BOOST_TEST(contains(text, part), text << " does not say " << part);
}

BOOST_AUTO_TEST_CASE(formulas_for_a_paper) {
  auto const plan = (schedules::cosine{} | predicts::epsilon{} | thresholds::dynamic{0.9} |
                     samplers::ddim_eta{.eta = 1} | silent)
                        .plan(4);
  std::string const text = latex(plan);
  for (char const* part :
       {"\\begin{aligned}", "r_{0} &= \\mathrm{quantile\\_of\\_abs}\\left(", "\\mathrm{at\\ least}",
        "\\cdot 10^{-8}", "\\text{over each sample}", "x &= \\bar{x}_0\n\\end{aligned}"})
    BOOST_TEST(contains(text, part), text << " does not say " << part);
  BOOST_TEST(!contains(text, "e-0"), text << " has a number as programs write them");
  // DDPM's own noise, in the step's numbers: Song et al. 2021 (DDIM), eq. 16 with eta = 1.
  for (std::size_t step = 0; step + 1 < plan.steps(); ++step) {
    double const at = 1000 - 250 * static_cast<double>(step);
    level const now = schedules::cosine{}.at(at), next = schedules::cosine{}.at(at - 250);
    double const drawn =
        next.sigma / now.sigma * std::sqrt(1 - now.alpha * now.alpha / (next.alpha * next.alpha));
    std::string const term = fmt::format("+ {:.6g} z", drawn);
    BOOST_TEST(contains(latex_step(plan, step), term), latex_step(plan, step)
                                                           << " does not say " << term);
  }
}

BOOST_AUTO_TEST_CASE(a_program_as_a_value_counts_what_the_plan_holds) {
  auto const plan = (schedules::linear{} | predicts::v{} | thresholds::dynamic{0.9} |
                     samplers::ddim_eta{.eta = 1} | silent)
                        .plan(4);
  for (auto const& row : plan.rows()) {
    any_program const& p = plan.program(row);
    BOOST_TEST(p.coefficients() == plan.numbers(row).size());
    // kernel 1 reads x and out<0> and stores what is reduced; kernel 2 reads the same and stores x
    BOOST_TEST(p.reads() == 4u);
    BOOST_TEST(p.writes() == 2u);
    BOOST_TEST(p.scratches() == 1u);
    BOOST_TEST(p.noises() == (&row == &plan.rows().back() ? 0u : 1u));
  }
}
