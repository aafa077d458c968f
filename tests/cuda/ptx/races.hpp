// Two threads of a block that touch the same word of shared memory with no barrier between them, at
// least one of them writing: the order in which threads happen to run here would hide it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ptx {

class shared_races {
 public:
  static constexpr std::uint32_t nobody = ~0u, several = ~0u - 1;
  enum class kinds : std::uint8_t { load, store, atomic };

  explicit shared_races(std::size_t bytes) : words_((bytes + 3) / 4) {}

  /// Another thread that touched the word since the last barrier, or nobody. Atomics may meet.
  std::uint32_t touch(std::size_t offset, std::uint32_t who, kinds kind) {
    word& w = words_[offset / 4];
    if (w.interval != interval_) w = {interval_, w.is_written, nobody, nobody, nobody};
    auto const other = [who](std::uint32_t last) {
      return last == nobody || last == who ? nobody : last;
    };
    std::uint32_t met = nobody;
    auto const meet = [&](std::uint32_t last) {
      if (met == nobody) met = other(last);
    };
    meet(w.writer);
    if (kind != kinds::atomic) meet(w.atomic);
    if (kind != kinds::load) meet(w.reader);
    std::uint32_t& mine = kind == kinds::load    ? w.reader
                          : kind == kinds::store ? w.writer
                                                 : w.atomic;
    mine = mine == nobody || mine == who ? who : several;
    if (kind != kinds::load) w.is_written = true;
    return met;
  }
  bool is_written(std::size_t offset) const { return words_[offset / 4].is_written; }

  void barrier() { ++interval_; }
  void next_block() {
    ++interval_;
    for (word& w : words_) w.is_written = false;
  }

 private:
  struct word {
    std::uint64_t interval = 0;
    bool is_written = false;
    std::uint32_t writer = nobody, reader = nobody, atomic = nobody;
  };
  std::vector<word> words_;
  std::uint64_t interval_ = 1;
};

}  // namespace ptx
