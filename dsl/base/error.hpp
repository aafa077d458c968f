#pragma once

#include <stdexcept>

namespace tweedie {

/// The one exception of the library: a sentence that says what was given and what was expected.
class error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace tweedie
