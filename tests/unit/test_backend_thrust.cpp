// The door that carries every elementwise kernel: each index once, on the system that the build chose.
#define BOOST_TEST_MODULE backend_thrust
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/execution_policy.h>

#include <boost/test/unit_test.hpp>
#include <vector>

BOOST_AUTO_TEST_CASE(for_each_n_visits_each_index_once) {
  for (int n : {0, 1, 7, 100'000}) {
    std::vector<int> visits(static_cast<std::size_t>(n));
    int* const p = visits.data();
    thrust::for_each_n(thrust::device, thrust::counting_iterator<int>(0), n, [p](int i) { p[i] += i + 1; });
    long long wrong = 0;
    for (int i = 0; i < n; ++i) wrong += visits[static_cast<std::size_t>(i)] != i + 1;
    BOOST_TEST(wrong == 0);
  }
}

#ifdef _OPENMP
BOOST_AUTO_TEST_CASE(openmp_code_runs_on_thrusts_openmp) {
  BOOST_TEST(THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_OMP);
}
#else
BOOST_AUTO_TEST_CASE(serial_code_runs_on_thrusts_serial_system) {
  BOOST_TEST(THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CPP);
}
#endif
