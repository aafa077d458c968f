#include "gnuplot.hpp"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdio>
#include <memory>

#include <tweedie/dsl/base/error.hpp>

namespace tweedie::tool {
namespace {

/// A file without a name. Not a pipe: whoever fills one must not wait for who empties it.
class unnamed_file {
 public:
  unnamed_file() : file_(std::tmpfile(), &std::fclose) {
    if (!file_) throw error("no temporary file could be made for gnuplot; expected room in /tmp");
  }
  int descriptor() const { return fileno(file_.get()); }

  void write(std::string const& text) {
    std::size_t const done = std::fwrite(text.data(), 1, text.size(), file_.get());
    if (done != text.size() || std::fflush(file_.get()) != 0)
      throw error("the script for gnuplot could not be written; expected room in /tmp");
    std::rewind(file_.get());
  }
  std::string read() {
    std::rewind(file_.get());
    std::string content;
    char piece[4096];
    while (std::size_t const n = std::fread(piece, 1, sizeof piece, file_.get()))
      content.append(piece, n);
    return content;
  }

 private:
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
};

}  // namespace

std::string gnuplot(std::string const& script, std::string_view last_bytes) {
  unnamed_file in, out, complaints;
  in.write(script);
  posix_spawn_file_actions_t streams;
  posix_spawn_file_actions_init(&streams);
  posix_spawn_file_actions_adddup2(&streams, in.descriptor(), 0);
  posix_spawn_file_actions_adddup2(&streams, out.descriptor(), 1);
  posix_spawn_file_actions_adddup2(&streams, complaints.descriptor(), 2);
  std::string program = "gnuplot", defaults = "-d";  // not the user's own settings
  char* arguments[] = {program.data(), defaults.data(), nullptr};
  pid_t child = 0;
  int const failed = posix_spawnp(&child, "gnuplot", &streams, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&streams);
  if (failed != 0)
    throw error("gnuplot was not found; expected it to be installed (Debian: gnuplot-nox)");
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) throw error("gnuplot was lost; expected it to end by itself");
  if (status != 0)
    throw error(
        fmt::format("gnuplot ended with status {} and said: {}", status, complaints.read()));
  auto picture = out.read();
  if (!picture.ends_with(last_bytes))
    throw error(
        fmt::format("gnuplot wrote a picture of {} bytes that is cut off; expected room in /tmp",
                    picture.size()));
  return picture;
}

std::string quoted(std::string const& text) {
  if (text.find('\n') != std::string::npos)
    throw error(fmt::format("'{}' was given; expected a text without a line break", text));
  std::string word = "'";
  for (char c : text) word += c == '\'' ? std::string("''") : std::string(1, c);
  return word + "'";
}

}  // namespace tweedie::tool
