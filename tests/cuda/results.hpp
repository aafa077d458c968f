// What kernels wrote, from one build of a source to another: the CPU's writes them to a file, the
// GPU's or the interpreter's is held to that file, bit for bit. Where one is NaN the other is one:
// machines differ in its bits.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace kernels {

class results {
 public:
  /// `--write FILE` or `--check FILE`
  results(int count, char** words) {
    if (count != 3 ||
        (std::strcmp(words[1], "--write") != 0 && std::strcmp(words[1], "--check") != 0))
      throw std::runtime_error("usage: --write FILE, or --check FILE");
    checks_ = std::strcmp(words[1], "--check") == 0;
    file_ = std::fopen(words[2], checks_ ? "rb" : "wb");
    if (!file_) throw std::runtime_error(std::string("cannot open ") + words[2]);
  }
  ~results() { std::fclose(file_); }
  results(results const&) = delete;
  results& operator=(results const&) = delete;

  bool checks() const { return checks_; }

  void keep(std::string const& name, std::span<float const> found) {
    if (!checks_) {
      number(name.size());
      std::fwrite(name.data(), 1, name.size(), file_);
      number(found.size());
      std::fwrite(found.data(), sizeof(float), found.size(), file_);
      return;
    }
    std::string const expected_name(text());
    if (name != expected_name)
      throw std::runtime_error("the file's next result is '" + expected_name + "', not '" + name +
                               "'");
    std::vector<float> expected(number());
    if (std::fread(expected.data(), sizeof(float), expected.size(), file_) != expected.size())
      throw std::runtime_error("the file ends within " + name);
    expect(expected.size() == found.size(), name + ": another number of elements");
    for (std::size_t i = 0; i < found.size() && i < expected.size(); ++i) {
      auto const a = std::bit_cast<std::uint32_t>(found[i]),
                 b = std::bit_cast<std::uint32_t>(expected[i]);
      ++compared_;
      if (a == b || (std::isnan(found[i]) && std::isnan(expected[i]))) continue;
      char line[160];
      std::snprintf(line, sizeof line, ", element %zu: %a (0x%08x) instead of %a (0x%08x)", i,
                    static_cast<double>(found[i]), a, static_cast<double>(expected[i]), b);
      expect(false, name + line);
      break;
    }
  }

  void expect(bool right, std::string const& what) {
    if (right) return;
    ++wrong_;
    if (wrong_ <= 40) std::printf("WRONG: %s\n", what.c_str());
  }
  std::uint64_t compared() const { return compared_; }
  int wrong() const { return wrong_; }

 private:
  void number(std::uint64_t n) { std::fwrite(&n, sizeof n, 1, file_); }
  std::uint64_t number() {
    std::uint64_t n = 0;
    if (std::fread(&n, sizeof n, 1, file_) != 1)
      throw std::runtime_error("the file ends too early");
    return n;
  }
  std::string text() {
    std::string s(number(), ' ');
    if (std::fread(s.data(), 1, s.size(), file_) != s.size())
      throw std::runtime_error("the file ends within a name");
    return s;
  }

  bool checks_ = false;
  std::FILE* file_ = nullptr;
  std::uint64_t compared_ = 0;
  int wrong_ = 0;
};

}  // namespace kernels
