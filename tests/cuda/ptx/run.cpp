#include "run.hpp"

#include <algorithm>

#include "fault.hpp"

namespace ptx {

void fail(thread const& t, instruction const& i, std::string const& what) {
  block const& b = *t.in;
  auto block_name = std::to_string(b.x);
  if (b.y + b.z > 0) block_name += ", " + std::to_string(b.y) + ", " + std::to_string(b.z);
  throw fault("thread " + std::to_string(t.index) + " of block " + block_name + ": " + what + "; " +
              b.of->text[i.source] + " of " + b.of->name);
}

namespace {

/// Until the thread waits or leaves. Returns its instructions.
std::uint64_t advance(thread& t, std::uint64_t limit) {
  entry const& e = *t.in->of;
  instruction const* const code = e.code.data();
  std::uint64_t steps = 0;
  for (;;) {
    instruction const& i = code[t.at++];
    if (++steps > limit) fail(t, i, "the thread has not ended after so many instructions");
    if (i.guard != no_register && static_cast<bool>(t.r[i.guard] & 1) == i.negated) continue;
    if (flow const f = i.run(t, i); f != flow::next) {
      t.state = f;
      return steps;
    }
  }
}

}  // namespace

std::uint64_t run(entry const& e, extent grid, extent size, unsigned char const* parameters,
                  memory& global, std::uint64_t limit) {
  for (auto const& i : e.code) i.hint = nullptr;  // buffers may have gone since the last launch
  // A literal's register never changes, so that without barriers one thread's registers do for all.
  std::uint64_t const threads = size.size(), files = e.has_barriers ? threads : 1;
  std::size_t const count = e.registers.size();
  std::vector<std::uint64_t> registers(count * files);
  for (std::uint64_t f = 0; f < files; ++f)
    std::ranges::copy(e.registers, registers.begin() + static_cast<std::ptrdiff_t>(f * count));
  std::vector<unsigned char> shared(e.shared_bytes);
  shared_races races(e.shared_bytes);
  block in{&e, &global, parameters, &shared, &races};
  std::vector<thread> all(threads);
  std::uint64_t steps = 0;

  auto const place = [&](thread& t, std::uint64_t n) {
    t = {registers.data() + (files == 1 ? 0 : n * count), &in, static_cast<std::uint32_t>(n)};
    auto const index = static_cast<std::uint32_t>(n);
    std::uint32_t const values[] = {index % size.x,
                                    index / size.x % size.y,
                                    index / size.x / size.y,
                                    size.x,
                                    size.y,
                                    size.z,
                                    in.x,
                                    in.y,
                                    in.z,
                                    grid.x,
                                    grid.y,
                                    grid.z};
    for (std::size_t i = 0; i < std::size(values); ++i)
      if (e.special[i] != no_register) t.r[e.special[i]] = values[i];
  };

  for (in.z = 0; in.z < grid.z; ++in.z)
    for (in.y = 0; in.y < grid.y; ++in.y)
      for (in.x = 0; in.x < grid.x; ++in.x) {
        races.next_block();
        std::uint64_t left = 0;
        for (std::uint64_t n = 0; n < threads; ++n) {
          place(all[n], n);
          thread& t = all[n];
          steps += advance(t, limit);
          if (t.state == flow::exit) ++left;
        }
        while (left < threads) {
          if (left > 0) {
            auto const stuck = std::ranges::find(all, flow::barrier, &thread::state);
            fail(*stuck, e.code[stuck->at - 1],
                 "it waits for " + std::to_string(left) + " threads of its block that have left");
          }
          races.barrier();
          std::uint32_t const where = all[0].at;
          for (thread const& t : all)
            if (t.at != where)
              fail(t, e.code[t.at - 1], "it waits at another barrier than thread 0 of its block");
          for (thread& t : all) {
            steps += advance(t, limit);
            if (t.state == flow::exit) ++left;
          }
        }
      }
  return steps;
}

}  // namespace ptx
