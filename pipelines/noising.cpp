#include <tweedie/pipelines/noising.hpp>

#include <tweedie/dsl/device/launch.hpp>
#include <tweedie/pipelines/state_layout.hpp>

namespace tweedie {

void add_noise(state& s, images const& clean, level t) {
  using namespace symbols;
  detail::check_shape(s, clean);
  buffer const rows = detail::padded(clean.data, s.elements);
  // On the host, whatever the state's place: the clean samples are there, and the bits are the
  // same.
  buffer made(s.where.on_device() ? rows.size() : 0);
  launch(
      step(x = t.alpha * known + t.sigma * noise_stream<noising_stream>),
      bindings{bind(x, s.where.on_device() ? made.data() : s.x.data()), bind(known, rows.data())},
      {.count = s.samples, .pitch = s.pitch, .keys = s.keys.data()});
  s.x.put(0, made.data(), made.size());
}

images noised(images const& clean, level t, request r) {
  r.shape = clean.shape;
  r.known = r.mask = {};  // of a request that a sampler may have, too
  state s = state_layout{.branches = 0}.make(r, label{});
  add_noise(s, clean, t);
  return take(s);
}

}  // namespace tweedie
