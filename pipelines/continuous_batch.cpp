#include <tweedie/pipelines/continuous_batch.hpp>

#include <algorithm>
#include <map>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tweedie/dsl/launch.hpp>

namespace tweedie {
namespace {

/// A buffer with room for more, what is in it kept.
void grow(buffer& b, std::size_t floats) {
  if (b.size() >= floats) return;
  buffer larger(std::max(floats, 2 * b.size()));
  std::copy_n(b.data(), b.size(), larger.data());
  b = std::move(larger);
}

}  // namespace

continuous_batch::continuous_batch(std::shared_ptr<any_plan const> like,
                                   std::vector<std::size_t> shape)
    : like_(std::move(like)) {
  if (like_->layout().noise_given)
    throw error(
        "a plan whose noise is the caller's own was given to a continuous batch, expected one that "
        "draws it: remove noise_from");
  s_.shape = std::move(shape);
  s_.elements = detail::product_of(s_.shape);
  if (s_.shape.empty() || s_.elements == 0)
    throw error(
        fmt::format("a continuous batch of samples of shape {{{}}} was asked for, expected extents "
                    "of 1 or more",
                    fmt::join(s_.shape, ", ")));
  s_.pitch = pitch_of(s_.elements);
  auto const& layout = like_->layout();
  s_.branches = layout.branches;
  s_.outputs = layout.outputs();
  s_.keep.resize(layout.keeps);
  s_.past_x0.resize(layout.past_x0);
  s_.past_eps.resize(layout.past_eps);
  s_.memory.resize(layout.memories);
  s_.scratch.resize(layout.scratches);
}

/// Buffers of a row a sample that outlive an evaluation.
template <class F> void continuous_batch::each_row_buffer(state& of, F f) {
  f(of.x);
  for (auto* all : {&of.keep, &of.past_x0, &of.past_eps, &of.memory})
    for (buffer& b : *all) f(b);
  if (like_->layout().uses_known) f(of.known);
}

std::size_t continuous_batch::find(std::uint64_t id) const {
  return static_cast<std::size_t>(std::ranges::find(members_, id, &member::id) - members_.begin());
}

/// Room for so many rows. What a network of several inputs sees lies in blocks of all rows, which
/// move when their number changes.
void continuous_batch::resize(std::size_t samples) {
  auto const& layout = like_->layout();
  std::size_t const n = samples * s_.pitch;
  each_row_buffer(s_, [&](buffer& b) { grow(b, n); });
  for (buffer& b : s_.scratch) grow(b, n);
  grow(s_.out, layout.outputs() * n);
  if (layout.scratches > 0) grow(s_.reduced, sym::most_reductions * samples);
  if (layout.inputs > 0) {
    std::size_t const bytes = layout.input == element_type::float32 ? 4 : 2;
    buffer moved(std::max(s_.net_in.size(), layout.inputs * n));
    auto* const from = reinterpret_cast<std::byte const*>(s_.net_in.data());
    auto* const to = reinterpret_cast<std::byte*>(moved.data());
    std::size_t const kept = std::min(samples, s_.samples) * s_.pitch * bytes;
    for (std::size_t k = 0; k < layout.inputs && kept > 0; ++k)
      std::copy_n(from + k * s_.samples * s_.pitch * bytes, kept, to + k * n * bytes);
    s_.net_in = std::move(moved);
  }
  if (layout.uses_mask) grow(s_.mask, samples * s_.mask_stride);
  s_.keys.resize(samples);
  s_.samples = samples;
}

void continuous_batch::gather_labels() {
  s_.labels.clear();
  for (std::size_t c = 0; c < like_->layout().conditions; ++c)
    for (member const& m : members_) s_.labels.push_back(m.labels[c]);
}

void continuous_batch::join(std::shared_ptr<any_plan const> plan, joining const& request) {
  if (find(request.id) < members_.size())
    throw error(fmt::format(
        "a sample with the id {} was given to a batch that has one; expected another id",
        request.id));
  plan_layout alike = plan->layout();
  alike.scratches = like_->layout().scratches;  // how many reductions a grid's structures have
  if (!(alike == like_->layout()))
    throw error(
        "a plan of another kind was given to a continuous batch; expected one with the branches, "
        "histories and kept values of the plan that it was made with");
  std::vector<std::size_t> shape{1};
  shape.insert(shape.end(), s_.shape.begin(), s_.shape.end());
  state one = plan->start({.shape = shape,
                           .seed = request.seed,
                           .first_id = request.id,
                           .known = request.known,
                           .mask = request.mask},
                          request.given);
  if (alike.uses_mask && !members_.empty() && one.mask_period != s_.mask_period)
    throw error(fmt::format(
        "a mask of {} values was given to a batch with masks of {}; expected one of their shape",
        one.mask_period, s_.mask_period));

  std::size_t const row = members_.size();
  s_.mask_period = one.mask_period;
  s_.mask_stride = pitch_of(one.mask_period);
  s_.scratch.resize(std::max(s_.scratch.size(), plan->layout().scratches));
  if (plan->layout().scratches > 0) grow(s_.reduced, sym::most_reductions * (row + 1));
  resize(row + 1);
  std::vector<buffer*> from;
  each_row_buffer(one, [&](buffer& b) { from.push_back(&b); });
  std::size_t i = 0;
  each_row_buffer(
      s_, [&](buffer& b) { std::copy_n(from[i++]->data(), s_.pitch, b.data() + row * s_.pitch); });
  if (alike.uses_mask)
    std::copy_n(one.mask.data(), s_.mask_stride, s_.mask.data() + row * s_.mask_stride);
  std::size_t const bytes = alike.input == element_type::float32 ? 4 : 2;
  for (std::size_t k = 0; k < alike.inputs; ++k)
    std::copy_n(
        reinterpret_cast<std::byte const*>(one.net_in.data()) + k * s_.pitch * bytes,
        s_.pitch * bytes,
        reinterpret_cast<std::byte*>(s_.net_in.data()) + (k * s_.samples + row) * s_.pitch * bytes);
  s_.keys[row] = one.keys[0];
  members_.push_back({std::move(plan), request.id, one.labels, 0});
  gather_labels();
}

/// The last row takes the place of one that leaves.
void continuous_batch::remove(std::size_t row) {
  auto const& layout = like_->layout();
  std::size_t const last = members_.size() - 1;
  if (row != last) {
    each_row_buffer(s_, [&](buffer& b) {
      std::copy_n(b.data() + last * s_.pitch, s_.pitch, b.data() + row * s_.pitch);
    });
    if (layout.uses_mask)
      std::copy_n(s_.mask.data() + last * s_.mask_stride, s_.mask_stride,
                  s_.mask.data() + row * s_.mask_stride);
    std::size_t const bytes = s_.pitch * (layout.input == element_type::float32 ? 4 : 2);
    for (std::size_t k = 0; k < layout.inputs; ++k) {
      auto* const block = reinterpret_cast<std::byte*>(s_.net_in.data()) + k * s_.samples * bytes;
      std::copy_n(block + last * bytes, bytes, block + row * bytes);
    }
    s_.keys[row] = s_.keys[last];
    members_[row] = std::move(members_[last]);
  }
  members_.pop_back();
  resize(last);
  gather_labels();
}

void continuous_batch::cancel(std::uint64_t id) {
  std::size_t const row = find(id);
  if (row == members_.size())
    throw error(fmt::format("sample {} was cancelled, the batch has no such id", id));
  remove(row);
}

std::vector<finished_sample> continuous_batch::advance() {
  launches_ = 0;
  if (members_.empty()) return {};
  std::vector<level> seen;
  any_plan::row asked;
  std::map<runnable const*, std::vector<std::uint32_t>> groups;
  auto const row_of = [&](std::size_t i) -> any_plan::row const& {
    return members_[i].plan->rows()[members_[i].evaluated];
  };
  for (std::size_t i = 0; i < members_.size(); ++i) {
    any_plan::row const& r = row_of(i);
    seen.push_back(r.where);
    asked.branches = std::max(asked.branches, r.branches);
    asked.extras |= r.extras;
    groups[members_[i].plan->structures()[r.structure].code.get()].push_back(
        static_cast<std::uint32_t>(i));
  }
  like_->evaluate(asked, s_, seen);

  std::vector<float> table;
  for (auto const& [program, which] : groups) {
    std::size_t const line = row_of(which[0]).count;
    table.clear();
    for (std::uint32_t i : which) {
      auto const numbers = members_[i].plan->rounded(row_of(i));
      table.insert(table.end(), numbers.begin(), numbers.end());
    }
    bool const all = which.size() == members_.size();
    program->launch({table.data(), line}, s_,
                 {.count = which.size(),
                  .pitch = s_.pitch,
                  .keys = s_.keys.data(),
                  .elements = s_.elements,
                  .which = all ? nullptr : which.data()});
    ++launches_;
  }
  ++s_.evaluated;  // turns the rings: every sample has made one evaluation
  for (sample_key& key : s_.keys) ++key.step;

  std::vector<finished_sample> done;
  for (std::size_t i = members_.size(); i-- > 0;)
    if (++members_[i].evaluated == members_[i].plan->rows().size()) {
      finished_sample f{members_[i].id, {{1}, std::vector<float>(s_.elements)}};
      f.sample.shape.insert(f.sample.shape.end(), s_.shape.begin(), s_.shape.end());
      std::copy_n(s_.x.data() + i * s_.pitch, s_.elements, f.sample.data.data());
      done.push_back(std::move(f));
      remove(i);
    }
  std::ranges::reverse(done);
  return done;
}

}  // namespace tweedie
