// tweedie export: a model as an ONNX file, for engines that know nothing of LibTorch.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <tweedie/io/file.hpp>
#include <tweedie/networks/onnx.hpp>
#include <tweedie/networks/unet_onnx.hpp>

#include "checks.hpp"
#include "choices.hpp"
#include "loaded_model.hpp"
#include "tool.hpp"

namespace tweedie::tool {
namespace {

struct options {
  std::string model, out, type = "f32";
};

using networks::onnx_weights;
std::initializer_list<named<onnx_weights>> const type_choices{
    {"f32", onnx_weights::f32}, {"f16", onnx_weights::f16}, {"bf16", onnx_weights::bf16}};

void check_out(options const& o) {
  if (std::filesystem::path(o.out).extension() != ".onnx")
    throw error(fmt::format("--out '{}' was given; expected a name that ends in .onnx", o.out));
  check_writable("--out", o.out);
  auto const card = std::filesystem::path(o.out).replace_extension(".toml");
  std::error_code unknown;
  if (std::filesystem::exists(card, unknown))
    throw error(
        fmt::format("--out '{}' was given, and '{}' beside it would be read in place of the "
                    "card in the file; expected another name, or that file away",
                    o.out, card.string()));
  std::error_code missing;
  if (std::filesystem::equivalent(o.out, o.model, missing))
    throw error(fmt::format("--out '{}' was given, which is read as '{}'; expected another name",
                            o.out, o.model));
}

/// A name beside another; the file goes away with it.
struct draft {
  std::filesystem::path path;
  explicit draft(std::filesystem::path const& beside)
      : path(beside.parent_path() / fmt::format(".tweedie.{}.onnx", getpid())) {}
  draft(draft const&) = delete;
  draft& operator=(draft const&) = delete;
  ~draft() {
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
  }
};

/// How far what an engine answers from the file is from the model's answers. Throws where that is
/// more than the order of sums explains; 16 bits cost what they cost.
std::string read_back(options const& o, networks::model const& m, any_schedule const& schedule,
                      std::string const& bytes) {
  if (!networks::has_onnx_engine()) return "not read back, no engine for ONNX files is built in";
  draft const file(o.out);
  io::write_file(file.path, bytes);
  networks::onnx const network(file.path, {.threads = 1});
  constexpr double most = 1e-4;  // the shipped models: 3e-6; a wrong layer: 0.1
  double const end = schedule.end();
  std::vector<double> times{end / 1000};  // whole ones where the schedule counts to 1000
  for (int i = 1; i <= 8; ++i) times.push_back(end * i / 8);
  double const apart = networks::largest_difference(m, times, network);
  if (!(apart <= most) && o.type == "f32")
    throw error(
        fmt::format("'{}' was not written: {} reads it as another network than '{}', {:.2g} "
                    "apart; expected at most {}",
                    o.out, network.engine_name(), o.model, apart, most));
  return fmt::format("read back by {}: at most {:.2g} from the model's answers",
                     network.engine_name(), apart);
}

int run(options const& o) {
  auto const type = choose("--type", o.type, type_choices);
  check_out(o);
  if (auto const* why_not = networks::why_not_onnx())
    throw error(fmt::format("export: {}", why_not));
  auto const m = load_unet(o.model, "an export needs its weights");
  auto const schedule = schedule_of(m.schedule, o.model);  // else nobody can read the card
  prediction_of("'" + o.model + "': predicts", m.predicts);
  auto const bytes = networks::to_onnx(m, type);
  auto const told = read_back(o, m, schedule, bytes);
  io::write_file(o.out, bytes);
  auto const& config = m.network->config();
  fmt::print("'{}': {} bytes, {} weights in {}, opset {}\n", o.out, bytes.size(),
             m.network->parameters().size(), o.type, networks::onnx_opset);
  fmt::print("  x float32 {{N, {}, {}, {}}}, t float32 {{N}}{} -> out float32 as x\n",
             config.channels, config.size, config.size,
             config.classes > 0 ? fmt::format(", y int64 {{N}} from 0 to {}, {} without a label",
                                              config.classes - 1, config.classes)
                                : "");
  fmt::print("  predicts {} on the schedule {}, t from 0 to {}\n", m.predicts, m.schedule.name,
             schedule.end());
  fmt::print("  {}\n", told);
  return 0;
}

}  // namespace

action add_export(CLI::App& app, std::string const&) {
  auto const o = std::make_shared<options>();
  app.add_option("--model", o->model, "the model file of tweedie train")->required();
  app.add_option("--out", o->out, "x.onnx")->required();
  app.add_option("--type", o->type, "of the weights in the file: " + list_of(type_choices))
      ->capture_default_str();
  return [o] { return run(*o); };
}

}  // namespace tweedie::tool
