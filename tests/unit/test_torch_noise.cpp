// PyTorch's normals: its own numbers, and as the noise of a pipeline.
#define BOOST_TEST_DYN_LINK
#include <tweedie/pipelines/torch_noise.hpp>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <vector>

#include <tweedie/tweedie.hpp>

using namespace tweedie;

namespace {

void check(std::vector<float> const& drawn, std::vector<std::pair<std::size_t, double>> const& at) {
  for (auto const& [i, v] : at)
    BOOST_TEST(std::abs(drawn[i] - v) < 2e-6,
               "number " << i << " is " << drawn[i] << ", in PyTorch " << v);
}
std::vector<float> drawn(torch_normals& of, std::size_t n) {
  std::vector<float> r(n);
  of.draw(r);
  return r;
}

}  // namespace

// torch.randn(n, generator=torch.Generator().manual_seed(seed)) of PyTorch 2.15 on a CPU.
BOOST_AUTO_TEST_CASE(a_seed_gives_the_numbers_of_pytorch) {
  torch_normals few(0);
  check(drawn(few, 3), {{0, 1.5409961}, {1, -0.2934289}, {2, -2.1787894}});
  check(drawn(few, 4), {{0, 0.5684313}, {1, -1.0845224}, {2, -1.3985955}, {3, 0.4033468}});
  torch_normals many(0);
  check(drawn(many, 768), {{0, -1.1258398}, {1, -1.1523602}, {2, -0.2505786}});
  torch_normals no_multiple_of_16((std::uint64_t{1} << 40) + 7);
  check(drawn(no_multiple_of_16, 21),
        {{0, -0.8201345}, {1, 0.3956312}, {15, -1.3597690}, {16, -0.8667016}, {20, 1.0955805}});
  torch_normals mixed(0);
  drawn(mixed, 3);  // one normal is left over
  check(drawn(mixed, 16), {{0, -0.3561284}, {1, 0.4372227}});
  check(drawn(mixed, 2), {{0, 0.5684313}, {1, -0.8566746}});
}

// With nothing but its noise: x = noise at the start, and each step's own.
BOOST_AUTO_TEST_CASE(a_pipeline_draws_it_in_the_order_in_which_it_is_asked) {
  auto const network = [](batch const& b) {
    for (std::size_t r = 0; r < b.rows(); ++r)
      for (std::size_t e = 0; e < b.elements; ++e) b.out[r * b.pitch + e] = 0;
  };
  auto const plan = (schedules::cosine{} | predicts::x0{} | samplers::ancestral{} |
                     noises::torch_cpu{5} | network)
                        .plan(3);
  request const r{.shape = {2, 3, 5}};
  auto const first = plan.sample(r), again = plan.sample(r);
  BOOST_TEST(first.data == again.data);  // the start begins at the seed

  state s = plan.start(r);
  torch_normals of(5);
  auto const start = drawn(of, 30), step = drawn(of, 30);
  for (std::size_t i = 0; i < 30; ++i)
    BOOST_TEST(std::abs(s.x.data()[i / 15 * s.pitch + i % 15] - start[i]) < 1e-6);
  plan.advance(s);
  level const t = plan.levels()[0], next = plan.levels()[1];
  double const kept = t.alpha / next.alpha * (next.sigma * next.sigma) / (t.sigma * t.sigma);
  double const variance = next.sigma * next.sigma / (t.sigma * t.sigma) *
                          (1 - t.alpha * t.alpha / (next.alpha * next.alpha));
  for (std::size_t i = 0; i < 30; ++i) {
    double const expected = kept * start[i] + std::sqrt(variance) * step[i];
    BOOST_TEST(std::abs(s.x.data()[i / 15 * s.pitch + i % 15] - expected) < 1e-5);
  }
}

// Karras et al.'s churn is noise before the first step.
BOOST_AUTO_TEST_CASE(the_callers_noise_is_asked_for_before_the_first_step_too) {
  std::vector<sample_key> asked;
  std::vector<std::uint32_t> streams;
  noise_from const source{[&](noise_request const& r) {
    asked.push_back(r.keys[0]);
    streams.push_back(r.stream);
    std::fill_n(r.to, r.keys.size() * r.pitch, 1.0f);
  }};
  auto const network = [](batch const& b) {
    for (std::size_t r = 0; r < b.rows(); ++r)
      for (std::size_t e = 0; e < b.elements; ++e) b.out[r * b.pitch + e] = 0;
  };
  samplers::edm_stochastic const sampler{.gamma = 0.4, .s_tmin = 0, .s_tmax = 1000, .s_noise = 1};
  auto const plan = (schedules::edm{} | predicts::x0{} | sampler | source | network)
                        .plan(grids::karras{.sigma_max = 40}, 20);
  state const s = plan.start({.shape = {1, 2}});
  BOOST_TEST(streams.size() == 2u);
  BOOST_TEST(asked[1].step != asked[0].step);  // another key than the first step's kernel has
  double const sigma = plan.levels()[0].sigma, raised = std::sqrt(1.4 * 1.4 - 1) * sigma;
  BOOST_TEST(std::abs(s.x.data()[0] - (sigma + raised)) < 1e-5 * sigma, s.x.data()[0]);
  // Of each step's kernels one draws, for the step after it.
  plan.sample({.shape = {1, 2}});
  BOOST_TEST(streams.size() == 2u + 2u + 19u);
}

// Clean samples are noised by the caller's source too, and every run draws from the seed on.
BOOST_AUTO_TEST_CASE(every_start_draws_from_the_seed_on) {
  auto const network = [](batch const& b) {
    for (std::size_t r = 0; r < b.rows(); ++r)
      for (std::size_t e = 0; e < b.elements; ++e) b.out[r * b.pitch + e] = 0;
  };
  auto const plan = (schedules::cosine{} | predicts::x0{} | samplers::ancestral{} |
                     noises::torch_cpu{5} | network)
                        .plan(4);
  images const clean{{2, 16}, std::vector<float>(32, 0.5f)};
  auto const run = [&] {
    state at = plan.start_at(clean, {});
    plan.advance(at);  // a last step would leave nothing of the noise
    return take(at).data;
  };
  auto const first = run();
  BOOST_TEST((first == run()));
  state const s = plan.start_from(clean, {});
  torch_normals of(5);
  auto const normals = drawn(of, 32);
  level const t = plan.levels()[0];
  for (std::size_t i = 0; i < 32; ++i)
    BOOST_TEST(std::abs(s.x.data()[i / 16 * s.pitch + i % 16] -
                        (t.alpha * 0.5 + t.sigma * normals[i])) < 1e-6);
}
