// What a plan asks of a CUDA device, seen by a runtime that counts: launches, copies, waits and
// allocations, one launch for a recorded loop, and what is said of each bad input. No GPU is
// needed.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstring>
#include <string>
#include <vector>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/device/backends/cuda.hpp>
#include <tweedie/pipelines/continuous_batch.hpp>
#include <tweedie/pipelines/driven_loop.hpp>
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

#include "plans.hpp"
#include "runtime.hpp"

using namespace tweedie;

namespace {

request const asked{.shape = {3, 5, 7}, .seed = 7, .first_id = 11};

/// A machine of one device and a stream of it; at the end nothing is left of what was allocated.
struct machine {
  cudaStream_t stream;
  machine() : stream(stub::new_stream()) {
    stub::reset();
    stub::forget();
    network_calls::count = 0;
    network_calls::waits = false;
  }
  ~machine() {
    stub::delete_stream(stream);
    BOOST_TEST(stub::allocated() == 0u);
  }
};

/// Calls of the network and kernels of a whole sampling, its start's first.
struct loop {
  std::size_t at_start, calls, kernels;
  friend bool operator==(loop const&, loop const&) = default;
  friend std::ostream& operator<<(std::ostream& to, loop const& l) {
    return to << l.at_start << " kernels at the start, " << l.calls << " calls, " << l.kernels
              << " kernels";
  }
};

/// Runs a plan and asserts what holds for all: nothing is waited for, allocated or brought from the
/// host after the first step, and all is on the one stream.
loop loop_of(plan_pointer const& plan, cudaStream_t stream, request const& r = asked) {
  network_calls::count = 0;
  stub::forget();
  state s = plan->start(r, labels{3}, on(stream));
  loop seen{stub::now().kernels, 0, 0};
  plan->advance(s);
  std::size_t const after_first = stub::now().kernels;
  BOOST_TEST(stub::now().waits == 0u);
  stub::forget();
  while (!plan->finished(s)) plan->advance(s);
  BOOST_TEST(stub::now().allocations == 0u);
  BOOST_TEST(stub::now().waits == 0u);
  BOOST_TEST(stub::now().copies_in + stub::now().copies_out + stub::now().copies == 0u);
  BOOST_TEST((stub::now().streams == std::vector{stream}));
  seen.kernels = after_first - seen.at_start + stub::now().kernels;
  seen.calls = network_calls::count;
  stub::forget();
  BOOST_TEST((take(s).shape == r.shape));
  BOOST_TEST(stub::now().copies_out == 1u);
  return seen;
}

struct counting {
  using kind = kinds::network;
  static constexpr bool enqueues = true;
  void operator()(batch const&) const { ++network_calls::count; }
};

template <class F> std::string error_of(F f) {
  try {
    f();
  } catch (error const& e) {
    return e.what();
  }
  return "no error";
}
bool has(std::string const& text, char const* part) {
  if (text.find(part) != std::string::npos) return true;
  BOOST_TEST_MESSAGE(text);
  return false;
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_loop_that_its_caller_drives_waits_for_nothing, machine) {
  auto const plan = multistep(5);
  auto loop = plan->steps(plan->start(asked, labels{3}, on(stream)));
  stub::forget();
  while (auto const* ask = loop.next()) {
    BOOST_TEST((ask->on_device && ask->stream == stream));
    BOOST_TEST(has(error_of([&] { loop.x0(); }),
                   "x0 was asked of a loop on a device; expected one on the host"));
    loop.answer();
  }
  BOOST_TEST(stub::now().kernels == 5u);
  BOOST_TEST(stub::now().waits + stub::now().copies_out == 0u);
  BOOST_TEST(network_calls::count == 0u);
}

BOOST_FIXTURE_TEST_CASE(one_kernel_for_each_evaluation, machine) {
  BOOST_TEST((loop_of(deterministic(10), stream) == loop{1, 10, 10}));
  BOOST_TEST((loop_of(stochastic(10), stream) == loop{1, 10, 10}));
  BOOST_TEST((loop_of(multistep(10), stream) == loop{1, 10, 10}));
  // Two evaluations a step but for the last.
  BOOST_TEST((loop_of(two_evaluations(10), stream) == loop{1, 19, 19}));
  // The start writes the first net_in too.
  BOOST_TEST((loop_of(scaled_input(10), stream) == loop{1, 10, 10}));
  request known = asked;
  known.known = {asked.shape, std::vector<float>(3 * 5 * 7)};
  known.mask = {{5, 7}, std::vector<float>(5 * 7, 1)};
  BOOST_TEST((loop_of(inpainting(10), stream, known) == loop{1, 10, 10}));
}

BOOST_FIXTURE_TEST_CASE(a_reduction_adds_a_kernel, machine) {
  BOOST_TEST((loop_of(reducing(10), stream) == loop{1, 10, 20}));
}

// The network is in the kernels.
BOOST_FIXTURE_TEST_CASE(an_inlined_network_adds_none, machine) {
  BOOST_TEST((loop_of(of_an_inlined_network(10), stream) == loop{1, 0, 10}));
  BOOST_TEST((loop_of(reducing_of_an_inlined_network(10), stream) == loop{1, 0, 20}));
}

BOOST_FIXTURE_TEST_CASE(keys_and_labels_are_in_a_device_before_the_first_kernel, machine) {
  auto const plan = stochastic(4);
  state s = plan->start(asked, labels{4, 5, 6}, on(stream));
  plan->advance(s);
  for (std::uint32_t evaluated = 1; evaluated < 4; ++evaluated) {
    placed_keys const keys = s.keys_for_kernels();
    BOOST_TEST(keys.step == evaluated);
    for (std::size_t i = 0; i < s.samples; ++i) {
      BOOST_TEST(keys.first[i].seed == 7u);
      BOOST_TEST(keys.first[i].id == 11 + i);
      BOOST_TEST(keys.first[i].step == 0u);
      BOOST_TEST(s.device_labels()[i] == static_cast<int>(4 + i));
    }
    plan->advance(s);
  }
}

BOOST_FIXTURE_TEST_CASE(keys_that_change_are_written_again, machine) {
  auto const plan = stochastic(4);
  state s = plan->start(asked, label{}, on(stream));
  plan->advance(s);
  s.keys[1].seed = 99;
  stub::forget();
  plan->advance(s);
  BOOST_TEST(stub::now().copies_in == 1u);
  BOOST_TEST(s.keys_for_kernels().first[1].seed == 99u);
  BOOST_TEST(s.keys_for_kernels().step == 1u);
}

BOOST_FIXTURE_TEST_CASE(a_state_is_copied_and_moved, machine) {
  auto const plan = stochastic(4);
  placement const where = on(stream);
  state s = plan->start(asked, label{}, where);
  plan->advance(s);
  std::vector<float> rows(s.x.size());
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<float>(i);
  s.x.put(0, rows.data(), rows.size());

  stub::forget();
  state const copy = s;
  BOOST_TEST(stub::now().waits == 0u);
  BOOST_TEST(copy.x.data() != s.x.data());
  s.x = buffer();
  state host = moved(copy, {});
  BOOST_TEST(!host.x.where().on_device());
  BOOST_TEST(std::equal(rows.begin(), rows.end(), host.x.data()));
  BOOST_TEST(host.keys_for_kernels().first == host.keys.data());
  state back = moved(host, where);
  BOOST_TEST(take(back).data == take(host).data);
  plan->run(back);  // goes on from there
  BOOST_TEST(network_calls::count == 4u);
}

BOOST_FIXTURE_TEST_CASE(what_nvcc_compiled_runs_on_the_host_too, machine) {
  images const a = take(stochastic(5)->start(asked));
  BOOST_TEST(stub::now().kernels == 0u);
  BOOST_TEST(a.data[0] != a.data[1]);
}

BOOST_FIXTURE_TEST_CASE(a_recorded_loop_is_one_launch, machine) {
  struct recorded {
    plan_pointer plan;
    std::size_t kernels;
  };
  for (auto const& [plan, kernels] :
       {recorded{stochastic(10), 11}, recorded{two_evaluations(10), 20},
        recorded{reducing(10), 21}}) {
    network_calls::count = 0;
    auto loop = plan->record(asked, labels{4, 5, 6}, on(stream));
    std::size_t const evaluations = plan->network_evaluations();
    BOOST_TEST(network_calls::count == 2 * evaluations);  // once to run and once to be written down
    stub::forget();

    request next = asked;
    next.seed = 8;
    next.first_id = 100;
    loop.launch(next, labels{1, 2, 3});
    BOOST_TEST(stub::now().graph_launches == 1u);
    BOOST_TEST(stub::now().launches == 0u);
    BOOST_TEST(stub::now().kernels == kernels);
    BOOST_TEST(stub::now().allocations == 0u);
    BOOST_TEST(stub::now().waits == 0u);
    BOOST_TEST(stub::now().copies_in == 2u);  // keys and labels
    BOOST_TEST(network_calls::count == 2 * evaluations);

    // The kernels read the keys where they were written, with the steps that they were recorded
    // with.
    state s = loop.result();
    BOOST_TEST(s.keys_for_kernels().first[2].id == 102u);
    BOOST_TEST(s.keys_for_kernels().first[2].seed == 8u);
    BOOST_TEST(s.keys_for_kernels().first[2].step == 0u);
    BOOST_TEST(s.keys_for_kernels().step == evaluations);
    BOOST_TEST(s.device_labels()[2] == 3);
    BOOST_TEST(plan->finished(s));

    stub::forget();
    loop.sample(next, labels{1, 2, 3});  // the same once more: nothing to write
    BOOST_TEST(stub::now().copies_in == 0u);
    BOOST_TEST(stub::now().waits == 1u);  // for the samples
  }
}

BOOST_FIXTURE_TEST_CASE(a_loop_that_cannot_be_recorded, machine) {
  auto const record = [&](plan_pointer const& plan, cudaStream_t to) {
    return error_of([&] { plan->record(asked, on(to)); });
  };
  BOOST_TEST(has(error_of([&] { stochastic(3)->record(asked, placement{}); }), "on the host"));
  BOOST_TEST(has(record(of_a_network_that_waits(3), stream), "a network that cannot be"));
  BOOST_TEST(has(record(stochastic(3), nullptr), "default stream"));
  // One that does not say so is found out.
  network_calls::waits = true;
  BOOST_TEST(has(record(stochastic(3), stream), "waits for nothing"));
  network_calls::waits = false;
  BOOST_TEST((loop_of(stochastic(10), stream) == loop{1, 10, 10}));  // the stream is as it was

  auto recorded = stochastic(3)->record(asked, on(stream));
  stub::forget();
  BOOST_TEST(has(error_of([&] { recorded.launch({.shape = {4, 5, 7}}); }), "was recorded for 3"));
  BOOST_TEST(has(error_of([&] { recorded.launch(asked, labels{1, 2}); }), "2 labels"));
  BOOST_TEST(stub::now().graph_launches + stub::now().copies_in == 0u);
}

BOOST_FIXTURE_TEST_CASE(bad_machines, machine) {
  stub::about().devices = 0;
  BOOST_TEST(has(error_of([&] { on(stream); }), "no CUDA device was found"));
  stub::reset();
  stub::about().major = 7;
  BOOST_TEST(has(error_of([&] { on(stream); }), "compute capability 7.0, expected 7.5"));
  stub::reset();
  stub::about().memory_pools = false;
  BOOST_TEST(has(error_of([&] { on(stream); }), "has no memory pools"));
  stub::reset();
  stub::about().devices = 2;
  cudaStream_t const other = stub::new_stream(1);
  BOOST_TEST(has(error_of([&] { on(other); }), "a stream of device 1 was given to a thread whose"));
  stub::delete_stream(other);
}

BOOST_FIXTURE_TEST_CASE(a_thread_of_another_device_leaves_the_state, machine) {
  auto const plan = stochastic(4);
  state s = plan->start(asked, label{}, on(stream));
  stub::about().devices = 2;
  stub::about().current = 1;
  stub::forget();
  BOOST_TEST(has(error_of([&] { plan->advance(s); }), "expected its own: call cudaSetDevice(0)"));
  BOOST_TEST(stub::now().kernels == 0u);
  BOOST_TEST(s.evaluated == 0u);
  stub::about().current = 0;
  plan->advance(s);
  BOOST_TEST(s.evaluated == 1u);
}

BOOST_FIXTURE_TEST_CASE(too_little_memory, machine) {
  auto const plan = stochastic(4);
  state const before = plan->start(asked, label{}, on(stream));
  std::size_t const held = stub::allocated();
  request larger = asked;
  larger.shape = {1000, 5, 7};
  for (std::size_t room = 0; room < 600'000; room += 40'000) {
    stub::about().memory = held + room;
    std::string const said = error_of([&] { plan->start(larger, label{}, on(stream)); });
    if (said == "no error") break;
    BOOST_TEST(has(said, "bytes of device memory were asked for, device 0 has"));
    BOOST_TEST(stub::allocated() == held);
  }
  BOOST_TEST(has(error_of([&] {
                   stub::about().memory = held + 10;
                   state const copy = before;
                 }),
                 "bytes of device memory"));
  stub::reset();
  plan->run(before);  // as if nothing had been
}

BOOST_FIXTURE_TEST_CASE(the_callers_allocator, machine) {
  std::size_t asked_for = 0, given_back = 0;
  device_options const options{.allocate =
                                   [&](std::size_t bytes, cudaStream_t s) {
                                     ++asked_for;
                                     void* p = nullptr;
                                     cudaMallocAsync(&p, bytes, s);
                                     return p;
                                   },
                               .release =
                                   [&](void* p, std::size_t, cudaStream_t s) {
                                     ++given_back;
                                     cudaFreeAsync(p, s);
                                   }};
  stochastic(4)->sample(asked, on(stream, options));
  BOOST_TEST(asked_for > 0u);
  BOOST_TEST(given_back == asked_for);

  std::vector<char> on_host(1 << 20);
  device_options wrong{.allocate = [&](std::size_t, cudaStream_t) { return on_host.data(); },
                       .release = [](void*, std::size_t, cudaStream_t) {}};
  BOOST_TEST(has(error_of([&] { stochastic(4)->sample(asked, on(stream, wrong)); }),
                 "a host pointer was given as a device buffer"));
  wrong.allocate = [](std::size_t, cudaStream_t) { return nullptr; };
  BOOST_TEST(has(error_of([&] { stochastic(4)->sample(asked, on(stream, wrong)); }),
                 "the caller's allocator has none"));
  wrong.release = {};
  BOOST_TEST(has(error_of([&] { on(stream, wrong); }), "expected both"));
}

BOOST_FIXTURE_TEST_CASE(a_formula_alone, machine) {
  placement const where = on(stream);
  buffer on_device(16, where), on_host(16);
  stub::forget();
  doubled(on_device.data(), 16, where);
  BOOST_TEST(stub::now().kernels == 1u);
  BOOST_TEST(has(error_of([&] { doubled(on_host.data(), 16, where); }),
                 "a formula's buffer: a host pointer was given as a device buffer"));
  BOOST_TEST(stub::now().kernels == 1u);
  on_host.data()[3] = 4;
  doubled(on_host.data(), 16, {});
  BOOST_TEST(on_host.data()[3] == 8);
}

BOOST_FIXTURE_TEST_CASE(a_network_for_hosts, machine) {
  auto const plan = of_a_host_network(4);
  BOOST_TEST(has(error_of([&] { plan->sample(asked, on(stream)); }), "a network for hosts"));
  BOOST_TEST(network_calls::count == 0u);
  // In memory that the host shares it runs.
  plan->sample(asked, on(stream, {.shared_with_host = true}));
  BOOST_TEST(network_calls::count == 4u);
  BOOST_TEST(stub::now().waits > 4u);
}

BOOST_FIXTURE_TEST_CASE(what_the_hosts_compiler_compiled, machine) {
  // The same programs as of_a_host_network's, which nvcc has compiled.
  auto const pipeline = schedules::cosine{} | predicts::v{} | samplers::ddim{} | counting{};
  auto const plan = pipeline.plan(4);
  BOOST_TEST(has(error_of([&] { plan.sample(asked, on(stream)); }),
                 "compiled for the host alone was given to a plan on a device"));
  BOOST_TEST(plan.sample(asked).data.size() == 3u * 5 * 7);
  BOOST_TEST(network_calls::count == 4u);

  auto const stages = forget_stages(pipeline.stage_set());
  any_plan const followed = build_plan(stages, forget_network(counting{}), plan.levels(), {}, {});
  BOOST_TEST(has(error_of([&] { followed.sample(asked, on(stream)); }),
                 "a list of terms is followed on the host alone"));
  BOOST_TEST(stub::now().kernels == 0u);
}

BOOST_FIXTURE_TEST_CASE(samples_that_come_and_go, machine) {
  auto const six = stochastic(6);
  continuous_batch batch(six, {5, 7}, on(stream));
  batch.join(six, {.id = 1});
  batch.join(six, {.id = 2});
  batch.advance();
  stub::forget();
  batch.advance();
  BOOST_TEST(stub::now().kernels == 1u);
  BOOST_TEST(stub::now().copies_in == 1u);  // the numbers and the rows
  BOOST_TEST(stub::now().allocations + stub::now().waits == 0u);
  batch.join(stochastic(4), {.id = 3});
  stub::forget();
  batch.advance();
  BOOST_TEST(stub::now().kernels == batch.launches());
  BOOST_TEST(stub::now().waits == 0u);
  std::size_t left = 0;
  while (!batch.empty()) {
    stub::forget();
    std::size_t const done = batch.advance().size();
    BOOST_TEST(stub::now().waits == done);  // for their samples alone
    left += done;
  }
  BOOST_TEST(left == 3u);

  // No room: the batch is as it was.
  batch.join(six, {.id = 1});
  std::size_t const held = stub::allocated();
  for (std::size_t room = 0; room < 20'000; room += 1'000) {
    stub::about().memory = held + room;
    if (error_of([&] { batch.join(six, {.id = 2}); }) == "no error") break;
    BOOST_TEST(batch.size() == 1u);
  }
  stub::reset();
  while (!batch.empty()) batch.advance();
}

BOOST_FIXTURE_TEST_CASE(a_launch_that_fails_leaves_the_state, machine) {
  auto const plan = stochastic(4);
  state s = plan->start(asked, label{}, on(stream));
  plan->advance(s);
  stub::about().next_launch = cudaErrorNoKernelImageForDevice;
  BOOST_TEST(has(error_of([&] { plan->advance(s); }),
                 "a device was given that the kernels were not "
                 "compiled for"));
  BOOST_TEST(s.evaluated == 1u);
  BOOST_TEST(s.keys[0].step == 1u);
  stub::about().next_launch = cudaErrorLaunchFailure;
  BOOST_TEST(has(error_of([&] { plan->advance(s); }), "the device says"));
  plan->run(s);

  auto const with_reduction = reducing(4);
  state t = with_reduction->start(asked, label{}, on(stream));
  stub::about().next_launch = cudaErrorLaunchFailure;
  BOOST_TEST(has(error_of([&] { with_reduction->advance(t); }), "launching"));
  BOOST_TEST(t.evaluated == 0u);
  with_reduction->run(t);

  // That of the caller's own kernel, who did not look.
  auto const classified = classified_of_an_inlined_network(4);
  state u = classified->start(asked, label{}, on(stream));
  stub::about().next_launch = cudaErrorInvalidConfiguration;
  BOOST_TEST(has(error_of([&] { classified->advance(u); }), "the guidance's network"));
  BOOST_TEST(u.evaluated == 0u);
  classified->run(u);
}
