// What the commands that run a plan on a model share: pictures in and out, labels, the loop with
// its progress.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "loaded_model.hpp"
#include "pipeline_options.hpp"
#include "settings.hpp"

namespace tweedie::tool {

using sample_shape = std::vector<std::size_t>;

/// The labels of `--label`: all, none, or classes by index or name between commas.
std::vector<int> labels_of(std::string const& text, loaded_model const& m);

/// A label for each picture, spread evenly. Throws where a label that was asked for gets none.
std::vector<int> spread(std::string const& text, std::vector<int> const& chosen, std::size_t count);

/// Throws unless the name ends in .png or .npy, can be written and is none of those that are read.
void check_output(std::string const& out, std::vector<std::string> const& read = {});

/// Throws where so many pictures have no room in memory, on the disk or in one PNG.
void check_room(std::string const& out, std::size_t count, sample_shape const& c,
                std::size_t columns);

/// x.png, one grid, or x.npy; `columns` 0: about square. A PNG shows `range` from black to white.
void write_pictures(std::string const& out, images const& pictures, std::size_t columns,
                    std::pair<double, double> range = {-1, 1});

/// Throws where --out is a PNG of samples that are no pictures, or that have no bounds.
void check_picture(std::string const& out, loaded_model const& m);

/// What `--condition NAME=x.npy` gives: an array of a row for each of `count` samples, or of one
/// for all. Throws a sentence where the model takes none of that name, or where one is missing.
std::vector<std::pair<std::string, images>> read_conditions(std::vector<std::string> const& given,
                                                            loaded_model const& m,
                                                            std::size_t count, bool guided);

/// Pictures for a network: x.npy with floats in [-1, 1] or bytes from 0 to 255, x.png, x.jpg, or
/// test:3,7, the pictures 3 and 7 of Fashion-MNIST's test set. Throws a sentence where they are not
/// of the network's size, or far outside of its range: floats are in it, bytes span it.
images read_pictures(char const* option, std::string const& text, sample_shape const& c,
                     std::optional<std::pair<double, double>> range = std::pair{-1.0, 1.0});

/// What the program wrote itself, x.npy: floats that may be at a noisier level, however large.
images read_latents(char const* option, std::string const& path, sample_shape const& c);

/// A mask of one channel for all pictures: white, 1, where they are known, black where not, a share
/// of both between. As a PNG gray in gray, RGB or a palette, where transparent is black; as x.npy
/// from 0 to 1, truth values or bytes from 0 to 255.
images read_mask(char const* option, std::string const& path, sample_shape const& c);

/// The options that each such command has.
struct loop_options {
  long long batch = 50;
  engine_options engine;
  std::string finished;  ///< of an interrupted command, to go on after
};
void add_loop_options(CLI::App& app, loop_options& o);

struct loop {
  std::size_t count = 0, batch = 50;
  std::uint64_t seed = 0;
  std::vector<int> labels;                                  ///< one per picture
  std::vector<std::pair<std::string, images>> arrays = {};  ///< other conditions, by their names
  std::string out = {};  ///< beside which finished pictures are kept; empty: they are not
  images finished = {};  ///< these come first
  settings given = {};   ///< kept with them
};

/// What the bits of a command's pictures depend on, beside what it adds itself.
settings settings_of(char const* command, loaded_model const& m, ready::recipe const& recipe,
                     std::vector<int> const& labels, loop_options const& o);

/// The pictures of --continue; none without it. Throws unless they are some of `count`, and of a
/// command with the same settings: what differs is named.
images read_finished(loop_options const& o, std::size_t count, sample_shape const& c,
                     settings const& given);

/// What a batch starts from: the request has its shape, seed and first id.
using start_function =
    std::function<state(any_plan const&, request const&, std::size_t begin, conditions const&)>;

/// Runs a plan on `count` pictures, some at a time, with a progress bar. Nothing where it was
/// interrupted, and the finished pictures are kept in a file; adds the seconds to `seconds`. Throws
/// where a picture is not finite.
std::optional<images> run_plan(char const* what, any_plan const& plan, sample_shape const& c,
                               loop const& o, start_function const& start, double& seconds);

/// The samples begin, begin + 1, ... of some pictures.
images slice(images const& all, std::size_t begin, std::size_t count);

}  // namespace tweedie::tool
