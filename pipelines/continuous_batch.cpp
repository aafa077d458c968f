#include <tweedie/pipelines/continuous_batch.hpp>

#include <algorithm>
#include <bit>
#include <map>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tweedie/dsl/device/launch.hpp>
#include <tweedie/pipelines/driven_loop.hpp>

namespace tweedie {
namespace {

void check_there(std::shared_ptr<any_plan const> const& plan) {
  if (!plan) throw error("no plan, a null pointer, was given to a continuous batch, expected one");
}

/// The same program on some of the rows; the numbers begin at `first`, the rows at `rows`.
struct group {
  runnable const* code;
  std::vector<std::uint32_t> which;
  std::size_t first = 0, line = 0, rows = 0;
};

}  // namespace

continuous_batch::continuous_batch(std::shared_ptr<any_plan const> like,
                                   std::vector<std::size_t> shape, placement const& where)
    : like_(std::move(like)) {
  check_there(like_);
  like_->check_place(where);
  s_.where = where;
  s_.plan = like_->fingerprint();
  if (like_->layout().noise_given)
    throw error(
        "a plan whose noise is the caller's own was given to a continuous batch, expected one that "
        "draws it: remove noise_from");
  s_.shape = std::move(shape);
  if (s_.shape.empty())
    throw error(
        "a continuous batch of samples of shape {} was asked for, expected one extent or more, "
        "such "
        "as {1, 28, 28}");
  std::vector<std::size_t> of_one{1};
  of_one.insert(of_one.end(), s_.shape.begin(), s_.shape.end());
  s_.elements = detail::make_samples({.shape = of_one}, labels{no_label}, 1).elements;
  s_.pitch = pitch_of(s_.elements);
  layout_ = like_->layout();
  layout_.resize(s_, 0);
}

std::size_t continuous_batch::find(std::uint64_t id) const {
  return static_cast<std::size_t>(std::ranges::find(members_, id, &member::id) - members_.begin());
}

void continuous_batch::gather_labels() {
  s_.labels.clear();
  for (std::size_t c = 0; c < layout_.conditions; ++c)
    for (member const& m : members_) s_.labels.push_back(m.labels[c]);
}

void continuous_batch::check_not_asked(char const* what) const {
  if (is_asked_)
    throw error(fmt::format("{} between a question and its answer; expected answer() first", what));
}

void continuous_batch::join(std::shared_ptr<any_plan const> plan, joining const& request) {
  check_there(plan);
  check_not_asked("a sample was given to a batch");
  if (request.id >= std::uint64_t{1} << 48)
    throw error(fmt::format(
        "a sample with the id {} was given to a batch; expected an id below 2^48", request.id));
  if (find(request.id) < members_.size())
    throw error(fmt::format(
        "a sample with the id {} was given to a batch that has one; expected another id",
        request.id));
  state_layout alike = plan->layout();
  std::size_t const scratches = alike.scratches;  // how many reductions a grid's structures have
  alike.scratches = layout_.scratches;
  if (!(alike == layout_))
    throw error(
        "a plan of another kind was given to a continuous batch; expected one with the branches, "
        "histories and kept values of the plan that it was made with");
  using answer = detail::callee::answer;
  if (answer const network = plan->asks_as(*like_); network != answer::same)
    throw error(fmt::format(
        "a plan of {} was given to a continuous batch, which asks one for all samples; expected "
        "the network of the plan that it was made with{}",
        network == answer::other ? "another network"
                                 : "a network that cannot be compared with the batch's",
        network == answer::other
            ? ""
            : ": give its type an operator==, or put std::cref(network) into both pipelines"));
  std::vector<std::size_t> shape{1};
  shape.insert(shape.end(), s_.shape.begin(), s_.shape.end());
  state one = plan->start({.shape = shape,
                           .seed = request.seed,
                           .first_id = request.id,
                           .known = request.known,
                           .mask = request.mask},
                          request.given, s_.where);
  if (alike.uses_mask && !members_.empty() && one.mask_period != s_.mask_period)
    throw error(fmt::format(
        "a mask of {} values was given to a batch with masks of {}; expected one of their shape",
        one.mask_period, s_.mask_period));

  // The first sample says which other conditions there are.
  auto const alike_arrays = [](named_array const& a, named_array const& b) {
    return a.name == b.name && a.shape == b.shape;
  };
  if (members_.empty()) {
    s_.arrays = one.arrays;
  } else if (!std::ranges::equal(one.arrays, s_.arrays, alike_arrays)) {
    auto const names = [](state const& s) {
      std::vector<std::string> r;
      for (named_array const& a : s.arrays)
        r.push_back(fmt::format("'{}' {{{}}}", a.name, fmt::join(a.shape, ", ")));
      return r.empty() ? std::string("none") : fmt::format("{}", fmt::join(r, ", "));
    };
    throw error(fmt::format(
        "a sample with the conditions {} was given to a batch whose samples have {}; expected the "
        "same names and shapes, in that order",
        names(one), names(s_)));
  }

  std::size_t const row = members_.size();
  s_.mask_period = one.mask_period;
  s_.mask_stride = pitch_of(one.mask_period);
  layout_.scratches = std::max(layout_.scratches, scratches);
  layout_.resize(s_, row + 1);
  layout_.copy_sample(one, 0, s_, row);
  members_.push_back({std::move(plan), request.id, one.labels, 0});
  gather_labels();
}

/// The last row takes the place of one that leaves.
void continuous_batch::remove(std::size_t row) {
  std::size_t const last = members_.size() - 1;
  if (row != last) {
    layout_.copy_sample(s_, last, s_, row);
    members_[row] = std::move(members_[last]);
  }
  members_.pop_back();
  layout_.resize(s_, last);
  gather_labels();
}

void continuous_batch::cancel(std::uint64_t id) {
  check_not_asked("a sample was cancelled");
  std::size_t const row = find(id);
  if (row == members_.size())
    throw error(fmt::format("sample {} was cancelled, the batch has no such id", id));
  remove(row);
}

any_plan::row const& continuous_batch::row_of(std::size_t i) const {
  return members_[i].plan->rows()[members_[i].evaluated];
}

any_plan::row continuous_batch::gather_question() {
  any_plan::row asked;
  seen_.clear();
  to_.clear();
  for (std::size_t i = 0; i < members_.size(); ++i) {
    any_plan::row const& r = row_of(i);
    seen_.push_back(r.where);
    to_.push_back(r.to);
    asked.branches = std::max(asked.branches, r.branches);
    asked.extras |= r.extras;
  }
  return asked;
}

std::vector<finished_sample> continuous_batch::advance() {
  check_not_asked("an evaluation was asked for");
  launches_ = 0;
  if (members_.empty()) return {};
  any_plan::row const asked = gather_question();
  like_->evaluate(asked, s_, seen_, to_);
  return apply();
}

batch const* continuous_batch::next() {
  check_not_asked("the next question was asked for");
  if (members_.empty()) return nullptr;
  asked_row_ = gather_question();
  asked_ = like_->batch_of(asked_row_, s_, seen_, to_);
  detail::mark_unwritten(asked_, layout_.output);
  is_asked_ = true;
  return &asked_;
}

std::vector<finished_sample> continuous_batch::answer() {
  if (!is_asked_)
    throw error(
        "an answer was given to a batch that has asked nothing; expected one after each next()");
  if (auto const bad = detail::first_not_finite(asked_, layout_.output))
    throw error(fmt::format(
        "the network's output is {} for sample {}{} at t = {:g}, in element {}; expected finite "
        "numbers",
        bad->value, members_[bad->row % asked_.samples].id,
        asked_.branches > 1 ? fmt::format(" of branch {}", bad->row / asked_.samples) : "",
        asked_.level_of(bad->row).t, bad->element));
  launches_ = 0;
  // The network has answered; what the guidance asks another one is still to come.
  like_->evaluate(asked_row_, s_, seen_, to_, [](batch const&) {});
  is_asked_ = false;
  return apply();
}

std::vector<finished_sample> continuous_batch::apply() {
  std::map<runnable const*, std::vector<std::uint32_t>> rows_of_code;
  for (std::size_t i = 0; i < members_.size(); ++i)
    rows_of_code[members_[i].plan->structures()[row_of(i).structure].code.get()].push_back(
        static_cast<std::uint32_t>(i));

  // The numbers and the rows of all groups in one block: a device is given it at once.
  std::vector<group> groups;
  std::vector<float> numbers;
  for (auto& [code, which] : rows_of_code) {
    groups.push_back({code, std::move(which)});
    group& g = groups.back();
    g.first = numbers.size();
    g.line = row_of(g.which[0]).count;
    for (std::uint32_t i : g.which) {
      auto const of_row = members_[i].plan->rounded(row_of(i));
      numbers.insert(numbers.end(), of_row.begin(), of_row.end());
    }
  }
  for (group& g : groups) {
    g.rows = numbers.size();
    for (std::uint32_t i : g.which) numbers.push_back(std::bit_cast<float>(i));
  }
  float const* block = numbers.data();
  if (s_.where.on_device()) {
    if (block_.size() < numbers.size()) block_ = buffer(2 * numbers.size(), s_.where);
    block_.put(0, numbers.data(), numbers.size());
    block = block_.data();
  }
  rows const every = s_.kernel_rows();
  for (group const& g : groups) {
    rows of = every;
    of.count = g.which.size();
    if (of.count < every.count)
      of.which = s_.where.on_device() ? reinterpret_cast<std::uint32_t const*>(block + g.rows)
                                      : g.which.data();
    g.code->launch({block + g.first, g.line}, s_, of);
    ++launches_;
  }
  s_.count_evaluation();

  std::vector<finished_sample> done;
  for (std::size_t i = members_.size(); i-- > 0;)
    if (++members_[i].evaluated == members_[i].plan->rows().size()) {
      finished_sample f{members_[i].id, {{1}, std::vector<float>(s_.elements)}};
      f.sample.shape.insert(f.sample.shape.end(), s_.shape.begin(), s_.shape.end());
      s_.x.get(i * s_.pitch, f.sample.data.data(), s_.elements);
      done.push_back(std::move(f));
      remove(i);
    }
  std::ranges::reverse(done);
  return done;
}

}  // namespace tweedie
