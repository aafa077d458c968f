// A recipe gives the bits of its C++ twin, and what is wrong with one is said in a sentence.
#include <boost/test/unit_test.hpp>
#include <cstring>
#include <string>
#include <vector>

#include <tweedie/dsl/language/stage_format.hpp>
#include <tweedie/pipelines/ready/programs.hpp>
#include <tweedie/pipelines/ready/recipe.hpp>
#include <tweedie/tweedie.hpp>

#include "common.hpp"

using common::equal_bits, common::says, common::sentence;
using namespace tweedie;
namespace ready = tweedie::ready;

namespace {

struct scrambled {
  using kind = kinds::network;
  void operator()(batch const& b) const {
    for (std::size_t row = 0; row < b.rows(); ++row) {
      auto const x = b.x_of(row);
      auto const to = b.out_of(row);
      auto const shift = static_cast<float>(0.01 * b.level_of(row).sigma + 0.01 * b.label_of(row));
      for (std::size_t i = 0; i < x.size(); ++i)
        to[i] = 0.7f * x[i] - 0.2f * x[(i + 1) % x.size()] + shift;
    }
  }
};

std::string shipped(std::string const& name) {
  for (auto const& r : ready::shipped_recipes())
    if (r.name == name) return r.text;
  return "";
}

ready::recipe toml(std::string const& text) {
  return ready::parse_recipe(text, ready::recipe_format::toml, "r.toml");
}
ready::recipe json(std::string const& text) {
  return ready::parse_recipe(text, ready::recipe_format::json, "r.json");
}

request const two{.shape = {2, 1, 9, 11}, .seed = 3};
labels const given{1, 2};

/// The recipe and its twin, on the schedule and prediction of a model.
template <class... Stages, class Grid>
void twins(std::string const& name, pipeline<Stages...> const& twin, Grid const& grid, int steps) {
  BOOST_TEST_CONTEXT(name) {
    auto const recipe = toml(shipped(name));
    BOOST_TEST(!recipe.title.empty());
    auto const plan =
        ready::make_plan(recipe, schedules::cosine{}, predicts::v{}, forget_network(scrambled{}));
    auto const expected = twin.plan(grid, steps).sample(two, given).data;
    auto const got = plan.sample(two, given).data;
    BOOST_TEST(got.size() == expected.size());
    BOOST_TEST(std::memcmp(got.data(), expected.data(), got.size() * sizeof(float)) == 0);
  }
}

auto const base = schedules::cosine{} | predicts::v{};
auto const clip = thresholds::clip{1};
using guidance::classifier_free;

}  // namespace

// Not one of the ten is left out: the counts are compared.
BOOST_AUTO_TEST_CASE(shipped_recipes_have_the_bits_of_their_twins) {
  using namespace samplers;
  grids::uniform const uniform;
  grids::karras const karras;
  auto const guided = base | classifier_free{1} | clip;
  twins("ddim-50", guided | ddim{} | scrambled{}, uniform, 50);
  twins("ddpm-1000", guided | ancestral{} | scrambled{}, uniform, 1000);
  twins("improved-ddpm-100", guided | ancestral{samplers::variance::beta} | scrambled{},
        grids::trailing{}, 100);
  twins("heun-10", base | classifier_free{1.5} | clip | heun{} | scrambled{}, karras, 10);
  twins("dpmpp-15", guided | dpmpp_2m{} | scrambled{}, karras, 15);
  twins("sde-dpmpp-25", guided | sde_dpmpp_2m{} | scrambled{}, karras, 25);
  twins("unipc-12", guided | unipc_2{} | scrambled{}, karras, 12);
  twins("interval-heun-12",
        base | guidance::within{classifier_free{2}, 100, 800} | clip | heun{} | scrambled{}, karras,
        12);
  twins("imagen-ddim-50",
        base | guidance::classifier_free_scale{3} | thresholds::dynamic{0.95} | ddim_eta{0.5} |
            scrambled{},
        uniform, 50);
  twins("apg-20", base | guidance::apg{.s = 4, .r = 15} | clip | dpmpp_2m{} | scrambled{}, karras,
        20);
  BOOST_TEST(ready::shipped_recipes().size() == 10u);
}

