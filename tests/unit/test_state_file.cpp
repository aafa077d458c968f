// A state that is saved in the middle of a loop goes on to the same bits.
#include <boost/test/unit_test.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include <tweedie/pipelines/state_file.hpp>
#include <tweedie/tweedie.hpp>

#include "common.hpp"

using common::says, common::sentence;
using namespace tweedie;

namespace {

struct scrambled {
  using kind = kinds::network;
  void operator()(batch const& b) const {
    for (std::size_t row = 0; row < b.rows(); ++row) {
      auto const x = b.x_of(row);
      auto const to = b.out_of(row);
      for (std::size_t i = 0; i < x.size(); ++i)
        to[i] = 0.7f * x[i] + 0.01f * static_cast<float>(b.label_of(row));
    }
  }
};
struct of_16_bits {
  using kind = kinds::network;
  using input = bfloat16;
  void operator()(batch const& b) const {
    for (std::size_t row = 0; row < b.rows(); ++row) {
      auto const x = b.input_of<bfloat16>(row);
      for (std::size_t i = 0; i < x.size(); ++i) b.out_of(row)[i] = 0.5f * to_float(x[i]);
    }
  }
};

struct folder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("tweedie_state_" + std::to_string(::getpid()));
  folder() { std::filesystem::create_directories(path); }
  ~folder() { std::filesystem::remove_all(path); }
};

template <class Pipeline, class Grid>
void survives(char const* what, Pipeline const& pipeline, Grid const& grid, request const& r,
              labels const& given = {no_label}) {
  folder const here;
  auto const file = here.path / "state.safetensors";
  BOOST_TEST_CONTEXT(what) {
    auto const expected = pipeline.plan(grid, 5).sample(r, given).data;
    for (int saved_after = 0; saved_after <= 5; ++saved_after) {
      {
        auto const plan = pipeline.plan(grid, 5);
        state s = plan.start(r, given);
        for (int k = 0; k < saved_after; ++k) plan.advance(s);
        save_state(file, plan, s);
      }
      auto const plan = pipeline.plan(grid, 5);  // as another process would make it
      auto const got = plan.run(load_state(file, plan)).data;
      BOOST_TEST(std::memcmp(got.data(), expected.data(), got.size() * sizeof(float)) == 0,
                 "saved after step " << saved_after << ": other bits");
    }
  }
}

auto const vp = schedules::cosine{};
auto const v = predicts::v{};
request const three{.shape = {3, 1, 5, 7}, .seed = 11, .first_id = 4};

}  // namespace

BOOST_AUTO_TEST_CASE(noise_histories_and_labels_are_kept) {
  grids::uniform const uniform;
  survives("ancestral, guided",
           vp | v | guidance::classifier_free{2} | samplers::ancestral{} | scrambled{}, uniform,
           three, {1, 2, 3});
  survives("dpmpp_3m", vp | v | samplers::dpmpp_3m{} | scrambled{}, uniform, three);
  survives("unipc_2, whose keep<0> crosses steps", vp | v | samplers::unipc_2{} | scrambled{},
           uniform, three);
}

BOOST_AUTO_TEST_CASE(what_the_network_sees_memories_and_masks_are_kept) {
  survives("edm, churn, apg",
           schedules::edm{} | predicts::edm{} | guidance::apg{} |
               samplers::edm_stochastic{.gamma = 0.2} | scrambled{},
           grids::karras{.sigma_max = 4}, three);
  survives("16 bits", vp | v | samplers::ddim{} | of_16_bits{}, grids::uniform{}, three);
  request r = three;
  r.known = {r.shape, std::vector<float>(3 * 35, 0.5f)};
  r.mask = {{5, 7}, std::vector<float>(35)};
  for (std::size_t i = 0; i < 35; i += 2) r.mask.data[i] = 1;
  survives("repaint", vp | v | samplers::repaint{samplers::ancestral{}, 2} | scrambled{},
           grids::uniform{}, r);
}

BOOST_AUTO_TEST_CASE(a_file_that_does_not_fit_is_refused_in_a_sentence) {
  folder const here;
  auto const file = here.path / "state.safetensors";
  auto const pipeline = vp | v | samplers::ancestral{} | scrambled{};
  auto const plan = pipeline.plan(5);
  state s = plan.start(three);
  plan.advance(s);
  save_state(file, plan, s);

  says(sentence([&] { load_state(file, pipeline.plan(6)); }), "a state of another plan");
  auto const other = vp | v | samplers::ancestral{samplers::variance::beta} | scrambled{};
  says(sentence([&] { load_state(file, other.plan(5)); }), "a state of another plan");
  says(sentence([&] { load_state(here.path / "none", plan); }), "none");

  auto const size = std::filesystem::file_size(file);
  for (auto const keep : {size / 2, size - 1, std::uintmax_t{8}, std::uintmax_t{0}}) {
    auto const cut = here.path / "cut.safetensors";
    std::filesystem::copy_file(file, cut, std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(cut, keep);
    says(sentence([&] { load_state(cut, plan); }), "cut.safetensors");
  }

  // A state of another plan is not saved, and what was there stays.
  state foreign = (vp | v | samplers::heun{} | scrambled{}).plan(5).start(three);
  auto const two_kept = (vp | v | samplers::dpmpp_3m{} | scrambled{}).plan(5);
  says(sentence([&] { save_state(file, two_kept, foreign); }), "expected one that this plan");
  BOOST_TEST(std::filesystem::file_size(file) == size);
  BOOST_TEST(load_state(file, plan).evaluated == 1u);
}
