// Whole loops: from the start to the samples, with a network on the host that both builds share; a
// continuous batch; a training example and the weights' average as users call them.
#include "../kernels.hpp"

#include <memory>

#include <tweedie/networks/predicts.hpp>
#include <tweedie/networks/thresholds.hpp>
#include <tweedie/pipelines/continuous_batch.hpp>
#include <tweedie/pipelines/objective.hpp>
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/dpmpp_2m.hpp>
#include <tweedie/samplers/heun.hpp>
#include <tweedie/samplers/replacement.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;

/// Any function of x and the label that is the same in both builds.
struct some_network {
  using kind = kinds::network;
  void operator()(batch const& b) const {
    for (std::size_t row = 0; row < b.rows(); ++row) {
      auto const x = b.x_of(row);
      auto const out = b.out_of(row);
      float const shift = 0.25f * static_cast<float>(b.label_of(row));
      for (std::size_t i = 0; i < x.size(); ++i) out[i] = 0.5f * x[i] + shift;
    }
  }
};
struct network_of_16_bits {
  using kind = kinds::network;
  using input = bfloat16;
  using output = float16;
  void operator()(batch const& b) const {
    for (std::size_t row = 0; row < b.rows(); ++row) {
      auto const x = b.input_of<bfloat16>(row);
      auto const out = b.output_of<float16>(row);
      for (std::size_t i = 0; i < x.size(); ++i)
        out[i] = from_float<float16>(0.5f * to_float(x[i]));
    }
  }
};

int main(int count, char** words) {
  kernels::session all(count, words);
  auto const guided = schedules::cosine{} | predicts::v{} | guidance::classifier_free{.w = 3};
  request const three{.shape = {3, 2, 35}, .seed = 11, .first_id = 5};

  auto const sampled = [&](std::string const& name, auto const& plan, request const& r,
                           conditions const& given = {labels{1}}) {
    all.forget();
    auto const samples = plan.sample(r, given);
    all.keep(name, samples.data);
  };
  // The kernels of each evaluation, and one that draws the start.
  auto const simple = [&](std::string const& name, auto const& pipeline) {
    auto const plan = pipeline.plan(6);
    std::size_t launches = 1;
    for (auto const& row : plan.rows()) launches += plan.program(row).kernels.size();
    sampled(name, plan, three);
    all.expect_launches(name, launches);
  };
  simple("ddim", guided | samplers::ddim{} | some_network{});
  simple("ancestral", guided | thresholds::clip{1} | samplers::ancestral{} | some_network{});
  simple("heun", guided | samplers::heun{} | some_network{});
  simple("dpmpp_2m", guided | thresholds::dynamic{} | samplers::dpmpp_2m{} | some_network{});
  sampled(
      "16 bits",
      (schedules::cosine{} | predicts::v{} | samplers::ancestral{} | network_of_16_bits{}).plan(6),
      three);

  request inpainted = three;
  inpainted.known = {{3, 2, 35}, std::vector<float>(210, 0.5f)};
  inpainted.mask = {{1, 35}, std::vector<float>(35, 0)};
  for (std::size_t i = 0; i < 35; i += 3) inpainted.mask.data[i] = 1;
  sampled("replacement",
          (guided | samplers::replacement{samplers::ddim_eta{}} | some_network{}).plan(6),
          inpainted);

  {
    auto const pipeline = guided | thresholds::clip{1} | samplers::ancestral{} | some_network{};
    auto const plan_of = [&](int n) {
      return std::make_shared<std::remove_cvref_t<decltype(pipeline.plan(n))>>(pipeline.plan(n));
    };
    continuous_batch batch(plan_of(4), {1, 7});
    batch.join(plan_of(4), {.id = 1, .seed = 3, .given = labels{0}});
    batch.join(plan_of(7), {.id = 9, .seed = 4, .given = labels{1}});
    for (int i = 0; !batch.empty(); ++i) {
      if (i == 1) batch.join(plan_of(5), {.id = 2, .seed = 3, .given = labels{1}});
      for (auto const& f : batch.advance())
        all.keep("continuous batch, " + std::to_string(f.id), f.sample.data);
    }
  }
  {
    std::size_t const pitch = 12;
    buffer clean(3 * pitch), noisy(3 * pitch), target(3 * pitch);
    for (std::size_t i = 0; i < clean.size(); ++i) clean.data()[i] = kernels::number_at(1, i);
    std::vector<sample_key> const keys{{5, 0, 1}, {5, 1, 1}, {5, 2, 1}};
    objective const o{schedules::cosine{}, predicts::v{}, weights::min_snr{}};
    o(keys, clean.data(), noisy.data(), target.data(), pitch);
    all.keep("training, noisy", {noisy.data(), noisy.size()});
    all.keep("training, target", {target.data(), target.size()});
  }
  {
    buffer average(131), weights(131);
    for (std::size_t i = 0; i < 131; ++i) weights.data()[i] = kernels::number_at(2, i);
    average_weights(average.data(), weights.data(), 131, 0.875);
    all.keep("average of weights", {average.data(), average.size()});
  }
  return all.finish();
}
