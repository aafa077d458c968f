// The door that carries every elementwise kernel: each index once, on the system that is linked.
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <vector>

#include <tweedie/dsl/device/execute.hpp>

BOOST_AUTO_TEST_CASE(each_index_is_visited_once) {
  for (std::uint64_t n : {0u, 1u, 7u, 100'000u}) {
    std::vector<int> visits(n);
    // Told to be of many elements, so that no serial loop steps in.
    tweedie::for_each_on_host(n, std::uint64_t{1} << 40, [p = visits.data()](std::uint64_t i) {
      p[i] += static_cast<int>(i) + 1;
    });
    long long wrong = 0;
    for (std::uint64_t i = 0; i < n; ++i) wrong += visits[i] != static_cast<int>(i) + 1;
    BOOST_TEST(wrong == 0);
  }
}
