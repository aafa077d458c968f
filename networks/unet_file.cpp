#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <tweedie/networks/unet_file.hpp>

namespace tweedie::networks {
namespace {

using json = nlohmann::ordered_json;

constexpr auto format = "tweedie unet 1";
constexpr auto time_convention =
    "level index, counts from 1 at the least noisy level (continuous schedules: time, 0 is clean), "
    "times time_scale; embedding: half sin, half cos, frequencies 10000^(-i/(half - 1))";

json parse_object(std::string const& text, std::string const& source) {
  auto parsed = json::parse(text, nullptr, false);
  if (!parsed.is_object()) throw error(source + " is not a JSON object");
  return parsed;
}

template <class T>
T number_of(json const& value, std::string const& key, std::string const& source) {
  bool const fits = std::is_same_v<T, bool>       ? value.is_boolean()
                    : std::is_floating_point_v<T> ? value.is_number()
                                                  : value.is_number_integer();
  if (!fits) throw error(source + " has a '" + key + "' of another type than expected");
  if constexpr (std::is_same_v<T, int>) {
    auto const wide = value.get<std::int64_t>();
    if (wide < -1'000'000 || wide > 1'000'000)
      throw error(source + " has a '" + key + "' of " + value.dump() +
                  "; expected at most 1000000");
    return static_cast<int>(wide);
  } else {
    return value.get<T>();
  }
}

json const& value_at(json const& object, std::string const& key, std::string const& source) {
  auto const found = object.find(key);
  if (found == object.end()) throw error(source + " has no '" + key + "'");
  return *found;
}

io::extents shape_of(unet_tensor const& t) {
  io::extents shape;
  for (auto n : t.shape) shape.push_back(static_cast<std::size_t>(n));
  return shape;
}

std::string const& text_of(io::safetensors_file const& file, std::string const& key) {
  auto const found = file.metadata().find(key);
  if (found == file.metadata().end())
    throw error("'" + file.source() + "' has no '" + key +
                "' in its metadata; expected a model written by tweedie train");
  return found->second;
}

}  // namespace

std::string to_json(schedule_description const& schedule) {
  json object{{"name", schedule.name}};
  for (auto const& [key, value] : schedule.parameters) object[key] = value;
  return object.dump();
}

schedule_description parse_schedule(std::string const& text, std::string const& source) {
  auto const object = parse_object(text, source);
  schedule_description schedule;
  for (auto const& [key, value] : object.items()) {
    if (key == "name" && value.is_string()) schedule.name = value.get<std::string>();
    else if (key != "name" && value.is_number())
      schedule.parameters.emplace_back(key, value.get<double>());
    else throw error(source + " has a " + io::in_quotes(key) + " of another type than expected");
  }
  if (schedule.name.empty()) throw error(source + " has no 'name'");
  return schedule;
}

std::string to_json(unet_config const& c) {
  return json{{"channels", c.channels},
              {"size", c.size},
              {"base", c.base},
              {"multipliers", c.multipliers},
              {"blocks", c.blocks},
              {"attention", c.attention},
              {"classes", c.classes},
              {"scale_shift", c.scale_shift},
              {"dropout", c.dropout},
              {"groups", c.groups},
              {"time_scale", c.time_scale}}
      .dump();
}

unet_config parse_config(std::string const& text, std::string const& source) {
  auto const object = parse_object(text, source);
  std::vector<std::string_view> known;
  unet_config c;
  auto const number = [&]<class T>(char const* key, T& to) {
    to = number_of<T>(value_at(object, key, source), key, source);
    known.push_back(key);
  };
  auto const numbers = [&](char const* key, std::vector<int>& to) {
    json const& list = value_at(object, key, source);
    if (!list.is_array() || list.size() > 64)
      throw error(source + " has a '" + key + "' that is not a short list of numbers");
    to.clear();
    for (auto const& entry : list) to.push_back(number_of<int>(entry, key, source));
    known.push_back(key);
  };
  number("channels", c.channels);
  number("size", c.size);
  number("base", c.base);
  numbers("multipliers", c.multipliers);
  numbers("blocks", c.blocks);
  numbers("attention", c.attention);
  number("classes", c.classes);
  number("scale_shift", c.scale_shift);
  number("dropout", c.dropout);
  number("groups", c.groups);
  number("time_scale", c.time_scale);
  for (auto const& item : object.items())
    if (std::ranges::find(known, item.key()) == known.end())
      throw error(source + " has the key " + io::in_quotes(item.key()) + ", which is not known");
  return c;
}

void check_size(unet_config const& c, std::size_t floats, std::string const& source) {
  // The second convolution of every block alone has 9 width^2 weights, a row per class at least 32,
  // the first convolution 9 base channels.
  double least = 32.0 * (c.classes + 1.0) + 9.0 * c.base * c.channels + 9.0 * c.base * c.base;
  for (std::size_t i = 0; i < std::min(c.multipliers.size(), c.blocks.size()); ++i) {
    double const width = static_cast<double>(c.base) * c.multipliers[i];
    least += 9 * width * width * c.blocks[i];
  }
  // Tiny networks have narrower class tables: the bound guards against orders of magnitude.
  if (least > 4 * static_cast<double>(floats) + 65536)
    throw error(source + " asks for more weights than the " + std::to_string(floats) +
                " of the file");
}

void append_weights(std::vector<io::tensor>& tensors, unet const& network,
                    std::string const& prefix, float const* values) {
  for (auto const& t : network.tensors())
    tensors.push_back(io::make_tensor(prefix + t.name, shape_of(t),
                                      std::span<float const>(values + t.offset, t.count)));
}

void extract_weights(io::tensor_file const& file, unet const& network, std::string const& prefix,
                     float* values) {
  for (auto const& t : network.tensors()) {
    auto const& found =
        io::expect_tensor(file, prefix + t.name, io::tensor_dtype::f32, shape_of(t));
    std::memcpy(values + t.offset, found.bytes.data(), found.bytes.size());
  }
}

void append_names(std::vector<std::string>& names, unet const& network, std::string const& prefix) {
  for (auto const& t : network.tensors()) names.push_back(prefix + t.name);
}

void save_model(std::filesystem::path const& path, model const& m) {
  io::tensor_file file;
  auto const& config = m.network->config();
  file.metadata = m.notes;
  file.metadata["format"] = format;
  file.metadata["network"] = to_json(config);
  file.metadata["predicts"] = m.predicts;
  file.metadata["schedule"] = to_json(m.schedule);
  file.metadata["time"] = time_convention;
  file.metadata["labels"] = json(m.labels).dump();
  file.metadata["null class"] =
      config.classes ? "index " + std::to_string(config.classes) + " of classes.weight"
                     : "none: the network is unconditional";
  file.metadata["pixels"] = "[-1, 1]";
  append_weights(file.tensors, *m.network, "", std::as_const(*m.network).parameters().data());
  io::write_safetensors(path, file);
}

model load_model(std::filesystem::path const& path) {
  io::safetensors_file const file(path);
  auto const in_file = [&](std::string const& what) { return "'" + file.source() + "': " + what; };
  if (auto const& found = text_of(file, "format"); found != format)
    throw error(in_file("its format is " + io::in_quotes(found) + "; expected '" + format + "'"));
  if (auto const& found = text_of(file, "time"); found != time_convention)
    throw error(
        in_file("its times are " + io::in_quotes(found) + "; expected '" + time_convention + "'"));
  if (auto const& found = text_of(file, "pixels"); found != "[-1, 1]")
    throw error(in_file("its pixels are in " + io::in_quotes(found) + "; expected [-1, 1]"));

  model m;
  m.predicts = text_of(file, "predicts");
  m.schedule = parse_schedule(text_of(file, "schedule"), in_file("its schedule"));
  auto const labels = json::parse(text_of(file, "labels"), nullptr, false);
  if (!labels.is_array()) throw error(in_file("its labels are not a list"));
  for (auto const& label : labels) {
    if (!label.is_string()) throw error(in_file("its labels are not a list of names"));
    m.labels.push_back(label.get<std::string>());
  }
  auto const config = parse_config(text_of(file, "network"), in_file("its network"));
  std::size_t floats = 0;
  for (auto const& t : file.tensors())
    if (t.dtype) floats += static_cast<std::size_t>(t.end - t.begin) / io::size_of(*t.dtype);
  check_size(config, floats, in_file("its network"));
  try {
    m.network = std::make_shared<unet>(config);
  } catch (error const& reason) {
    throw error(in_file(reason.what()));
  }
  std::vector<std::string> names;
  append_names(names, *m.network, "");
  file.expect_names(names);
  float* const weights = m.network->parameters().data();
  for (auto const& t : m.network->tensors())
    std::ranges::copy(file.floats(t.name, shape_of(t)), weights + t.offset);
  for (auto const& [key, value] : file.metadata())
    if (key != "format" && key != "network" && key != "predicts" && key != "schedule" &&
        key != "time" && key != "labels" && key != "null class" && key != "pixels")
      m.notes.emplace(key, value);
  return m;
}

}  // namespace tweedie::networks
