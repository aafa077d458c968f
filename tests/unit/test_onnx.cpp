// Networks in ONNX files: the numbers of the same network in C++, whatever the file's types, layout
// and rows; and what contradicts its card is refused by one sentence.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <thread>

#include <tweedie/networks/onnx.hpp>
#include <tweedie/tweedie.hpp>

#include "common.hpp"
#include "onnx_common.hpp"

using namespace tweedie;
using common::contains, common::equal_bits, common::sentence;
namespace fs = std::filesystem;

namespace {

struct folder {
  fs::path path = fs::temp_directory_path() / ("tweedie_onnx_" + std::to_string(::getpid()));
  folder() { fs::create_directories(path); }
  ~folder() { fs::remove_all(path); }
  fs::path operator()(char const* name) const { return path / name; }
};

/// What gaussian() is, in C++.
struct twin {
  using kind = kinds::network;
  void operator()(batch const& b) const {
    for (std::size_t row = 0; row < b.rows(); ++row) {
      int const label = b.label_of(row);
      double const m = label == no_label ? 0.25 : -0.5 + 0.5 * label, rho = b.level_of(row).rho();
      for (std::size_t i = 0; i < b.elements; ++i)
        b.out_of(row)[i] =
            static_cast<float>(m + (double{b.x_of(row)[i]} - m) * 0.25 / (0.25 + rho * rho));
    }
  }
};

networks::onnx written(fs::path const& path, onnx_file::builder b, std::string const& card) {
  b.note("tweedie", card).write(path);
  return networks::onnx{path, {.threads = 1}};
}

std::string changed(std::string text, std::string const& from, std::string const& to) {
  return text.replace(text.find(from), from.size(), to);
}

/// Samples of a pipeline over a network: guided by the null label, three labels.
template <class Network> images drawn(Network const& network, std::size_t count = 7) {
  auto const pipeline = schedules::edm{} | predicts::x0{} | guidance::classifier_free{.w = 0.5} |
                        samplers::heun_in_rho{} | network;
  labels which;
  for (std::size_t i = 0; i < count; ++i) which.push_back(static_cast<int>(i % 3));
  return pipeline.sample({.shape = {count, 2}, .steps = 8, .seed = 5}, which);
}

void expect_near(images const& a, images const& b, double within) {
  BOOST_TEST_REQUIRE(a.data.size() == b.data.size());
  for (std::size_t i = 0; i < a.data.size(); ++i)
    BOOST_TEST(std::abs(double{a.data[i]} - double{b.data[i]}) < within,
               "value " << i << ": " << a.data[i] << " and " << b.data[i]);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(onnx)

BOOST_AUTO_TEST_CASE(a_file_draws_what_its_twin_in_cpp_draws) {
  folder const in;
  auto const network = written(in("net.onnx"), onnx_file::gaussian(), onnx_file::gaussian_card);
  expect_near(drawn(network), drawn(twin{}), 1e-5);
  BOOST_TEST(network.engine_name().starts_with("OpenVINO"));
  BOOST_TEST((network.shape() == std::vector<std::size_t>{2}));
}

BOOST_AUTO_TEST_CASE(a_fixed_number_of_rows_is_filled_up) {
  folder const in;
  auto const network =
      written(in("net.onnx"), onnx_file::gaussian(onnx_file::f32, 3), onnx_file::gaussian_card);
  expect_near(drawn(network), drawn(twin{}), 1e-5);
}

BOOST_AUTO_TEST_CASE(a_card_beside_the_file_goes_before_the_one_inside) {
  folder const in;
  onnx_file::gaussian().note("tweedie", "predicts = 7").write(in("net.onnx"));
  io::write_file(in("net.toml"), std::string_view(onnx_file::gaussian_card));
  expect_near(drawn(networks::onnx{in("net.onnx")}), drawn(twin{}), 1e-5);
  // And the one that is given, before both.
  io::write_file(in("net.toml"), std::string_view("nothing"));
  auto const card = networks::parse_card(onnx_file::gaussian_card, "card");
  expect_near(drawn(networks::onnx{in("net.onnx"), {.card = card}}), drawn(twin{}), 1e-5);
}

BOOST_AUTO_TEST_CASE(whole_times_and_labels) {
  folder const in;
  // out = x times (time + 10 label), of int64; the time is an index that counts from 0.
  onnx_file::builder b;
  b.input("x", onnx_file::f32, {-1, 2})
      .input("t", onnx_file::i64, {-1})
      .input("y", onnx_file::i32, {-1});
  b.node("Cast", {"t"}, "tf", "to", onnx_file::f32).node("Cast", {"y"}, "yf", "to", onnx_file::f32);
  b.constant("ten", 10).node("Mul", {"yf", "ten"}, "y10").node("Add", {"tf", "y10"}, "s");
  b.integers("column", {-1, 1}).node("Reshape", {"s", "column"}, "k");
  b.node("Mul", {"x", "k"}, "out").output("out", {-1, 2});
  auto const network =
      written(in("net.onnx"), b,
              "predicts = \"v\"\nschedule = \"linear\"\ntime = \"t - 1\"\n[inputs]\n"
              "time = \"t\"\n[labels]\ncount = 4\nnull = 7.0\n");
  float const x[] = {1, 2, 3, 4};
  float out[8];
  level const levels[] = {{.t = 1}, {.t = 301.2}};  // 300.2 is rounded
  int const which[] = {2, no_label};
  std::size_t const shape[] = {2};
  network({.samples = 2,
           .branches = 2,
           .shape = shape,
           .elements = 2,
           .pitch = 2,
           .x = x,
           .out = out,
           .levels = levels,
           .labels = which});
  float const expected[] = {20, 40, 3 * 370, 4 * 370, 70, 140, 3 * 370, 4 * 370};
  BOOST_TEST(out == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(one_time_for_all_rows_is_asked_for_apart) {
  folder const in;
  onnx_file::builder b;
  b.input("x", onnx_file::f32, {-1, 2}).input("t", onnx_file::f32, {});
  b.node("Mul", {"x", "t"}, "out").output("out", {-1, 2});
  auto const network = written(in("net.onnx"), b, "predicts = \"v\"\nschedule = \"cosine\"\n");
  float const x[] = {1, 2, 3, 4, 5, 6};
  float out[6];
  level const levels[] = {{.t = 2}, {.t = 2}, {.t = 5}};
  std::size_t const shape[] = {2};
  network({.samples = 3,
           .shape = shape,
           .elements = 2,
           .pitch = 2,
           .x = x,
           .out = out,
           .levels = levels});
  float const expected[] = {2, 4, 6, 8, 25, 30};
  BOOST_TEST(out == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(channels_last_and_a_learned_variance) {
  folder const in;
  // A picture of 3 channels, 1 x 2 points, to 6 channels: the picture and twice it.
  onnx_file::builder b;
  b.input("x", onnx_file::f32, {-1, 1, 2, 3}).input("t", onnx_file::f32, {-1});
  b.node("Add", {"x", "x"}, "twice").node("Concat", {"x", "twice"}, "out", "axis", 3);
  b.output("out", {-1, 1, 2, 6});
  auto const network =
      written(in("net.onnx"), b,
              "predicts = \"epsilon\"\nschedule = \"cosine\"\nlayout = \"channels_last\"\n"
              "variance = \"learned\"\n");
  BOOST_TEST((network.shape() == std::vector<std::size_t>{3, 1, 2}));
  float const x[] = {1, 2, 3, 4, 5, 6};
  float out[6], variance[6];
  level const at{.t = 1};
  std::size_t const shape[] = {3, 1, 2};
  network({.samples = 1,
           .shape = shape,
           .elements = 6,
           .pitch = 6,
           .x = x,
           .out = out,
           .levels = &at,
           .variance = variance});
  BOOST_TEST(out == x, boost::test_tools::per_element());
  float const twice[] = {2, 4, 6, 8, 10, 12};
  BOOST_TEST(variance == twice, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(floats_of_16_bits_are_floats) {
  folder const in;
  onnx_file::builder b;
  b.input("x", onnx_file::f16, {-1, 2}).input("t", onnx_file::f32, {-1});
  b.node("Add", {"x", "x"}, "sum").node("Cast", {"sum"}, "out", "to", onnx_file::f32);
  b.output("out", {-1, 2});
  auto const network = written(in("net.onnx"), b, "predicts = \"v\"\nschedule = \"cosine\"\n");
  float const x[] = {1, 0.1f};
  float out[2];
  level const at{.t = 1};
  std::size_t const shape[] = {2};
  network(
      {.samples = 1, .shape = shape, .elements = 2, .pitch = 2, .x = x, .out = out, .levels = &at});
  BOOST_TEST(out[0] == 2);
  BOOST_TEST(std::abs(out[1] - 0.2f) < 2e-4f);
}

BOOST_AUTO_TEST_CASE(threads_share_one_file) {
  folder const in;
  auto const network = written(in("net.onnx"), onnx_file::gaussian(), onnx_file::gaussian_card);
  images const expected = drawn(network);
  std::vector<images> got(4);
  std::vector<std::thread> threads;
  for (images& one : got) threads.emplace_back([&] { one = drawn(network); });
  for (auto& t : threads) t.join();
  for (images const& one : got) BOOST_TEST(equal_bits(one.data, expected.data));
}

BOOST_AUTO_TEST_CASE(what_is_not_finite_is_named) {
  folder const in;
  onnx_file::builder b;
  b.input("x", onnx_file::f32, {-1, 2}).input("t", onnx_file::f32, {-1});
  b.node("Log", {"x"}, "out").output("out", {-1, 2});
  auto const network = written(in("net.onnx"), b, "predicts = \"v\"\nschedule = \"cosine\"\n");
  float const x[] = {1, 2, 3, -1};
  float out[4];
  level const levels[] = {{.t = 4}, {.t = 4}};
  std::size_t const shape[] = {2};
  BOOST_TEST(sentence([&] {
               network({.samples = 2,
                        .shape = shape,
                        .elements = 2,
                        .pitch = 2,
                        .x = x,
                        .out = out,
                        .levels = levels});
             }).ends_with("at t = 4 its output for sample 1 is NaN; expected finite numbers"));
}

BOOST_AUTO_TEST_CASE(requests_that_do_not_fit) {
  folder const in;
  auto const network = written(in("net.onnx"), onnx_file::gaussian(), onnx_file::gaussian_card);
  auto const pipeline = schedules::edm{} | predicts::x0{} | samplers::ddim{} | network;
  auto const said = [&](request const& r, labels const& l) {
    return sentence([&] { pipeline.sample(r, l); });
  };
  std::string const at = "'" + in("net.onnx").string() + "': ";
  BOOST_TEST(said({.shape = {4, 3}, .steps = 4}, {1}) ==
             at + "the shape {4, 3} was given, expected {samples, 2}");
  BOOST_TEST(said({.shape = {4, 2}, .steps = 4}, {3}) == at + "label 3 was given, expected 0 to 2");
  BOOST_TEST(said({.shape = {4, 2}, .steps = 4}, {-2}) ==
             at + "label -2 was given, expected 0 to 2");
  auto const without = written(in("b.onnx"), onnx_file::gaussian(),
                               changed(onnx_file::gaussian_card, "null = 0.25", ""));
  BOOST_TEST(contains(sentence([&] { drawn(without); }), "does not say how \"no label\" is told"));
  BOOST_TEST(contains(sentence([&] {
                        (schedules::edm{} | predicts::x0{} | samplers::ddim{} | without)
                            .sample({.shape = {1, 2}, .steps = 2});
                      }),
                      "a sample without a label was given"));
}

BOOST_AUTO_TEST_CASE(other_conditions_by_their_names) {
  folder const in;
  std::string const card =
      "predicts = \"x0\"\nschedule = \"edm\"\ntime = \"rho\"\n[inputs]\nx = \"x\"\ntime = \"rho\"\n"
      "[conditions.mean]\ninput = \"m\"\nnull = \"negative\"\n";
  auto const network = written(in("net.onnx"), onnx_file::gaussian(), card);
  auto const pipeline = schedules::edm{} | predicts::x0{} | guidance::classifier_free{.w = 0.5} |
                        samplers::heun_in_rho{} | network;
  request const seven{.shape = {7, 2}, .steps = 8, .seed = 5};
  images means{{7, 1}, {}};
  for (std::size_t i = 0; i < 7; ++i)
    means.data.push_back(-0.5f + 0.5f * static_cast<float>(i % 3));
  auto const with = conditions{}.with("mean", means);
  expect_near(pipeline.sample(seven, with.with("negative", {{1, 1}, {0.25f}})), drawn(twin{}),
              1e-5);
  auto const said = [&](conditions const& c) {
    return sentence([&] { pipeline.sample(seven, c); });
  };
  BOOST_TEST(contains(said({}),
                      "the condition 'mean' is missing; expected conditions{}.with(\"mean\", "
                      "...), numbers for its input 'm', f32 {any, 1}"));
  BOOST_TEST(contains(said(with), "the condition 'negative' is missing"));
  BOOST_TEST(contains(said(with.with("means", means)), "did you mean mean?"));
  BOOST_TEST(contains(said(conditions{}.with("mean", {{1, 2}, {1, 1}})),
                      "the condition 'mean' of shape {2} was given for each sample"));
  BOOST_TEST(
      contains(sentence([&] { pipeline.sample(seven, label{3}); }), "label 3 was given, but"));
}

BOOST_AUTO_TEST_CASE(files_that_are_none) {
  folder const in;
  auto const said = [&](char const* name) { return sentence([&] { networks::onnx{in(name)}; }); };
  io::write_file(in("text.onnx"), std::string_view("this is a text"));
  BOOST_TEST(contains(said("text.onnx"), "is no ONNX file"));
  io::write_file(in("empty.onnx"), std::string_view());
  BOOST_TEST(contains(said("empty.onnx"), "is no ONNX file"));
  io::write_file(in("bytes.onnx"), std::string_view("\x08\x07 and then something else"));
  BOOST_TEST(contains(said("bytes.onnx"), "bytes.onnx' could not be read: OpenVINO"));
  BOOST_TEST(contains(said("nothing.onnx"), "nothing.onnx"));
  std::ofstream(in("large.onnx")).put('\x08');
  fs::resize_file(in("large.onnx"), std::uintmax_t{7} << 30);  // no blocks on the disk
  BOOST_TEST(
      contains(said("large.onnx"), "has 7.52 GB; expected an ONNX file, which has 2.1 at most"));
  onnx_file::gaussian().write(in("bare.onnx"));
  BOOST_TEST(contains(said("bare.onnx"), "has no card that says what its numbers mean"));
  onnx_file::builder b;
  b.input("x", onnx_file::f32, {-1, 2}).input("t", onnx_file::f32, {-1});
  b.node("Strange", {"x"}, "out").output("out", {-1, 2});
  b.note("tweedie", "predicts = \"v\"\nschedule = \"cosine\"\n").write(in("strange.onnx"));
  BOOST_TEST(contains(said("strange.onnx"), "Strange"));
}

BOOST_AUTO_TEST_CASE(cards_that_contradict_the_file) {
  folder const in;
  auto const said = [&](onnx_file::builder b, std::string const& card) {
    return sentence([&] { written(in("net.onnx"), b, card); });
  };
  std::string const card = onnx_file::gaussian_card;
  auto const gaussian = onnx_file::gaussian();
  BOOST_TEST(contains(
      said(gaussian, changed(card, "time = \"rho\"\nlabels", "time = \"sigma\"\nlabels")),
      "its card says inputs.time = \"sigma\", and there is none of that name; expected one of: x, "
      "rho, m"));
  BOOST_TEST(contains(said(gaussian, changed(card, "labels = \"m\"", "labels = \"rho\"")),
                      "inputs.time and inputs.labels are both 'rho'"));
  BOOST_TEST(
      contains(said(gaussian,
                    "predicts = \"x0\"\nschedule = \"edm\"\n[inputs]\nx = \"x\"\ntime = \"rho\"\n"),
               "has the input 'm', of which its card says nothing"));
  BOOST_TEST(
      contains(said(onnx_file::gaussian(onnx_file::i64), card),
               "the labels are whole numbers in the file, and labels.first, step or null is none"));
  BOOST_TEST(contains(said(gaussian, "variance = \"learned\"\n" + card),
                      "its output 'x0' is f32 {any, 2}; expected {any, 4}"));
}

BOOST_AUTO_TEST_CASE(what_a_pipeline_takes_it_for) {
  folder const in;
  auto const network = written(in("net.onnx"), onnx_file::gaussian(), onnx_file::gaussian_card);
  BOOST_TEST(sentence([&] {
               (schedules::edm{} | predicts::epsilon{} | samplers::ddim{} | network).plan(4);
             }) ==
             "a network that predicts x0 was given to a pipeline that takes it for epsilon; "
             "expected predicts::x0");
  // Times that are no whole numbers, for an input that takes them.
  onnx_file::builder b;
  b.input("x", onnx_file::f32, {-1, 2}).input("t", onnx_file::i64, {-1});
  b.node("Add", {"x", "x"}, "out").output("out", {-1, 2});
  for (char const* card : {"predicts = \"v\"\nschedule = \"rectified_flow\"\n",
                           "predicts = \"v\"\nschedule = \"linear\"\ntime = \"ln(rho)\"\n"})
    BOOST_TEST(contains(sentence([&] { written(in("b.onnx"), b, card); }), "takes whole numbers"));
  written(in("c.onnx"), b, "predicts = \"v\"\nschedule = \"rectified_flow\"\ntime = \"1000 t\"\n");
}

BOOST_AUTO_TEST_CASE(cards_that_are_none) {
  auto const said = [](std::string const& text) {
    return sentence([&] { networks::parse_card(text, "card"); });
  };
  std::string const least = "predicts = \"v\"\nschedule = \"cosine\"\n";
  BOOST_TEST(said("") ==
             "card: the key 'predicts' is missing; expected what the network predicts, "
             "such as predicts = \"epsilon\"");
  BOOST_TEST(contains(said("predicts = \"v\""), "the key 'schedule' is missing"));
  BOOST_TEST(contains(said("predicts = 7"), "card: predicts: 7 was given; expected a text"));
  BOOST_TEST(
      contains(said(least + "prediction = 1"), "the key 'prediction' was given; expected one of:"));
  BOOST_TEST(contains(said(least + "time = \"ln(rh)\""), "did you mean ln(rho)?"));
  BOOST_TEST(contains(said(least + "range = [1, -1]"), "expected the smaller number first"));
  BOOST_TEST(contains(said(least + "range = [1]"), "expected two numbers"));
  BOOST_TEST(contains(said(least + "range = [-inf, 1]"), "expected two numbers"));
  BOOST_TEST(contains(said(least + "layout = \"NHWC\""),
                      "expected one of: channels_first, channels_last"));
  BOOST_TEST(
      contains(said(least + "[labels]\ncount = -1"), "expected a whole number from 1 to 1000000"));
  BOOST_TEST(contains(said(least + "[labels]\ncount = 3\nnames = [\"a\"]"), "beside 1 names"));
  BOOST_TEST(contains(said(least + "[labels]\ncount = 3\nstep = 0"), "all labels are one"));
  BOOST_TEST(contains(said(least + "[labels]\nstep = 2"), "neither count nor names was given"));
  BOOST_TEST(
      contains(said(least + "[labels]\ncount = 3\nnull = 2"), "which is how label 2 is told"));
  BOOST_TEST(contains(said(least + "[labels]\nnames = [\"a\", \"a\"]"), "'a' was given twice"));
  BOOST_TEST(contains(said(least + "[labels]\nnames = [\"none\"]"), "'none' was given"));
  BOOST_TEST(contains(said(least + "[conditions.a]\ninput = \"x\"\nnull = \"a\""),
                      "the condition itself"));
  BOOST_TEST(contains(said(least + "range = [1e300, 2e300]"), "that floats tell apart"));
  BOOST_TEST(contains(said("predict = \"v\"\nschedule = \"cosine\""), "did you mean predicts?"));
  BOOST_TEST(contains(said(least + "[inputs]\nlabels = \"y\""), "without a table labels"));
  BOOST_TEST(contains(said(least + "[inputs]\ny = \"y\""), "card: inputs: the key 'y' was given"));
}

BOOST_AUTO_TEST_CASE(a_card_as_text_comes_back) {
  auto const card = networks::parse_card(onnx_file::gaussian_card, "card");
  BOOST_TEST(networks::to_toml(card) ==
             "predicts = \"x0\"\nschedule = \"edm\"\ntime = \"rho\"\n\n[inputs]\nx = \"x\"\ntime = "
             "\"rho\"\n"
             "labels = \"m\"\n\n[labels]\ncount = 3\nfirst = -0.5\nstep = 0.5\nnull = 0.25\n");
  std::string const all =
      "predicts = \"v\"\nschedule = { name = \"cosine\", s = 0.008 }\ntime = \"ln(rho) / 4\"\n"
      "range = [-1.0, 1.0]\nlayout = \"channels_last\"\nvariance = \"learned\"\n\n[outputs]\n"
      "prediction = \"o\"\n\n[labels]\nnames = [\"a "
      "\\\"b\\\"\",\"c\"]\n\n[conditions.\"text\"]\ninput = \"e\"\nnull = \"negative\"\n";
  BOOST_TEST(networks::to_toml(networks::parse_card(all, "card")) == all);
}

BOOST_AUTO_TEST_CASE(times_as_networks_count_them) {
  level const l{.t = 0.5, .alpha = 0.6, .sigma = 0.8};
  auto const of = [&](char const* name) {
    auto const card = networks::parse_card(
        std::string("predicts = \"v\"\nschedule = \"cosine\"\ntime = \"") + name + "\"", "card");
    BOOST_TEST(networks::name_of(card.time) == name);
    return networks::time_of(card.time, l);
  };
  auto const near = boost::test_tools::tolerance(1e-12);
  BOOST_TEST(of("t") == 0.5, near);
  BOOST_TEST(of("t - 1") == -0.5, near);
  BOOST_TEST(of("1000 t") == 500, near);
  BOOST_TEST(of("1 - t") == 0.5, near);
  BOOST_TEST(of("rho") == 4.0 / 3, near);
  BOOST_TEST(of("ln(rho)") == std::log(4.0 / 3), near);
  BOOST_TEST(of("ln(rho) / 4") == std::log(4.0 / 3) / 4, near);
  BOOST_TEST(of("lambda") == std::log(3.0 / 4), near);
  BOOST_TEST(of("ln(snr)") == std::log(9.0 / 16), near);
  BOOST_TEST(of("alpha_bar") == 0.36, near);
  BOOST_TEST(of("alpha") == 0.6, near);
}

BOOST_AUTO_TEST_SUITE_END()
