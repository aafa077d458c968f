// Ctrl-C, SIGTERM and the end of the terminal as a flag that loops look at; a second signal ends
// the program at once.
#pragma once

#include <csignal>

namespace tweedie::tool {

inline volatile std::sig_atomic_t caught_signal = 0;

inline void catch_interrupts() {
  struct sigaction act {};
  act.sa_handler = [](int signal) { caught_signal = signal; };
  act.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &act, nullptr);
  sigaction(SIGTERM, &act, nullptr);
  struct sigaction before {};
  sigaction(SIGHUP, nullptr, &before);
  if (before.sa_handler != SIG_IGN) sigaction(SIGHUP, &act, nullptr);  // under nohup it goes on
}

inline bool interrupted() { return caught_signal != 0; }
/// As shells have it: 130 for Ctrl-C.
inline int interrupted_exit_code() { return 128 + caught_signal; }

}  // namespace tweedie::tool
