// The library of another build, as far as a program asks before it believes it.
#include <cstddef>

extern "C" std::size_t tweedie_unet_layout();
extern "C" std::size_t tweedie_unet_layout() { return 0; }