BOOST_AUTO_TEST_CASE(what_is_compiled_and_what_is_not) {
  auto const compiled = [](std::string const& name) {
    auto const plan = ready::make_plan(toml(shipped(name)), schedules::cosine{}, predicts::v{},
                                       forget_network(scrambled{}));
    for (auto const& row : plan.rows())
      if (!plan.structures()[row.structure].code->is_compiled()) return false;
    return true;
  };
  for (char const* name : {"ddim-50", "ddpm-1000", "heun-10", "dpmpp-15", "sde-dpmpp-25",
                           "unipc-12", "interval-heun-12", "imagen-ddim-50"})
    BOOST_TEST(compiled(name), name << " has a structure that is not compiled");
  BOOST_TEST(!compiled("apg-20"));
  auto const plan = ready::make_plan(toml(shipped("apg-20")), schedules::cosine{}, predicts::v{},
                                     forget_network(scrambled{}));
  BOOST_TEST(explain(plan).find("not compiled, run as a list of terms") != std::string::npos);

  auto const& all = ready::compiled_programs();
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) BOOST_TEST((!(all[i]->program() == all[j]->program())));
}

BOOST_AUTO_TEST_CASE(toml_json_and_back) {
  auto const a = toml(R"(title = "a \"b\""
schedule = { name = "linear", beta_last = 0.015, steps = 200 }
predicts = "epsilon"
guidance = { name = "classifier_free", w = 2, within = [10, 150.5] }
threshold = { name = "clip", limit = 0.9 }
sampler = { name = "unipc_2", b = "h" }
grid = { name = "karras", sigma_max = 20 }
steps = 7
)");
  auto const b = json(R"({"title": "a \"b\"",
    "schedule": {"name": "linear", "beta_last": 0.015, "steps": 200}, "predicts": "epsilon",
    "guidance": {"name": "classifier_free", "w": 2, "within": [10, 150.5]},
    "threshold": {"name": "clip", "limit": 0.9}, "sampler": {"name": "unipc_2", "b": "h"},
    "grid": {"name": "karras", "sigma_max": 20}, "steps": 7})");
  std::string const text = ready::to_toml(a);
  BOOST_TEST(ready::to_toml(b) == text);
  BOOST_TEST(ready::to_toml(toml(text)) == text);
  BOOST_TEST(a.title == "a \"b\"");
  BOOST_TEST(a.steps == 7);
  BOOST_TEST(std::get<schedules::linear>(*a.schedule).beta_last == 0.015);
  BOOST_TEST(equal_bits(std::get<samplers::unipc_2>(a.sampler).b, samplers::b_of_h::h));
  BOOST_TEST(*std::get<grids::karras>(a.grid).sigma_max == 20);
  BOOST_TEST(a.within->hi == 150.5);
  for (auto const& r : ready::shipped_recipes())
    BOOST_TEST(ready::to_toml(toml(ready::to_toml(toml(r.text)))) == ready::to_toml(toml(r.text)));
}

// toml++ is given ASCII only; what it gives back is as it was, whatever stands around it.
BOOST_AUTO_TEST_CASE(characters_beyond_ascii_are_kept) {
  std::string const e = "\xc3\xa9", moon = "\xf0\x9f\x8c\x99";
  auto const title = [](std::string const& text) {
    return toml("\xef\xbb\xbf# \xe2\x82\xac\nsampler = \"ddim\"\ntitle = " + text).title;
  };
  BOOST_TEST(title("\"" + e + moon + "\"") == e + moon);
  BOOST_TEST(title("'" + moon + "'  # " + e) == moon);
  BOOST_TEST(title("\"\"\"a\n" + e + "\n" + moon + "\"\"\"") == "a\n" + e + "\n" + moon);
  BOOST_TEST(title("\"\\u00e9\"") == e);
  BOOST_TEST(title("\"qc3 quick q" + e + "q\"") == "qc3 quick q" + e + "q");
  BOOST_TEST(title("\"\"\"q\\\n  c3\"\"\"") == "qc3");
  BOOST_TEST(toml(ready::to_toml(toml("sampler = \"ddim\"\ntitle = '" + e + "'"))).title == e);
}

