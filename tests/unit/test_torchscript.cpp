// Networks in TorchScript files: the numbers of the same network in C++ and their derivative; and
// what the file does not say, its card has to.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include <cmath>
#include <filesystem>
#include <string>
#include <thread>

#include <tweedie/networks/torchscript.hpp>
#include <tweedie/pipelines/likelihood.hpp>
#include <tweedie/tweedie.hpp>

#include "common.hpp"
#include "file_network_common.hpp"
#include "torchscript_common.hpp"

using namespace tweedie;
using common::contains, common::equal_bits, common::sentence;
using file_network::changed, file_network::drawn, file_network::expect_near, file_network::twin;
using namespace torchscript_file;
namespace fs = std::filesystem;

namespace {

struct folder : file_network::folder {
  folder() : file_network::folder("torchscript") {}
};

networks::torchscript gaussian(fs::path const& path, std::string const& card = gaussian_card) {
  torchscript_file::write(path, gaussian_arguments, gaussian_body, card);
  return networks::torchscript{path, {.threads = 1}};
}

std::string const two_numbers = "predicts = \"v\"\nschedule = \"cosine\"\nshape = [2]\n";

/// What a network answers to some rows of two numbers.
template <class Network>
std::vector<float> answers(Network const& network, std::vector<float> const& x,
                           std::vector<level> const& levels, std::vector<int> const& which = {},
                           std::size_t branches = 1) {
  std::vector<float> out(x.size() * branches);
  std::size_t const shape[] = {2};
  network({.samples = levels.size(),
           .branches = branches,
           .shape = shape,
           .elements = 2,
           .pitch = 2,
           .x = x.data(),
           .out = out.data(),
           .levels = levels.data(),
           .labels = which.empty() ? nullptr : which.data()});
  return out;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(torchscript)

BOOST_AUTO_TEST_CASE(a_file_draws_what_its_twin_in_cpp_draws) {
  folder const in;
  auto const network = gaussian(in("net.pt"));
  expect_near(drawn(network), drawn(twin{}), 1e-5);
  BOOST_TEST(network.engine_name().starts_with("LibTorch"));
  BOOST_TEST((network.shape() == std::vector<std::size_t>{2}));
  // The card beside it goes before the one inside.
  torchscript_file::write(in("b.pt"), gaussian_arguments, gaussian_body, "predicts = 7");
  io::write_file(in("b.toml"), std::string_view(gaussian_card));
  expect_near(drawn(networks::torchscript{in("b.pt")}), drawn(twin{}), 1e-5);
}

BOOST_AUTO_TEST_CASE(threads_share_one_file) {
  folder const in;
  auto const network = gaussian(in("net.pt"));
  images const expected = drawn(network);
  std::vector<images> got(4);
  std::vector<std::thread> threads;
  for (images& one : got) threads.emplace_back([&] { one = drawn(network); });
  for (auto& t : threads) t.join();
  for (images const& one : got) BOOST_TEST(equal_bits(one.data, expected.data));
}

BOOST_AUTO_TEST_CASE(a_fixed_number_of_rows_is_what_the_card_says) {
  folder const in;
  // Whoever gives it another number of rows is told by the file itself.
  std::string const body = std::string("    x = torch.view(x, [3, 2])\n") + gaussian_body;
  torchscript_file::write(in("net.pt"), gaussian_arguments, body, gaussian_card);
  BOOST_TEST(contains(sentence([&] { drawn(networks::torchscript{in("net.pt")}); }),
                      "net.pt' failed: LibTorch"));
  torchscript_file::write(in("net.pt"), gaussian_arguments, body,
                          std::string("rows = 3\n") + gaussian_card);
  expect_near(drawn(networks::torchscript{in("net.pt")}), drawn(twin{}), 1e-5);
}

BOOST_AUTO_TEST_CASE(whole_times_labels_and_tuples) {
  folder const in;
  torchscript_file::write(in("net.pt"), "x: Tensor, t: Tensor, y: Tensor",
                          "    assert torch.is_floating_point(t) == False\n"
                          "    assert torch.is_floating_point(y) == False\n"
                          "    k = torch.unsqueeze(torch.add(t, torch.mul(y, 10)), 1)\n"
                          "    return (torch.neg(x), torch.mul(x, k))\n",
                          changed(two_numbers, "cosine", "linear") +
                              "time = \"t - 1\"\n[inputs]\ntime = \"t\"\ntime_type = \"i64\"\n"
                              "[outputs]\nprediction = \"1\"\n[labels]\ncount = 4\nnull = 7.0\n",
                          "Tuple[Tensor, Tensor]");
  networks::torchscript const network{in("net.pt")};
  auto const out =
      answers(network, {1, 2, 3, 4}, {{.t = 1}, {.t = 301.2}}, {2, no_label}, 2);  // 300.2 rounded
  std::vector<float> const expected{20, 40, 3 * 370, 4 * 370, 70, 140, 3 * 370, 4 * 370};
  BOOST_TEST(out == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(numbers_and_defaults_of_forward) {
  folder const in;
  // A float for all rows is asked for apart; what has a default and no name in the card has it.
  torchscript_file::write(in("net.pt"), "x: Tensor, t: float, by: int=3, m: Optional[Tensor]=None",
                          "    return torch.mul(x, torch.mul(t, by))\n", two_numbers);
  networks::torchscript const network{in("net.pt")};
  auto const out = answers(network, {1, 2, 3, 4, 5, 6}, {{.t = 2}, {.t = 2}, {.t = 5}});
  std::vector<float> const expected{6, 12, 18, 24, 75, 90};
  BOOST_TEST(out == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(other_conditions_of_any_shape) {
  folder const in;
  torchscript_file::write(in("net.pt"), "x: Tensor, t: Tensor, text: Tensor",
                          "    return torch.mul(x, torch.unsqueeze(torch.sum(text, [1, 2]), 1))\n",
                          two_numbers +
                              "[inputs]\ntime = \"t\"\n[conditions.words]\ninput = "
                              "\"text\"\nnull = 0\ntype = \"i64\"\n");
  networks::torchscript const network{in("net.pt")};
  auto const pipeline = schedules::cosine{} | predicts::v{} | samplers::ddim{} | network;
  images const words{{2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8}};
  auto const twin_of = [&](batch const& b) {
    for (std::size_t row = 0; row < b.rows(); ++row)
      for (std::size_t i = 0; i < 2; ++i) b.out_of(row)[i] = (row == 0 ? 10 : 26) * b.x_of(row)[i];
  };
  request const two{.shape = {2, 2}, .steps = 2};
  expect_near(pipeline.sample(two, conditions{}.with("words", words)),
              (schedules::cosine{} | predicts::v{} | samplers::ddim{} | twin_of).sample(two), 1e-3);
  BOOST_TEST(contains(sentence([&] { pipeline.sample(two); }),
                      "numbers for its input 'text', i64 of any shape"));
}

BOOST_AUTO_TEST_CASE(its_derivative_makes_likelihoods) {
  folder const in;
  auto const network = gaussian(in("net.pt"));
  // Of the product of each row: of two branches and a probe, against the twin's, 0.25 / (0.25 +
  // rho^2).
  std::vector<float> const x{1, 2, 3, 4, 5, 6}, probe{1, -1, 0.5f, 2, 0, 3};
  std::vector<level> const levels{{.t = 1, .alpha = 1, .sigma = 1},
                                  {.t = 2, .alpha = 1, .sigma = 2},
                                  {.t = 0.5, .alpha = 1, .sigma = 0.5}};
  int const which[] = {0, 1, 2};
  std::size_t const shape[] = {2};
  std::vector<float> result(12);
  batch const b{.samples = 3,
                .branches = 2,
                .shape = shape,
                .elements = 2,
                .pitch = 2,
                .x = x.data(),
                .levels = levels.data(),
                .labels = which};
  network.vjp(b, probe.data(), result.data());
  for (std::size_t row = 0; row < 6; ++row)
    for (std::size_t i = 0; i < 2; ++i) {
      double const rho = levels[row % 3].rho();
      BOOST_TEST(
          double{result[row * 2 + i]} == double{probe[row % 3 * 2 + i]} * 0.25 / (0.25 + rho * rho),
          boost::test_tools::tolerance(1e-6));
    }
  // ln of N(x; m, 0.25) of label 2, m = 0.5, in two dimensions.
  images const two{{2, 2}, {0.5f, 0.9f, -0.3f, 0.1f}};
  auto const flow = schedules::edm{} | predicts::x0{} | samplers::heun{} | network;
  auto const density = log_likelihood(flow, two, {.tolerance = 0.001}, label{2});
  for (std::size_t n = 0; n < 2; ++n) {
    double exact = -std::log(2 * std::numbers::pi * 0.25);
    for (float a : two[n]) exact -= (double{a} - 0.5) * (double{a} - 0.5) / 0.5;
    BOOST_TEST(std::abs(density.nats[n] - exact) < 0.02);
  }
}

BOOST_AUTO_TEST_CASE(channels_last_has_a_derivative) {
  folder const in;
  // out = x times the number of its channel plus 1, and a variance behind it.
  torchscript_file::write(
      in("net.pt"), "x: Tensor, t: Tensor",
      "    y = torch.mul(x, torch.tensor([1., 2., 3.]))\n    return torch.cat([y, x], 3)\n",
      "predicts = \"epsilon\"\nschedule = \"cosine\"\nlayout = \"channels_last\"\n"
      "variance = \"learned\"\nshape = [3, 1, 2]\n");
  networks::torchscript const network{in("net.pt")};
  std::vector<float> const x{1, 2, 3, 4, 5, 6}, probe{1, 1, 1, 1, 10, 20};
  std::vector<float> out(6), variance(6), result(6);
  level const at{.t = 1};
  std::size_t const shape[] = {3, 1, 2};
  batch const b{.samples = 1,
                .shape = shape,
                .elements = 6,
                .pitch = 6,
                .x = x.data(),
                .out = out.data(),
                .levels = &at,
                .variance = variance.data()};
  network(b);
  BOOST_TEST((out == std::vector<float>{1, 2, 6, 8, 15, 18}));
  BOOST_TEST(variance == x, boost::test_tools::per_element());
  network.vjp(b, probe.data(), result.data());
  BOOST_TEST((result == std::vector<float>{1, 1, 2, 2, 30, 60}));
}

BOOST_AUTO_TEST_CASE(files_that_are_none) {
  folder const in;
  auto const said = [&](char const* name) {
    return sentence([&] { networks::torchscript{in(name)}; });
  };
  io::write_file(in("text.pt"), std::string_view("this is a text"));
  BOOST_TEST(contains(said("text.pt"), "is no TorchScript file"));
  // What torch.save makes of weights.
  io::write_file(in("weights.pt"),
                 std::string_view(zip({{"net/data.pkl", "\x80\x02}."}, {"net/version", "3\n"}})));
  BOOST_TEST(contains(said("weights.pt"), "one of weights alone, of torch.save, has no network"));
  torchscript_file::write(in("long.pt"), gaussian_arguments, gaussian_body, gaussian_card);
  fs::resize_file(in("long.pt"), fs::file_size(in("long.pt")) / 2);
  BOOST_TEST(contains(said("long.pt"), "long.pt' could not be read: LibTorch"));
  torchscript_file::write(in("bad.pt"), gaussian_arguments, "    return torch.strange(x)\n",
                          gaussian_card);
  BOOST_TEST(contains(said("bad.pt"), "bad.pt' could not be read: LibTorch"));
  torchscript_file::write(in("bare.pt"), gaussian_arguments, gaussian_body);
  BOOST_TEST(contains(said("bare.pt"), "has no card that says what its numbers mean"));
  torchscript_file::write(in("texts.pt"), "x: Tensor, t: str", "    return x\n",
                          two_numbers + "[inputs]\ntime = \"t\"\n");
  BOOST_TEST(contains(said("texts.pt"), "the time, 't', is str {}; expected f32, i32 or i64"));
  torchscript_file::write(in("table.pt"), "x: Tensor, t: Tensor", "    return {\"a\": x}\n",
                          two_numbers, "Dict[str, Tensor]");
  BOOST_TEST(
      contains(said("table.pt"), "its forward returns Dict[str, Tensor]; expected a tensor"));
  BOOST_TEST(contains(
      sentence([&] {
        torchscript_file::write(in("net.pt"), gaussian_arguments, gaussian_body, gaussian_card);
        networks::torchscript{in("net.pt"), {.precision = networks::precision::bfloat16}};
      }),
      "bfloat16 was asked for"));
}

BOOST_AUTO_TEST_CASE(what_the_card_has_to_say) {
  folder const in;
  auto const said = [&](std::string const& card) {
    return sentence([&] { gaussian(in("net.pt"), card); });
  };
  std::string const card = gaussian_card;
  BOOST_TEST(contains(said(changed(card, "shape = [2]\n", "")),
                      "does not say of what shape its samples are; expected its card to say it"));
  BOOST_TEST(contains(said(changed(card, "\"f32\"", "\"f16\"")),
                      "labels_type 'f16' was given; expected one of: f32, i32, i64"));
  BOOST_TEST(contains(said(changed(card, "labels_type = \"f32\"\n", "")),
                      "the labels are whole numbers in the file"));
  BOOST_TEST(contains(said("rows = 0\n" + card), "expected a whole number from 1 to 65536"));
  BOOST_TEST(contains(said(changed(card, "x = \"x\"", "x = \"z\"")),
                      "there is none of that name; expected one of: x, rho, m"));
  // The one that is left takes the labels.
  expect_near(drawn(gaussian(in("d.pt"), changed(card, "labels = \"m\"\n", ""))), drawn(twin{}),
              1e-5);
  // A file that does say it is held against the card.
  torchscript_file::write(in("b.pt"), "x: Tensor, t: float", "    return x\n",
                          two_numbers + "[inputs]\ntime = \"t\"\ntime_type = \"i64\"\n");
  BOOST_TEST(contains(sentence([&] { networks::torchscript{in("b.pt")}; }),
                      "inputs.time_type = \"i64\" was given, 't' is f32 {}"));
  // Of what shape its answer is, is known when it answers.
  torchscript_file::write(in("c.pt"), "x: Tensor, t: Tensor", "    return torch.sum(x, [1])\n",
                          two_numbers);
  networks::torchscript const sums{in("c.pt")};
  BOOST_TEST(contains(sentence([&] {
                        answers(sums, {1, 2}, {{.t = 1}});
                      }),
                      "its output 'out' has shape {1}; expected {1, 2}"));
}

BOOST_AUTO_TEST_CASE(a_draft_of_its_card) {
  folder const in;
  torchscript_file::write(in("net.pt"), gaussian_arguments, gaussian_body);
  auto draft = networks::card_to_fill_in(*networks::open_network(in("net.pt")));
  BOOST_TEST(contains(draft, "shape = [1, 64, 64]"));
  BOOST_TEST(contains(draft, "time = \"rho\""));
  BOOST_TEST(contains(draft, "labels_type = \"i64\""));
  draft = changed(changed(draft, "# count", "count"), "# null", "null");
  draft = changed(draft, "[1, 64, 64]", "[2]");
  draft = changed(draft, "# predicts = \"epsilon\"", "predicts = \"x0\"");
  draft = changed(draft, "# schedule = \"linear\"", "schedule = \"edm\"");
  draft = changed(draft, "# time = \"t - 1\"", "time = \"rho\"");
  gaussian(in("b.pt"), draft);
}

BOOST_AUTO_TEST_SUITE_END()
