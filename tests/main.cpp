// main() of every unit test.
#define BOOST_TEST_MODULE tweedie
#include <boost/test/unit_test.hpp>