BOOST_AUTO_TEST_CASE(mistakes_are_sentences) {
  struct mistake {
    std::string text, expected;
  };
  for (mistake const& m : std::vector<mistake>{
           {"sampler = \"hoin\"",
            "recipe 'r.toml': sampler 'hoin' was given; expected one of: ancestral, ddim"},
           {"sampler = \"hoin\"", "did you mean heun?"},
           {"", "the key 'sampler' is missing"},
           {"sampler = \"ddim\"\n[" + std::string(1, '\0'),
            "line 2: a control character, 0x00; expected text"},
           {"sampler = \"ddim\"\ng\xc3\xa9 = 1", "the key 'g?"},
           {"# caf\xc3\xa9\n\xef\xbb\xb7", "recipe 'r.toml': line 2: "},
           {"name = \"a\\ \xc3\xa9\"", "recipe 'r.toml': line 1: "},
           {"steps = 0._l[u{\"\xc9\xbf", "recipe 'r.toml': line 1: "},
           {"steps = \xc2\xa0\x35", "recipe 'r.toml': line 1: "},
           {"title = \"a\"\n# \\u0071c3",
            "line 2: \\u0071 was given; expected the letter q itself"},
           {"title = \"\\U00000071c3\"", "line 1: \\U00000071 was given"},
           {"squeak = 5", "the key 'squeak' was given"},
           {"title = \"a\"\n# \xc3", "line 2: a byte that is not UTF-8; expected text"},
           {"title = \"\xed\xa0\x80\"", "line 1: a byte that is not UTF-8; expected text"},
           {"t[[[[[[[[= \".dim\"", "recipe 'r.toml': "},
           {"[[[[= 1", "recipe 'r.toml': "},
           {"sampler = \"ddim\"\nstpes = 5", "the key 'stpes' was given"},
           {"sampler = \"ddim\"\nstpes = 5", "did you mean steps?"},
           {"sampler = \"ddim\"\nsteps = \"many\"",
            "steps: \"many\" was given; expected a whole number"},
           {"sampler = \"ddim\"\nsteps = 0", "steps: 0 was given; expected 1 or more"},
           {"sampler = \"ddim\"\nsteps = 2.5", "steps: 2.5 was given; expected a whole number"},
           {"sampler = 5", "sampler: 5 was given; expected a name or a table"},
           {"sampler = { name = \"ddim\", eta = 0.5 }",
            "ddim has no parameter 'eta'; expected none"},
           {"sampler = { name = \"ddim_eta\", etta = 0.5 }", "did you mean eta?"},
           {"sampler = { name = \"ddim_eta\", eta = 1.5 }", "eta = 1.5 was given, expected 0 to 1"},
           {"sampler = { name = \"ddim_eta\", eta = true }",
            "sampler.eta: true was given; expected a number"},
           {"sampler = { name = \"ancestral\", variance = \"bata\" }", "did you mean beta?"},
           {"sampler = \"ddim\"\nthreshold = { name = \"clip\", limit = -1 }",
            "a limit of -1 was given"},
           {"sampler = \"ddim\"\nguidance = { name = \"classifier_free\", within = [5] }",
            "guidance.within: a list was given; expected two times"},
           {"sampler = \"ddim\"\nguidance = { name = \"classifier_free\", within = [9, 5] }",
            "expected lo <= hi"},
           {"sampler = \"ddim\"\nguidance = { name = \"none\", within = [5, 9] }",
            "was given without a guidance"},
           {"sampler = \"ddim\"\nschedule = { name = \"linear\", steps = 0 }",
            "recipe 'r.toml': schedule"},
           {"sampler = \"ddim\"\nsampler = \"heun\"", "line 2"},
           {"sampler = [", "recipe 'r.toml': line 1"},
           {"sampler = 1979-05-27", "sampler"},
       }) {
    std::string const got = sentence([&] { toml(m.text); });
    BOOST_TEST(got.find(m.expected) != std::string::npos,
               "\"" << m.text << "\" was answered by \"" << got << "\"");
  }
  for (mistake const& m : std::vector<mistake>{
           {R"({"sampler": "ddim", "sampler": "heun"})", "the key 'sampler' is given twice"},
           {R"({"sampler": {"name": "ddim_eta", "eta": 1, "eta": 0}})",
            "the key 'eta' is given twice"},
           {R"(["ddim"])", "a list was given; expected a table"},
           {R"({"sampler": )", "recipe 'r.json': parse error at line 1"},
           {R"({"sampler": null})", "sampler: null was given"},
       }) {
    std::string const got = sentence([&] { json(m.text); });
    BOOST_TEST(got.find(m.expected) != std::string::npos,
               "\"" << m.text << "\" was answered by \"" << got << "\"");
  }
  // What only the numbers show is said when the plan is made, and names the step.
  auto const at_infinity =
      toml("sampler = \"ddim\"\npredicts = \"epsilon\"\nschedule = \"continuous_cosine\"");
  std::string const got = sentence([&] {
    ready::make_plan(at_infinity, schedules::cosine{}, predicts::v{}, forget_network(scrambled{}));
  });
  BOOST_TEST(got.find("step 1 of 50") != std::string::npos, got);
  BOOST_TEST(got.find("predicts::epsilon gives no finite x0") != std::string::npos, got);
}

