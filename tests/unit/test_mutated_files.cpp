// States, checkpoints and recipes in which something was changed: each is refused in a sentence or
// means what it meant, and none takes memory by what it claims.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <random>
#include <string>
#include <vector>

#include <tweedie/io/safetensors.hpp>
#include <tweedie/pipelines/ready/recipe.hpp>
#include <tweedie/pipelines/state_file.hpp>
#include <tweedie/tweedie.hpp>

#include "test_io_common.hpp"

using namespace tweedie;

namespace {

// The largest block that was asked for since it was set to 0.
std::atomic<std::size_t> largest_block{0};

void* counted(std::size_t size, std::size_t alignment) {
  if (size > largest_block) largest_block = size;
  void* const block = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (!block && size > 0) throw std::bad_alloc();
  return block;
}
// Not inlined: g++ would take it for a release by another function than the block was given by.
[[gnu::noinline]] void released(void* block) noexcept { std::free(block); }

}  // namespace

void* operator new(std::size_t size) { return counted(size, alignof(std::max_align_t)); }
void* operator new[](std::size_t size) { return counted(size, alignof(std::max_align_t)); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return counted(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return counted(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* block) noexcept { released(block); }
void operator delete[](void* block) noexcept { released(block); }
void operator delete(void* block, std::size_t) noexcept { released(block); }
void operator delete[](void* block, std::size_t) noexcept { released(block); }
void operator delete(void* block, std::align_val_t) noexcept { released(block); }
void operator delete[](void* block, std::align_val_t) noexcept { released(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { released(block); }
void operator delete[](void* block, std::size_t, std::align_val_t) noexcept { released(block); }

namespace {

/// A change somewhere in a file: of bits, bytes or ranges, or of a number of its text into one that
/// claims something else.
class mutations {
 public:
  explicit mutations(std::uint64_t seed) : random_(seed) {}

  io::buffer operator()(io::buffer file) {
    int const count = 1 + static_cast<int>(below(3));
    for (int i = 0; i < count; ++i) change(file);
    return file;
  }

 private:
  std::size_t below(std::size_t n) { return n == 0 ? 0 : random_() % n; }
  std::byte any_byte() { return static_cast<std::byte>(below(256)); }

  void change(io::buffer& file) {
    if (file.empty()) return;
    std::size_t const at = below(file.size());
    std::size_t const count = 1 + below(std::min<std::size_t>(file.size() - at, 40));
    auto const begin = file.begin() + static_cast<std::ptrdiff_t>(at);
    auto const end = begin + static_cast<std::ptrdiff_t>(count);
    switch (below(9)) {
      case 0:
        *begin ^= static_cast<std::byte>(1u << below(8));
        break;
      case 1:
        *begin = any_byte();
        break;
      case 2:
        std::generate(begin, end, [&] { return any_byte(); });
        break;
      case 3:
        file.erase(begin, end);
        break;
      case 4: {
        io::buffer more(count);
        std::ranges::generate(more, [&] { return any_byte(); });
        file.insert(begin, more.begin(), more.end());
        break;
      }
      case 5: {  // a part of it once more, elsewhere
        io::buffer const part(begin, end);
        std::size_t const to = below(file.size() - count + 1);
        std::ranges::copy(part, file.begin() + static_cast<std::ptrdiff_t>(to));
        break;
      }
      case 6:
        file.resize(at);
        break;
      default:
        claim(file);
    }
  }

  /// Another number in place of one of the text, and the header's length with it.
  void claim(io::buffer& file) {
    static constexpr std::array numbers{"0",
                                        "1",
                                        "2",
                                        "3",
                                        "-1",
                                        "16",
                                        "1000000",
                                        "1e9",
                                        "0.5",
                                        "2147483648",
                                        "4294967296",
                                        "1099511627776",
                                        "9223372036854775808",
                                        "18446744073709551615",
                                        "18446744073709551616"};
    std::string text = io_test::text_of(file);
    std::vector<std::pair<std::size_t, std::size_t>> found;
    for (std::size_t i = 8; i < std::min<std::size_t>(text.size(), 4096); ++i) {
      std::size_t const end = text.find_first_not_of("0123456789", i);
      if (end == text.npos) break;
      if (end > i) found.emplace_back(i, end - i);
      i = end;
    }
    if (found.empty()) return;
    auto const [at, length] = found[below(found.size())];
    std::string const number = numbers[below(numbers.size())];
    text.replace(at, length, number);
    std::uint64_t header = 0;
    std::memcpy(&header, text.data(), sizeof header);
    if (header < text.size()) {  // a file with a header, not a recipe
      header = header + number.size() - length;
      std::memcpy(text.data(), &header, sizeof header);
    }
    file = io_test::bytes_of(text);
  }

  std::mt19937_64 random_;
};

struct tally {
  int refused = 0, as_before = 0;
};

/// Reads `count` mutations of a file. `read` gives what the file means, as text or bytes, or throws
/// tweedie::error; it may take a block of `usual` bytes whatever the file's size is.
template <class Read>
tally mutate(io::buffer const& whole, int count, std::uint64_t seed, Read read,
             std::size_t usual = 16384) {
  auto const meaning = read(whole);
  mutations mutated(seed);
  tally all;
  for (int i = 0; i < count; ++i) {
    io::buffer const file = mutated(whole);
    std::size_t const most = std::max<std::size_t>(2 * file.size(), usual);
    largest_block = 0;
    try {
      bool const same = read(file) == meaning;
      BOOST_TEST(same, "mutation " << i << " was read as something else");
      all.as_before += same;
    } catch (error const& e) {
      std::string const sentence = e.what();
      BOOST_TEST(std::ranges::all_of(sentence, [](char c) { return c >= ' ' && c <= '~'; }),
                 "mutation " << i << " is not refused in printable ASCII: " << sentence);
      BOOST_TEST(sentence.size() < 2000u,
                 "mutation " << i << ": " << sentence.size() << " letters");
      ++all.refused;
    }
    BOOST_TEST(largest_block <= most,
               "mutation " << i << " of " << file.size() << " bytes took " << largest_block);
  }
  BOOST_TEST(all.refused > 0);
  BOOST_TEST_MESSAGE(all.refused << " refused, " << all.as_before << " as before");
  return all;
}

struct scrambled {
  using kind = kinds::network;
  void operator()(batch const& b) const {
    for (std::size_t row = 0; row < b.rows(); ++row)
      for (std::size_t i = 0; i < b.elements; ++i) b.out_of(row)[i] = 0.7f * b.x_of(row)[i];
  }
};

void of_states(any_plan const& plan, request const& r, labels const& given, std::uint64_t seed) {
  io_test::folder const place;
  auto const first = place / "state", again = place / "again";
  state s = plan.start(r, given);
  plan.advance(s);
  plan.advance(s);
  save_state(first, plan, s);
  mutate(io::read_file(first), 1000, seed, [&](io::buffer const& file) {
    io::write_file(first, file);
    state const loaded = load_state(first, plan);
    auto const most = largest_block.load();
    save_state(again, plan, loaded);
    auto const bytes = io::read_file(again);
    largest_block = most;  // of the loading alone
    return bytes;
  });
}

auto const base = schedules::cosine{} | predicts::v{};

}  // namespace

BOOST_AUTO_TEST_CASE(mutated_states) {
  request const r{.shape = {3, 1, 5, 7}, .seed = 11, .first_id = 4};
  auto const guided = base | guidance::classifier_free{2} | samplers::dpmpp_3m{} | scrambled{};
  of_states(guided.plan(5), r, {1, 2, 3}, 1);
  request masked = r;
  masked.known = {r.shape, std::vector<float>(105, 0.5f)};
  masked.mask = {{3, 1, 5, 7}, std::vector<float>(105)};
  for (std::size_t i = 0; i < 105; i += 2) masked.mask.data[i] = 1;
  auto const repaint = base | samplers::repaint{samplers::ancestral{}, 2} | scrambled{};
  of_states(repaint.plan(5), masked, {no_label}, 2);
}

// What the header claims, the rest of the file as it was: 23 GB of samples in some 1400 bytes.
BOOST_AUTO_TEST_CASE(a_state_claims_what_it_does_not_hold) {
  io_test::folder const place;
  auto const plan = (base | samplers::ancestral{} | scrambled{}).plan(5);
  state s = plan.start({.shape = {1, 1, 5, 7}});
  plan.advance(s);
  auto const path = place / "state";
  save_state(path, plan, s);
  auto const sound = io::read_safetensors(path, {.must_be_finite = false});
  auto const refused = [&](std::initializer_list<std::string_view> parts, auto change) {
    auto file = sound;
    change(file);
    io::write_safetensors(path, file);
    largest_block = 0;
    io_test::check_error([&] { load_state(path, plan); }, parts);
    BOOST_TEST(largest_block < 16384u);
  };
  auto const shape_of = [](std::vector<std::uint64_t> shape) {
    return [shape](io::tensor_file& file) {
      for (auto& t : file.tensors)
        if (t.name == "shape") t = io::make_tensor<std::uint64_t>("shape", {shape.size()}, shape);
    };
  };
  refused({"\"x\" has the shape [1, 40]; expected [1, 6000000000]"}, shape_of({6'000'000'000}));
  refused({"memory can hold"}, shape_of({~std::uint64_t{0}, 3}));
  refused({"memory can hold"}, shape_of({1, 5, 0}));
  refused({"\"x\" has the shape"}, shape_of({~std::uint64_t{0}}));
  refused({"was changed since it was written"}, shape_of({1, 7, 5}));
  refused({"0 extents"}, shape_of({}));
  auto const text = [](std::string key, std::string value) {
    return [=](io::tensor_file& file) { file.metadata[key] = value; };
  };
  refused({"after 1000 evaluations was given; expected at most the plan's 5"},
          text("evaluated", "1000"));
  refused({"was changed since"}, text("evaluated", "2"));
  refused({"evaluated is \"many\""}, text("evaluated", "many"));
  refused({"version \"2\"", "another release", "expected version 3"}, text("tweedie.state", "2"));
  refused({"extra tensor \"y\""}, [](io::tensor_file& file) {
    file.tensors.push_back(io::make_tensor<std::uint64_t>("y", {1}, std::vector<std::uint64_t>{1}));
  });
}

BOOST_AUTO_TEST_CASE(mutated_checkpoints) {
  // What a checkpoint is: weights, moments, losses and settings under a seal.
  io::tensor_file checkpoint;
  std::mt19937_64 random(5);
  for (std::string const prefix : {"weights.", "average.", "moment1.", "moment2."})
    for (std::size_t const size : {3u, 40u}) {
      std::vector<float> values(size);
      for (float& v : values) v = static_cast<float>(random() % 1000) / 500 - 1;
      checkpoint.tensors.push_back(
          io::make_tensor<float>(prefix + std::to_string(size), {size}, values));
    }
  checkpoint.tensors.push_back(io::make_tensor<double>("losses", {2}, std::vector{0.5, 0.25}));
  checkpoint.metadata = {
      {"format", "tweedie checkpoint 2"}, {"step", "2"}, {"setting rate", "1e-3"}};
  io::seal(checkpoint);
  io_test::folder const place;
  mutate(io::to_safetensors(checkpoint), 2000, 3, [&](io::buffer const& file) {
    io::write_file(place / "c", file);
    auto read = io::read_safetensors(place / "c");
    io::expect_sealed(read);
    std::ranges::sort(read.tensors, {}, &io::tensor::name);
    return io::to_safetensors(read);
  });
}

BOOST_AUTO_TEST_CASE(mutated_recipes) {
  using ready::recipe_format;
  std::string const toml = R"(title = "quiet \"q\" title"
schedule = { name = "linear", beta_last = 0.015, steps = 200 }
guidance = { name = "classifier_free", w = 2, within = [10, 150.5] }
threshold = { name = "clip", limit = 0.9 }
sampler = { name = "unipc_2", b = "h" }
grid = { name = "karras", sigma_max = 20 }
steps = 7
)";
  std::string const json = R"({"title": "a \"b\"", "predicts": "epsilon",
    "schedule": {"name": "linear", "beta_last": 0.015, "steps": 200},
    "guidance": {"name": "classifier_free", "w": 2, "within": [10, 150.5]},
    "sampler": {"name": "ddim_eta", "eta": 0.5}, "grid": {"name": "karras"}, "steps": 7})";
  for (auto const& [text, format] :
       {std::pair(toml, recipe_format::toml), std::pair(json, recipe_format::json)})
    mutate(
        io_test::bytes_of(text), 500, 7,
        [format = format](io::buffer const& file) {
          // Another number is another recipe; what it says must come back.
          auto const written =
              ready::to_toml(ready::parse_recipe(io_test::text_of(file), format, "given"));
          return ready::to_toml(ready::parse_recipe(written, recipe_format::toml, "given")) ==
                 written;
        },
        16 << 20);  // a schedule may be a table of a million steps
}
