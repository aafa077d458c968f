// A program in another place than where LibTorch's part was built: it is found beside the program,
// and missed in a sentence. networks/unet.cpp is compiled into this one with a folder that is not
// there.
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <string>

#include <tweedie/networks/unet.hpp>

namespace {

namespace files = std::filesystem;
using namespace tweedie;

/// A place beside this program, where nothing is left behind.
struct beside {
  files::path const library =
      files::read_symlink("/proc/self/exe").parent_path() / TWEEDIE_UNET_LIBRARY;
  beside() { files::remove(library); }
  ~beside() { files::remove(library); }
};

std::string refusal() {
  try {
    networks::unet const network(networks::unet_config::tiny());
  } catch (error const& e) {
    return e.what();
  }
  return "no error";
}
bool says(std::string const& text, std::string const& part) {
  BOOST_TEST_MESSAGE(text);
  return text.find(part) != std::string::npos;
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(the_library_is_missed_and_then_found, beside) {
  BOOST_TEST(says(refusal(), "the library '" TWEEDIE_UNET_LIBRARY "' could not be loaded"));
  BOOST_TEST(says(refusal(),
                  "expected '" TWEEDIE_UNET_LIBRARY "' beside the program, in '" TWEEDIE_UNET_FOLDER
                  "' or on LD_LIBRARY_PATH"));
  std::ofstream(library) << "no library";
  BOOST_TEST(says(refusal(), library.string()));
  BOOST_TEST(says(refusal(), "could not be loaded"));
  files::remove(library);

  files::copy_file(TWEEDIE_UNET_OTHER, library);
  BOOST_TEST(says(refusal(), "has layout 0, this program "));
  BOOST_TEST(says(refusal(), "expected the library of the same build"));
  files::remove(library);

  files::copy_file(TWEEDIE_UNET_BUILT, library);
  networks::unet const network(networks::unet_config::tiny());
  BOOST_TEST(network.elements() == 64u);
}
