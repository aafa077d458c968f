// TorchScript files for tests, written byte by byte: what PyTorch would have to be there for. An
// archive of a class's source, its one object as a pickle, and notes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tweedie/io/file.hpp>

namespace torchscript_file {

inline std::uint32_t crc32(std::string_view bytes) {
  std::uint32_t c = ~std::uint32_t{0};
  for (unsigned char const b : bytes) {
    c ^= b;
    for (int i = 0; i < 8; ++i) c = c >> 1 ^ (c & 1 ? 0xedb88320u : 0u);
  }
  return ~c;
}
inline std::string little(std::uint64_t v, int bytes) {
  std::string r;
  for (; bytes > 0; --bytes, v >>= 8) r += static_cast<char>(v & 0xff);
  return r;
}

/// A ZIP whose members are stored as they are.
inline std::string zip(std::vector<std::pair<std::string, std::string>> const& members) {
  std::string all, directory;
  for (auto const& [name, content] : members) {
    // Version, flags, method, time and date; CRC; sizes packed and not; lengths of name and extra.
    std::string const about = little(20, 2) + little(0, 4) + little(0, 2) + little(0x21, 2) +
                              little(crc32(content), 4) + little(content.size(), 4) +
                              little(content.size(), 4) + little(name.size(), 2) + little(0, 2);
    directory += "PK\x01\x02" + little(20, 2) + about + little(0, 6) + little(0, 4) +
                 little(all.size(), 4) + name;
    all += "PK\x03\x04" + about + name + content;
  }
  return all + directory + "PK\x05\x06" + little(0, 4) + little(members.size(), 2) +
         little(members.size(), 2) + little(directory.size(), 4) + little(all.size(), 4) +
         little(0, 2);
}

/// A network of no weights: `arguments` as "x: Tensor, t: Tensor", `body` as lines that end in a
/// return, indented by four blanks.
inline void write(std::filesystem::path const& path, std::string const& arguments,
                  std::string const& body, std::string const& card = {},
                  std::string const& returns = "Tensor") {
  std::string const source =
      "class Net(Module):\n  __parameters__ = []\n  __buffers__ = []\n  training : bool\n"
      "  def forward(self: __torch__.Net, " +
      arguments + ") -> " + returns + ":\n" + body;
  using namespace std::string_literals;
  std::vector<std::pair<std::string, std::string>> members{
      {"net/data.pkl",
       "\x80\x02"
       "c__torch__\nNet\nq\0)\x81}(X\x08\0\0\0trainingq\x01\x89ubq\x02."s},
      {"net/code/__torch__.py", source},
      {"net/constants.pkl", "\x80\x02)."},
      {"net/version", "3\n"}};
  if (!card.empty()) members.emplace_back("net/extra/tweedie", card);
  tweedie::io::write_file(path, std::string_view(zip(members)));
}

/// As onnx_file::gaussian.
inline char const* const gaussian_arguments = "x: Tensor, rho: Tensor, m: Tensor";
inline char const* const gaussian_body = R"(    r = torch.unsqueeze(rho, 1)
    mean = torch.unsqueeze(m, 1)
    k = torch.mul(torch.reciprocal(torch.add(torch.mul(r, r), 0.25)), 0.25)
    return torch.add(mean, torch.mul(torch.sub(x, mean), k))
)";
inline char const* const gaussian_card = R"(predicts = "x0"
schedule = "edm"
time = "rho"
shape = [2]

[inputs]
x = "x"
time = "rho"
labels = "m"
labels_type = "f32"

[labels]
count = 3
first = -0.5
step = 0.5
null = 0.25
)";

}  // namespace torchscript_file
