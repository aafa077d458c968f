#include <algorithm>
#include <array>
#include <cstdio>
#include <tweedie/dsl/base/error.hpp>
#include <tweedie/io/jpeg.hpp>
#include <utility>
#include <vector>

#ifdef TWEEDIE_JPEG
#include <jerror.h>
#include <jpeglib.h>

#include <csetjmp>
#include <new>
#endif

namespace tweedie::io {

bool is_jpeg(std::span<std::byte const> content) {
  return content.size() >= 3 && content[0] == std::byte{0xff} && content[1] == std::byte{0xd8} &&
         content[2] == std::byte{0xff};
}

#ifndef TWEEDIE_JPEG

bool reads_jpeg() { return false; }

picture parse_jpeg(std::span<std::byte const>, std::string const& name, std::size_t) {
  throw error("'" + name +
              "' is a JPEG, and this program was built without libjpeg; expected a PNG, or a "
              "program built where libjpeg is (Debian: libjpeg-dev)");
}

#else

namespace {

constexpr int most_scans = 500;

/// What one decoding knows, in memory that outlives libjpeg's jump back over our frames.
struct decoding {
  jpeg_decompress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf back{};
  std::array<char, JMSG_LENGTH_MAX> text{};  ///< what is wrong with it
  std::size_t given = 0, max_pixels = 0;
  std::vector<unsigned char> pixels;  ///< interleaved
  std::size_t height = 0, width = 0, channels = 0;
  int orientation = 1;
};

decoding& of(j_common_ptr jpeg) { return *static_cast<decoding*>(jpeg->client_data); }

[[noreturn]] void stop(decoding& d, char const* format, std::size_t a = 0, std::size_t b = 0,
                       std::size_t c = 0) {
  std::snprintf(d.text.data(), d.text.size(), format, a, b, c);
  std::longjmp(d.back, 1);
}

extern "C" void complain_of_jpeg(j_common_ptr jpeg) {
  auto& d = of(jpeg);
  jpeg->err->format_message(jpeg, d.text.data());
  std::longjmp(d.back, 1);
}

/// What libjpeg goes on after with pixels of its own is refused, but for bytes between two markers,
/// which some cameras write, and versions of markers that say nothing of the pixels.
extern "C" void complain_of_warning(j_common_ptr jpeg, int level) {
  int const code = jpeg->err->msg_code;
  if (level < 0 && code != JWRN_EXTRANEOUS_DATA && code != JWRN_ADOBE_XFORM &&
      code != JWRN_JFIF_MAJOR)
    complain_of_jpeg(jpeg);
}
extern "C" void say_nothing_of_jpeg(j_common_ptr) {}

extern "C" void count_scans(j_common_ptr jpeg) {
  auto& d = of(jpeg);
  if (d.jpeg.input_scan_number > most_scans)
    stop(d, "it has more than %zu scans", std::size_t{most_scans});
}

/// The Exif orientation, 1 to 8, of an APP1 marker; 1 where it says none.
int orientation_of(std::span<unsigned char const> marker) {
  constexpr std::array<unsigned char, 6> start{'E', 'x', 'i', 'f', 0, 0};
  if (marker.size() < 14 || !std::equal(start.begin(), start.end(), marker.begin())) return 1;
  auto const tiff = marker.subspan(start.size());
  bool const little = tiff[0] == 'I';
  auto const number = [&](std::size_t at, std::size_t bytes) {
    std::size_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i)
      value = value << 8 | tiff[at + (little ? bytes - 1 - i : i)];
    return value;
  };
  std::size_t const table = number(4, 4);
  if (table > tiff.size() - 2) return 1;
  std::size_t const entries = number(table, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    std::size_t const at = table + 2 + 12 * i;
    if (at + 12 > tiff.size()) return 1;
    if (number(at, 2) != 0x0112) continue;
    auto const value = static_cast<int>(number(at + 8, 2));
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

// No destructor may stand between setjmp and what jumps: plain values alone.
bool decode(decoding& d, unsigned char const* content) {
  if (setjmp(d.back)) return false;
  jpeg_decompress_struct& jpeg = d.jpeg;
  jpeg_create_decompress(&jpeg);
  jpeg.client_data = &d;
  jpeg.progress = &d.progress;
  jpeg_save_markers(&jpeg, JPEG_APP0 + 1, 0xffff);
  jpeg_mem_src(&jpeg, content, d.given);
  jpeg_read_header(&jpeg, TRUE);
  d.width = jpeg.image_width;
  d.height = jpeg.image_height;
  if (d.width == 0 || d.height > d.max_pixels / d.width)
    stop(d, "it has %zux%zu pixels; expected at least 1 and at most %zu", d.width, d.height,
         d.max_pixels);
  if (jpeg.arith_code) stop(d, "it is arithmetic-coded; expected Huffman's codes");
  if (((d.width + 7) / 8) * ((d.height + 7) / 8) > 8 * d.given)
    stop(d, "%zux%zu pixels cannot be in its %zu bytes", d.width, d.height, d.given);
  bool const is_gray = jpeg.jpeg_color_space == JCS_GRAYSCALE;
  if (!is_gray && jpeg.jpeg_color_space != JCS_YCbCr && jpeg.jpeg_color_space != JCS_RGB)
    stop(d, "it has %zu channels that are not gray or RGB (CMYK, for one); expected gray or RGB",
         static_cast<std::size_t>(jpeg.num_components));
  jpeg.out_color_space = is_gray ? JCS_GRAYSCALE : JCS_RGB;
  for (auto marker = jpeg.marker_list; marker; marker = marker->next)
    if (d.orientation == 1) d.orientation = orientation_of({marker->data, marker->data_length});
  jpeg_start_decompress(&jpeg);
  d.channels = static_cast<std::size_t>(jpeg.output_components);
  std::size_t const row = d.width * d.channels;
  bool fits = true;
  try {
    d.pixels.resize(d.height * row);
  } catch (std::bad_alloc const&) {
    fits = false;
  }
  if (!fits) stop(d, "there is not enough memory for its pixels");
  while (jpeg.output_scanline < jpeg.output_height) {
    JSAMPROW to = d.pixels.data() + jpeg.output_scanline * row;
    jpeg_read_scanlines(&jpeg, &to, 1);
  }
  jpeg_finish_decompress(&jpeg);
  return true;
}

}  // namespace

bool reads_jpeg() { return true; }

picture parse_jpeg(std::span<std::byte const> content, std::string const& name,
                   std::size_t max_pixels) {
  decoding d;
  d.given = content.size();
  d.max_pixels = max_pixels;
  d.jpeg.err = jpeg_std_error(&d.errors);
  d.errors.error_exit = complain_of_jpeg;
  d.errors.emit_message = complain_of_warning;
  d.errors.output_message = say_nothing_of_jpeg;
  d.progress.progress_monitor = count_scans;
  d.jpeg.client_data = &d;
  bool const read =
      is_jpeg(content) && decode(d, reinterpret_cast<unsigned char const*>(content.data()));
  if (d.jpeg.mem) jpeg_destroy_decompress(&d.jpeg);
  if (!read) {
    std::string const why = d.text[0] ? d.text.data() : "it does not begin as one";
    throw error("'" + name + "' is not a usable JPEG: " + why);
  }

  // Exif's orientations from 5 on exchange rows and columns; then each side may be mirrored.
  bool const turned = d.orientation >= 5;
  bool const from_right =
      d.orientation == 2 || d.orientation == 3 || d.orientation == 7 || d.orientation == 8;
  bool const from_below =
      d.orientation == 3 || d.orientation == 4 || d.orientation == 6 || d.orientation == 7;
  picture result{{1, d.channels, d.height, d.width}, {}, {}};
  if (turned) std::swap(result.shape.height, result.shape.width);
  auto const height = result.shape.height, width = result.shape.width;
  result.values.resize(d.channels * height * width);
  for (std::size_t y = 0; y < height; ++y)
    for (std::size_t x = 0; x < width; ++x) {
      std::size_t row = turned ? x : y, column = turned ? y : x;
      if (from_below) row = d.height - 1 - row;
      if (from_right) column = d.width - 1 - column;
      unsigned char const* const pixel = d.pixels.data() + (row * d.width + column) * d.channels;
      for (std::size_t c = 0; c < d.channels; ++c)
        result.values[(c * height + y) * width + x] =
            static_cast<float>(2 * pixel[c] - 255) / 255.0f;
    }
  return result;
}

#endif

}  // namespace tweedie::io
