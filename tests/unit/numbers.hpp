// The numbers that prove a method, for the table of docs/methods.md: a test records what it
// measured, and the test `docs.methods` holds the table to it.
#pragma once

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include <fmt/format.h>

namespace laws {

/// `record("heun", "order", 2.004)`: under the key, with the test's file and name. Nothing happens
/// where $TWEEDIE_NUMBERS names no folder.
inline void record(std::string const& key, std::string const& what, double value) {
  BOOST_TEST_MESSAGE(key << ": " << what << " " << value);
  char const* folder = std::getenv("TWEEDIE_NUMBERS");
  if (!folder) return;
  auto const& test = boost::unit_test::framework::current_test_case();
  // Of .../test_orders.cpp "orders".
  boost::unit_test::const_string const file = test.p_file_name;
  std::string const stem = std::filesystem::path(file.begin(), file.end()).stem().string();
  std::filesystem::create_directories(folder);
  std::ofstream(std::filesystem::path(folder) / key) << fmt::format(
      "{}\t{}\t{}\t{:.3g}\n", stem.substr(sizeof("test_") - 1), test.p_name.get(), what, value);
}

/// The largest of the values recorded so far under the key.
inline void record_largest(std::string const& key, std::string const& what, double value) {
  static std::map<std::string, double> largest;
  auto const [there, fresh] = largest.emplace(key, value);
  if (!(value <= there->second)) there->second = value;
  record(key, what, there->second);
}

}  // namespace laws
