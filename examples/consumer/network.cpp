// Part of the program where the U-Net is installed: it stops at its start if LibTorch's part of it
// is not found by its name alone, wherever it was built.
#include <dlfcn.h>

#include <stdexcept>

#include <tweedie/networks/unet_file.hpp>
#include <tweedie/networks/unet_network.hpp>

namespace {
bool const found = [] {
  if (!dlopen("libtweedie_unet_torch.so", RTLD_NOW)) throw std::runtime_error(dlerror());
  tweedie::networks::unet const network(tweedie::networks::unet_config::tiny(), 1);
  return network.elements() == 64;
}();
}  // namespace
