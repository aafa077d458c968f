// A progress bar on standard error; where that is no terminal, a line now and then.
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>

#include "say.hpp"

namespace tweedie::tool {

/// "1 h 02 min", "3 min 20 s", "12 s"
inline std::string duration_text(double seconds) {
  auto const s = static_cast<long>(std::max(seconds, 0.0) + 0.5);
  if (s >= 3600) return fmt::format("{} h {:02} min", s / 3600, s / 60 % 60);
  if (s >= 60) return fmt::format("{} min {:02} s", s / 60, s % 60);
  return fmt::format("{} s", s);
}

class progress {
 public:
  using clock = std::chrono::steady_clock;

  progress(std::string what, std::size_t total, std::size_t done = 0)
      : what_(std::move(what)), total_(total), first_(done), terminal_(isatty(2) != 0) {}
  progress(progress const&) = delete;
  progress& operator=(progress const&) = delete;
  ~progress() { clear(); }

  /// Seconds since the beginning.
  double seconds() const { return std::chrono::duration<double>(clock::now() - begin_).count(); }
  /// Units per second since the beginning.
  double rate(std::size_t done) const {
    return static_cast<double>(done - first_) / std::max(seconds(), 1e-9);
  }

  /// `facts()` is asked only where something is shown.
  template <class Facts> void update(std::size_t done, Facts&& facts) {
    auto const now = clock::now();
    auto const pause = terminal_ ? std::chrono::milliseconds(100) : std::chrono::seconds(30);
    if (now - shown_ < pause && (done != total_ || !terminal_)) return;
    shown_ = now;
    double const left = static_cast<double>(total_ - done) / std::max(rate(done), 1e-9);
    std::string const tail = fmt::format("{}/{}  {}  {} left", done, total_, facts(),
                                         done > first_ ? duration_text(left) : "?");
    if (!terminal_) {
      say("{}: {}\n", what_, tail);
      return;
    }
    std::size_t const width = 24, full = total_ ? done * width / total_ : width;
    std::string bar;
    for (std::size_t i = 0; i < width; ++i) bar += i < full ? "█" : "░";
    say("\r{} {} {}\033[K", what_, bar, tail);
    std::fflush(stderr);
    drawn_ = true;
  }

  /// Takes the bar away, so that a sentence can be printed.
  void clear() {
    if (drawn_) say("\r\033[K");
    drawn_ = false;
  }

 private:
  std::string what_;
  std::size_t total_, first_;
  bool terminal_, drawn_ = false;
  clock::time_point begin_ = clock::now();
  clock::time_point shown_ = begin_ - std::chrono::hours(1);  // the first update is shown at once
};

}  // namespace tweedie::tool
