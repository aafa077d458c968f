// What stops the interpreter: a sentence that names the instruction, the thread and the address.
#pragma once

#include <stdexcept>

namespace ptx {

struct fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace ptx
