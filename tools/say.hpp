// What is said beside the result, on standard error: as well as it can be, for work goes on where
// nobody can read it. What is printed on standard output is the result; that it was not written is
// an error.
#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace tweedie::tool {

/// As fmt::print(stderr, ...), which throws where nothing can be written.
template <class... T> void say(fmt::format_string<T...> text, T&&... values) {
  auto const line = fmt::format(text, std::forward<T>(values)...);
  std::fwrite(line.data(), 1, line.size(), stderr);
}

/// At the beginning of main. A stream that is closed is opened on nothing, so that no file of ours
/// gets its number: what is then written to standard output fails. A pipe that nobody reads is a
/// failed write and not the end of the program.
inline void open_streams() {
  for (int stream : {0, 1, 2})
    if (fcntl(stream, F_GETFD) == -1 && errno == EBADF)
      (void)!open("/dev/null", stream == 2 ? O_WRONLY : O_RDONLY);  // the lowest that is free
  std::signal(SIGPIPE, SIG_IGN);
}

/// At the end of main: the exit code, which is 1 where standard output was not written.
inline int close_streams(std::string_view program, int code) {
  errno = 0;
  std::cout.flush();
  bool const failed = std::fflush(stdout) != 0 || std::ferror(stdout) != 0;
  if (!failed || code != 0) return code;
  std::string const why = errno ? fmt::format(" ({})", std::generic_category().message(errno)) : "";
  say("{}: standard output could not be written{}; expected one that takes what is printed\n",
      program, why);
  return 1;
}

}  // namespace tweedie::tool
