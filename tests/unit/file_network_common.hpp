// What tests of networks in files share: a network of one Gaussian a label, and its samples.
#pragma once

#include <cmath>
#include <filesystem>
#include <string>

#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include <tweedie/tweedie.hpp>

namespace file_network {

struct folder {
  std::filesystem::path path;
  explicit folder(std::string const& name)
      : path(std::filesystem::temp_directory_path() /
             ("tweedie_" + name + "_" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(path);
  }
  folder(folder const&) = delete;
  folder& operator=(folder const&) = delete;
  ~folder() { std::filesystem::remove_all(path); }
  std::filesystem::path operator()(char const* name) const { return path / name; }
};

/// x0 of data N(m, 0.25) at the level rho: what onnx_file::gaussian and torchscript_file's are.
struct twin {
  using kind = tweedie::kinds::network;
  void operator()(tweedie::batch const& b) const {
    for (std::size_t row = 0; row < b.rows(); ++row) {
      int const label = b.label_of(row);
      double const m = label == tweedie::no_label ? 0.25 : -0.5 + 0.5 * label,
                   rho = b.level_of(row).rho();
      for (std::size_t i = 0; i < b.elements; ++i)
        b.out_of(row)[i] =
            static_cast<float>(m + (double{b.x_of(row)[i]} - m) * 0.25 / (0.25 + rho * rho));
    }
  }
};

inline std::string changed(std::string text, std::string const& from, std::string const& to) {
  return text.replace(text.find(from), from.size(), to);
}

/// Samples of a pipeline over a network: guided by the null label, three labels.
template <class Network> tweedie::images drawn(Network const& network, std::size_t count = 7) {
  using namespace tweedie;
  auto const pipeline = schedules::edm{} | predicts::x0{} | guidance::classifier_free{.w = 0.5} |
                        samplers::heun_in_rho{} | network;
  labels which;
  for (std::size_t i = 0; i < count; ++i) which.push_back(static_cast<int>(i % 3));
  return pipeline.sample({.shape = {count, 2}, .steps = 8, .seed = 5}, which);
}

inline void expect_near(tweedie::images const& a, tweedie::images const& b, double within) {
  BOOST_TEST_REQUIRE(a.data.size() == b.data.size());
  for (std::size_t i = 0; i < a.data.size(); ++i)
    BOOST_TEST(std::abs(double{a.data[i]} - double{b.data[i]}) < within,
               "value " << i << ": " << a.data[i] << " and " << b.data[i]);
}

}  // namespace file_network
