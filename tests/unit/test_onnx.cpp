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
#include <tweedie/pipelines/continuous_batch.hpp>
#include <tweedie/pipelines/ready/recipe.hpp>
#include <tweedie/tweedie.hpp>

#include "common.hpp"
#include "file_network_common.hpp"
#include "onnx_common.hpp"

using namespace tweedie;
using common::contains, common::equal_bits, common::sentence;
using file_network::changed, file_network::drawn, file_network::expect_near, file_network::twin;
namespace fs = std::filesystem;

namespace {

struct folder : file_network::folder {
  folder() : file_network::folder("onnx") {}
};

networks::onnx written(fs::path const& path, onnx_file::builder b, std::string const& card) {
  b.note("tweedie", card).write(path);
  return networks::onnx{path, {.threads = 1}};
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

BOOST_AUTO_TEST_CASE(a_number_of_rows_that_is_said_changes_nothing_but_bits) {
  folder const in;
  auto const of = [&](onnx_file::builder b, std::size_t rows) {
    b.note("tweedie", onnx_file::gaussian_card).write(in("net.onnx"));
    return networks::onnx{in("net.onnx"), {.threads = 1, .rows = rows}};
  };
  // As many as there are, others, and both in turns.
  auto const network = of(onnx_file::gaussian(), 14);
  for (std::size_t count : {7u, 3u, 7u})
    expect_near(drawn(network, count), drawn(twin{}, count), 1e-5);
  // Of a file that has its own number it is no matter.
  expect_near(drawn(of(onnx_file::gaussian(onnx_file::f32, 3), 14)), drawn(twin{}), 1e-5);
  // Nor of one whose operators want another.
  auto b = onnx_file::gaussian();
  b.integers("as", {3, 2}).node("Reshape", {"x0", "as"}, "three");
  b.outputs.clear();
  b.output("three", {-1, 2});
  b.note("tweedie", std::string("rows = 3\n") + onnx_file::gaussian_card).write(in("b.onnx"));
  expect_near(drawn(networks::onnx{in("b.onnx"), {.threads = 1, .rows = 14}}), drawn(twin{}), 1e-5);
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
  // Before the first evaluation, wherever the sampling begins.
  std::string const missing = "the condition 'negative' is missing; expected conditions{}.with(";
  BOOST_TEST(contains(said(with), missing));
  auto const plan = pipeline.plan(8);
  BOOST_TEST(contains(sentence([&] { plan.start(seven, with); }), missing));
  continuous_batch batch(std::make_shared<any_plan const>(plan), {2});
  auto const one_mean = conditions{}.with("mean", {{1, 1}, {0.5f}});
  BOOST_TEST(contains(sentence([&] {
                        batch.join(std::make_shared<any_plan const>(plan),
                                   {.id = 1, .given = one_mean});
                      }),
                      missing));
  BOOST_TEST(batch.size() == 0u);
  // Without a guidance nobody asks for it.
  (schedules::edm{} | predicts::x0{} | samplers::heun_in_rho{} | network).sample(seven, with);
  BOOST_TEST(contains(said(with.with("negative", {{1, 1}, {0.25f}}).with("means", means)),
                      "did you mean mean?"));
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

BOOST_AUTO_TEST_CASE(a_pipeline_on_another_schedule_is_refused) {
  folder const in;
  onnx_file::builder b;
  b.input("x", onnx_file::f32, {-1, 2}).input("t", onnx_file::f32, {-1});
  b.node("Add", {"x", "x"}, "out").output("out", {-1, 2});
  auto const trained = [&](std::string const& schedule, char const* time = "t") {
    return written(in("net.onnx"), b,
                   "predicts = \"v\"\nschedule = " + schedule + "\ntime = \"" + time + "\"\n");
  };
  auto const said = [](auto const& schedule, networks::onnx const& network) {
    return sentence([&] { (schedule | predicts::v{} | samplers::ddim{} | network).plan(8); });
  };
  std::string const fits = "nothing was thrown";
  auto const cosine = trained("\"cosine\"");
  BOOST_TEST(said(schedules::cosine{}, cosine) == fits);
  BOOST_TEST(contains(said(schedules::linear{}, cosine),
                      "net.onnx' was trained on the schedule cosine {s = 0.008, beta_cap = 0.999, "
                      "steps = 1000}, by its card, and was given to a pipeline on another one: at "
                      "t = 1000 that has alpha = 0.00635"));
  BOOST_TEST(contains(said(schedules::cosine{.s = 0.02}, cosine), "and the card's has alpha = "));
  BOOST_TEST(contains(said(schedules::cosine{.steps = 4000}, cosine), "ends at t = 1000"));
  BOOST_TEST(said(schedules::cosine{.s = 0.02}, trained("{ name = \"cosine\", s = 0.02 }")) ==
             fits);
  // Told rho, it knows any schedule that mixes as its own does.
  auto const by_rho = trained("\"edm\"", "rho");
  BOOST_TEST(said(schedules::edm{.sigma_max = 10}, by_rho) == fits);
  BOOST_TEST(contains(said(schedules::cosine{}, by_rho), "has alpha = 1 at that sigma / alpha"));
  BOOST_TEST(contains(said(schedules::edm{}, trained("\"edn\"", "rho")), "did you mean edm?"));
  // What wraps it says the same.
  BOOST_TEST(contains(sentence([&] {
                        (schedules::linear{} | predicts::v{} | samplers::ddim{} |
                         networks::unconditional{cosine})
                            .plan(8);
                      }),
                      "was trained on the schedule cosine"));
}

BOOST_AUTO_TEST_CASE(a_table_of_abar_in_a_card) {
  folder const in;
  onnx_file::builder b;
  b.input("x", onnx_file::f32, {-1, 2}).input("t", onnx_file::i64, {-1});
  b.node("Add", {"x", "x"}, "out").output("out", {-1, 2});
  std::string list;
  std::vector<double> abar;
  for (int t = 1; t <= 50; ++t) {
    double const alpha = schedules::linear::in_steps(50).at(t).alpha;
    abar.push_back(alpha * alpha);
    list += fmt::format("{}{}", t > 1 ? ", " : "", abar.back());
  }
  auto const card = [](std::string const& of) {
    return "predicts = \"v\"\nalpha_bar = " + of + "\n";
  };
  auto const network = written(in("net.onnx"), b, card("[" + list + "]"));
  BOOST_TEST(network.card().schedule.name == "tabulated");
  BOOST_TEST(network.card().schedule.alpha_bar == abar, boost::test_tools::per_element());
  for (auto const& schedule : {schedules::tabulated{abar}})
    (schedule | predicts::v{} | samplers::ddim{} | network).sample({.shape = {1, 2}, .steps = 5});
  (schedules::linear::in_steps(50) | predicts::v{} | samplers::ddim{} | network).plan(5);
  BOOST_TEST(contains(
      sentence([&] {
        (schedules::cosine{.steps = 50} | predicts::v{} | samplers::ddim{} | network).plan(5);
      }),
      "was trained on the schedule a table of 50 abar"));
  // As text and back, in full.
  auto const again = networks::parse_card(networks::to_toml(network.card()), "card");
  BOOST_TEST((again.schedule == network.card().schedule));
  auto const said = [&](std::string const& of) {
    return sentence([&] { networks::parse_card(card(of), "card"); });
  };
  BOOST_TEST(said("[0.9, 0.95]") ==
             "card: alpha_bar: 0.95 was given at place 1, after 0.9; expected numbers below 1 that "
             "fall and stay above 0, those of the timesteps from the clean end on");
  BOOST_TEST(contains(said("[0.9, 0.0]"), "stay above 0"));
  BOOST_TEST(contains(said("[nan]"), "nan was given at place 0"));
  BOOST_TEST(contains(said("[]"), "0 numbers were given"));
  BOOST_TEST(contains(said("7"), "expected a list of numbers, or a file .npy"));
  BOOST_TEST(contains(said("\"a.txt\""), "expected a list of numbers, or a file .npy"));
  BOOST_TEST(contains(said("\"none.npy\""), "none.npy"));
  BOOST_TEST(contains(said("[0.5]\nschedule = \"linear\""), "was given beside a schedule"));
  BOOST_TEST(contains(
      sentence([&] { networks::parse_card("predicts = \"v\"\nschedule = \"tabulated\"", "card"); }),
      "expected its numbers in place of a name"));
}

BOOST_AUTO_TEST_CASE(a_recipe_takes_what_the_card_says) {
  folder const in;
  auto const network = written(in("net.onnx"), onnx_file::gaussian(), onnx_file::gaussian_card);
  auto const recipe_of = [](std::string const& text) {
    return ready::parse_recipe("sampler = \"heun_in_rho\"\nsteps = 8\n" + text,
                               ready::recipe_format::toml, "recipe");
  };
  labels const which{0, 1, 2, 0, 1, 2, 0};
  std::string const guided = "guidance = { name = \"classifier_free\", w = 0.5 }\n";
  auto const plan = ready::make_plan(recipe_of(guided), network);
  expect_near(plan.sample({.shape = {7, 2}, .seed = 5}, which), drawn(twin{}), 1e-5);
  auto const said = [&](std::string const& text) {
    return sentence([&] { ready::make_plan(recipe_of(text), network); });
  };
  BOOST_TEST(said("predicts = \"x0\"\nschedule = \"edm\"") == "nothing was thrown");
  BOOST_TEST(contains(said("predicts = \"v\""), "a network that predicts x0 was given"));
  BOOST_TEST(contains(said("schedule = \"cosine\""), "was trained on the schedule edm"));
  BOOST_TEST(sentence([&] { ready::make_plan(recipe_of(""), twin{}); }) ==
             "a recipe without a schedule was given, and the network does not say which it is; "
             "expected schedule = \"cosine\" or another in the recipe");
  BOOST_TEST(contains(sentence([&] { ready::make_plan(recipe_of("schedule = \"edm\""), twin{}); }),
                      "a recipe without a prediction was given"));
}

BOOST_AUTO_TEST_CASE(two_times) {
  folder const in;
  // The average velocity of the flow of N(0, 0.25) between t and r, or of a step of d: in one step
  // to half of the noise.
  auto const mean_flow = [](bool by_step, std::vector<int> const& of_time) {
    onnx_file::builder b;
    b.input("x", onnx_file::f32, {-1, 2}).input("t", onnx_file::f32, of_time);
    b.input("r", onnx_file::f32, of_time);
    b.constant("one", 1).constant("v", 0.25f);
    if (by_step) b.node("Sub", {"t", "r"}, "to");
    std::string const to = by_step ? "to" : "r";
    auto const sd = [&](std::string const& of, std::string const& name) {
      b.node("Sub", {"one", of}, name + "1").node("Mul", {name + "1", name + "1"}, name + "2");
      b.node("Mul", {name + "2", "v"}, name + "3").node("Mul", {of, of}, name + "4");
      b.node("Add", {name + "3", name + "4"}, name + "5").node("Sqrt", {name + "5"}, name);
    };
    sd("t", "sd_t");
    sd(to, "sd_r");
    b.node("Div", {"sd_r", "sd_t"}, "q").node("Sub", {"q", "one"}, "q1");
    b.node("Sub", {to, "t"}, "dt").node("Div", {"q1", "dt"}, "k");
    b.node("Mul", {"x", "k"}, "out").output("out", {-1, 2});
    return b;
  };
  std::string const card =
      "predicts = \"velocity\"\nschedule = \"rectified_flow\"\n[inputs]\nx = \"x\"\ntime = \"t\"\n";
  request const r{.shape = {3, 2}, .seed = 4};
  auto const of = [](networks::onnx const& network) {
    return schedules::rectified_flow{} | predicts::velocity{} | samplers::euler{} | network;
  };
  for (bool const by_step : {false, true})
    for (std::vector<int> const& of_time : {std::vector<int>{-1, 1}, std::vector<int>{}}) {
      auto const network = written(in("net.onnx"), mean_flow(by_step, of_time),
                                   card + (by_step ? "time_step" : "time_to") + " = \"r\"\n");
      auto const one = of(network).plan(1);
      state const s = one.start(r);
      images half{{3, 2}, {}};
      for (std::size_t i = 0; i < 3; ++i)
        for (std::size_t k = 0; k < 2; ++k) half.data.push_back(0.5f * s.x.data()[i * s.pitch + k]);
      for (int steps : {1, 4}) expect_near(of(network).plan(steps).sample(r), half, 1e-5);
      auto const again = networks::parse_card(networks::to_toml(network.card()), "card");
      BOOST_TEST(again.ports.time_to == network.card().ports.time_to);
      BOOST_TEST(again.ports.time_step == network.card().ports.time_step);
    }
  auto const said = [&](std::string const& more) {
    return sentence([&] { written(in("net.onnx"), mean_flow(false, {-1, 1}), card + more); });
  };
  BOOST_TEST(contains(said(""), "has the input 'r', of which its card says nothing"));
  BOOST_TEST(contains(said("time_to = \"t\"\n"), "has another meaning too"));
  BOOST_TEST(contains(said("time_to = \"r\"\ntime_step = \"r\"\n"), "beside time_step"));
  // Where there is no step, there is no second time.
  auto const network =
      written(in("net.onnx"), mean_flow(false, {-1, 1}), card + "time_to = \"r\"\n");
  float const x[] = {1, 2};
  float out[2];
  level const at{.t = 0.5};
  std::size_t const shape[] = {2};
  BOOST_TEST(contains(sentence([&] {
                        network({.samples = 1,
                                 .shape = shape,
                                 .elements = 2,
                                 .pitch = 2,
                                 .x = x,
                                 .out = out,
                                 .levels = &at});
                      }),
                      "was asked where no step is taken"));
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
  level const l{.t = 1.5, .alpha = 0.6, .sigma = 0.8, .steps = 3};
  auto const of = [&](char const* name) {
    auto const card = networks::parse_card(
        std::string("predicts = \"v\"\nschedule = \"cosine\"\ntime = \"") + name + "\"", "card");
    BOOST_TEST(networks::name_of(card.time) == name);
    return networks::time_of(card.time, l);
  };
  auto const near = boost::test_tools::tolerance(1e-12);
  BOOST_TEST(of("t") == 1.5, near);
  BOOST_TEST(of("t - 1") == 0.5, near);
  BOOST_TEST(of("1000 t") == 1500, near);
  BOOST_TEST(of("t / T") == 0.5, near);
  BOOST_TEST(of("1 - t") == -0.5, near);
  BOOST_TEST(of("rho") == 4.0 / 3, near);
  BOOST_TEST(of("ln(rho)") == std::log(4.0 / 3), near);
  BOOST_TEST(of("ln(rho) / 4") == std::log(4.0 / 3) / 4, near);
  BOOST_TEST(of("lambda") == std::log(3.0 / 4), near);
  BOOST_TEST(of("ln(snr)") == std::log(9.0 / 16), near);
  BOOST_TEST(of("alpha_bar") == 0.36, near);
  BOOST_TEST(of("alpha") == 0.6, near);
  // No network has an index below 0: encoding begins at the clean level.
  BOOST_TEST(networks::time_of(networks::time_unit::t_minus_1, {.t = 0, .alpha = 1}) == 0);
}

// A negative stands in the place of its condition, number for number.
BOOST_AUTO_TEST_CASE(a_negative_of_another_shape) {
  folder const in;
  onnx_file::builder b;
  b.input("x", onnx_file::f32, {-1, 2}).input("c", onnx_file::f32, {-1, -1});
  b.node("Add", {"x", "x"}, "out").output("out", {-1, 2});
  auto const network = written(in("n.onnx"), b,
                               "predicts = \"v\"\nschedule = \"cosine\"\n[conditions.text]\n"
                               "input = \"c\"\nnull = \"negative\"\n");
  auto const pipeline = schedules::cosine{} | predicts::v{} | guidance::classifier_free{.w = 1} |
                        samplers::ddim{} | network;
  auto const given =
      conditions{}.with("text", {{1, 4}, {1, 2, 3, 4}}).with("negative", {{1, 2}, {0, 0}});
  BOOST_TEST(contains(sentence([&] {
                        pipeline.sample({.shape = {1, 2}, .steps = 2}, given);
                      }),
                      "the condition 'negative' of shape {2} was given beside 'text' of shape {4}, "
                      "which stands in its place; expected the same shape"));
  onnx_file::builder whole;
  whole.input("x", onnx_file::f32, {-1, 2}).input("c", onnx_file::i64, {-1, 1});
  whole.node("Add", {"x", "x"}, "out").output("out", {-1, 2});
  BOOST_TEST(contains(sentence([&] {
                        written(in("w.onnx"), whole,
                                "predicts = \"v\"\nschedule = \"cosine\"\n[conditions.text]\n"
                                "input = \"c\"\nnull = 0.5\n");
                      }),
                      "conditions.text.null = 0.5 was given, its input 'c' is i64"));
}

BOOST_AUTO_TEST_CASE(networks_of_one_description_are_run_alike) {
  folder const in;
  written(in("n.onnx"), onnx_file::gaussian(), onnx_file::gaussian_card);
  auto const described = networks::describe_file(in("n.onnx"));
  networks::file_network const one{described, {.threads = 1}}, same{described, {.threads = 1}};
  BOOST_TEST(contains(sentence([&] {
                        networks::file_network{described, {.threads = 2}};
                      }),
                      "another network of the same description was made with other threads"));
}

// A share of a table is told in its own schedule's times.
BOOST_AUTO_TEST_CASE(a_share_of_a_table_is_held_against_its_schedule) {
  folder const in;
  onnx_file::builder b;
  b.input("x", onnx_file::f32, {-1, 2}).input("t", onnx_file::f32, {-1});
  b.node("Add", {"x", "x"}, "out").output("out", {-1, 2});
  auto const network =
      written(in("n.onnx"), b, "predicts = \"v\"\nschedule = \"linear\"\ntime = \"t / T\"\n");
  (schedules::linear{} | predicts::v{} | samplers::ddim{} | network).plan(2);
  BOOST_TEST(contains(
      sentence([&] { (schedules::cosine{} | predicts::v{} | samplers::ddim{} | network).plan(2); }),
      "was trained on the schedule linear"));
}

// An index on a flow, or a thousand times an index, is a number that no such network has seen.
BOOST_AUTO_TEST_CASE(times_that_a_schedule_does_not_have) {
  folder const in;
  onnx_file::builder b;
  b.input("x", onnx_file::f32, {-1, 2}).input("t", onnx_file::f32, {-1});
  b.node("Add", {"x", "x"}, "out").output("out", {-1, 2});
  for (auto const& [schedule, time] : {std::pair{"linear", "1000 t"},
                                       {"linear", "1 - t"},
                                       {"rectified_flow", "t - 1"},
                                       {"rectified_flow", "t / T"},
                                       {"edm", "1 - t"}}) {
    std::string const card =
        fmt::format("predicts = \"v\"\nschedule = \"{}\"\ntime = \"{}\"\n", schedule, time);
    std::string const said = sentence([&] { written(in("u.onnx"), b, card.c_str()); });
    BOOST_TEST(contains(said, fmt::format("time = \"{}\" was given, which times of the schedule {} "
                                          "are not told in; expected one of: \"t\"",
                                          time, schedule)),
               said);
  }
  written(in("u.onnx"), b, "predicts = \"v\"\nschedule = \"linear\"\ntime = \"t / T\"\n");
}

// Of two inputs of one number a row the usual names tell which is which.
BOOST_AUTO_TEST_CASE(inputs_by_their_usual_names) {
  folder const in;
  onnx_file::builder b;
  b.input("x", onnx_file::f32, {-1, 2}).input("labels", onnx_file::i64, {-1});
  b.input("timestep", onnx_file::i64, {-1});
  b.node("Add", {"x", "x"}, "out").output("out", {-1, 2});
  written(in("n.onnx"), b, "predicts = \"v\"\nschedule = \"linear\"\n[labels]\ncount = 3\n");
  std::string const draft = networks::card_to_fill_in(*networks::open_onnx(in("n.onnx")));
  BOOST_TEST(contains(draft, "\ntime = \"timestep\""), draft);
  BOOST_TEST(contains(draft, "\nlabels = \"labels\""), draft);
  onnx_file::builder other;
  other.input("x", onnx_file::f32, {-1, 2}).input("a", onnx_file::i64, {-1});
  other.input("b", onnx_file::i64, {-1});
  other.node("Add", {"x", "x"}, "out").output("out", {-1, 2});
  std::string const said = sentence([&] {
    written(in("o.onnx"), other, "predicts = \"v\"\nschedule = \"linear\"\n[labels]\ncount = 3\n");
  });
  BOOST_TEST(contains(said,
                      "which input takes the labels is not clear; expected inputs.labels in "
                      "its card, one of: a, b"),
             said);
  BOOST_TEST(contains(networks::card_to_fill_in(*networks::open_onnx(in("o.onnx"))),
                      "# time or labels = \"a\""));
}

BOOST_AUTO_TEST_SUITE_END()