BOOST_AUTO_TEST_CASE(stages_print_as_they_are_written) {
  BOOST_TEST(fmt::format("{}", samplers::ddim_eta{.eta = 0.3}) == "samplers::ddim_eta{.eta = 0.3}");
  BOOST_TEST(fmt::format("{}", predicts::v{}) == "predicts::v{}");
  BOOST_TEST(fmt::format("{}", grids::karras{.sigma_max = 80}) ==
             "grids::karras{.rho = 7, .sigma_max = 80}");
  BOOST_TEST(fmt::format("{}", samplers::repaint{samplers::ddim{}, 4}) ==
             "samplers::repaint{.inner = samplers::ddim{}, .resamplings = 4}");
  BOOST_TEST(fmt::format("{}", samplers::ancestral{}) ==
             "samplers::ancestral{.variance = beta_tilde}");
}

BOOST_AUTO_TEST_CASE(what_is_nested_without_end_is_refused) {
  auto const repeated = [](std::string const& part, int count) {
    std::string r;
    for (int i = 0; i < count; ++i) r += part;
    return r;
  };
  auto const says = [](std::string const& what, std::string const& part) {
    BOOST_TEST(what.find(part) != std::string::npos, what << " does not say " << part);
  };
  for (int depth : {10, 1000, 32'000, 65'500}) {
    says(sentence([&] { json(repeated("[", depth)); }), "nested deeper than 8");
    says(sentence(
             [&] { json("{\"sampler\":" + repeated("[", depth) + repeated("]", depth) + "}"); }),
         depth > 32'000 ? "bytes; expected at most 65536" : "nested deeper than 8");
  }
  says(sentence([&] { json(repeated("{\"a\":", 10'000)); }), "nested deeper than 8");
  says(sentence([&] { toml("sampler = " + repeated("[", 100) + repeated("]", 100)); }),
       "deeper than 8");
  says(sentence([&] { toml("sampler = " + repeated("[", 30'000) + repeated("]", 30'000)); }),
       "recipe 'r.toml': line 1");
  for (int parts : {10, 900})
    says(sentence([&] { toml("a" + repeated(".a", parts) + " = 1"); }), "deeper than 8");
  says(sentence([&] { toml("[a" + repeated(".a", 900) + "]\nb" + repeated(".b", 900) + " = 1"); }),
       "deeper than 8");
  says(sentence([&] { toml("a" + repeated(".a", 30'000) + " = 1"); }), "more than 1000 dots");
  says(sentence([&] { toml("[a" + repeated(".a", 30'000) + "]"); }), "more than 1000 dots");
  says(sentence([&] { toml("title = \"" + repeated("a", 70'000) + "\""); }), "at most 65536");
  says(sentence([&] { toml("title = \"" + repeated("a", 1001) + "\"\nsampler = \"ddim\""); }),
       "title has 1001 bytes; expected at most 1000");
  auto const dots = toml("title = \"" + repeated(".", 1000) + "\"\nsampler = \"ddim\"");
  BOOST_TEST(toml(ready::to_toml(dots)).title == dots.title);
}

BOOST_AUTO_TEST_CASE(numbers_are_quoted_as_they_were_given) {
  auto const of_toml = [](std::string const& number) {
    return sentence([&] { toml("sampler = \"ddim\"\nsteps = " + number); });
  };
  auto const of_json = [](std::string const& number) {
    return sentence([&] { json("{\"sampler\": \"ddim\", \"steps\":" + number + "}"); });
  };
  auto const check = [](std::string const& said, std::string const& number) {
    BOOST_TEST(said.find(" " + number + " was given") != said.npos, number << ": " << said);
  };
  for (char const* number : {"1e25", "2.50", "-3", "123456789012", "0.1e-400", "1000001"}) {
    check(of_json(number), number);
    if (std::string(number) != "0.1e-400") check(of_toml(number), number);
  }
  for (char const* number : {"1_000_001", "0x7fffffff", "+2.5", "inf", "nan", "0"})
    check(of_toml(number), number);
  check(of_json("123456789012345678901234567890"), "123456789012345678901234567890");
  BOOST_TEST(of_json("1e400").find("1e400") != std::string::npos, of_json("1e400"));
  BOOST_TEST(of_toml("99999999999999999999").find("99999999999999999999") != std::string::npos,
             of_toml("99999999999999999999"));
  check(sentence(
            [] { toml("sampler = { name = \"ddim\" }\ngrid = \"karras\"\nsteps = 1e9 # many"); }),
        "1e9");
  BOOST_TEST(json("{\"sampler\": \"ddim\", \"steps\": 1e2}").steps == 100);
}
