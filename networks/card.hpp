// What the numbers of a network's file mean: a text that lies in the file, or beside it.
//
//   predicts = "epsilon"            # what it predicts: epsilon, x0, score, v, velocity, edm, ...
//   schedule = { name = "scaled_linear", beta_first = 0.00085, beta_last = 0.012 }
//   alpha_bar = "abar.npy"          # in place of a schedule: abar of each timestep, from the
//                                   # clean end on, in a file beside this text, or [0.99, ...]
//   time = "t - 1"                  # how it counts time: see `time_unit`
//   range = [-1.0, 1.0]             # of the data; without it: any
//   layout = "channels_first"       # or channels_last
//   shape = [1, 64, 64]             # of a sample, channels first, where the file takes any
//   rows = 4                        # of each call, where the file takes no other number, mutely
//   variance = "learned"            # the second half of the output's channels; without it: none
//
//   [inputs]                        # names in the file, where there are several
//   x = "sample"
//   time = "timestep"
//   labels = "class"
//   time_to = "r"                   # of a network of two times: the one that the step goes to
//   time_step = "d"                 # or how far that is, a positive number
//   time_type = "f32"               # or i32, i64, where the file does not say it
//   labels_type = "i64"             # likewise
//   [outputs]
//   prediction = "out"
//
//   [labels]                        # for a network that takes labels
//   names = ["cat", "dog"]          # or count = 1000: how many there are, without the null
//   null = 2                        # what says "no label"; without it there is no guidance
//   first = 0.0                     # label k is told as first + k * step
//   step = 1.0
//
//   [conditions.text]               # whatever else it takes: conditions{}.with("text", numbers)
//   input = "encoder_hidden_states"
//   null = "negative"               # what it is without: another such name, or a number; else
//                                   # there is no guidance
//   type = "f32"                    # or i32, i64, where the file does not say it
//
// Only `predicts` and `schedule`, or `alpha_bar`, have to be there.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tweedie/dsl/language/level.hpp>
#include <tweedie/networks/schedule_description.hpp>

namespace tweedie::networks {

/// How a network counts time, of the level that is asked for.
enum class time_unit {
  t,              ///< "t": the schedule's own, from 1 on a table
  t_minus_1,      ///< "t - 1": the index in a table that counts from 0; 0 at the clean level too
  thousand_t,     ///< "1000 t"
  t_by_steps,     ///< "t / T": of a table of T steps
  one_minus_t,    ///< "1 - t": flows whose data are at 1
  rho,            ///< "rho": sigma / alpha, the sigma of Karras et al. 2022
  log_rho,        ///< "ln(rho)"
  quarter_log,    ///< "ln(rho) / 4": c_noise of Karras et al. 2022, table 1
  lambda,         ///< "lambda": ln(alpha / sigma)
  log_snr,        ///< "ln(snr)": 2 lambda
  alpha_bar,      ///< "alpha_bar": alpha^2
  sqrt_alpha_bar  ///< "alpha": as Chen et al. 2021 (WaveGrad) tell the level
};

struct card {
  std::string predicts;
  schedule_description schedule;
  time_unit time = time_unit::t;
  struct interval {
    double lo, hi;
  };
  std::optional<interval> range;  ///< of the data
  bool channels_last = false;
  std::vector<std::size_t> shape;  ///< of a sample, channels first; empty: the file's
  std::size_t rows = 0;            ///< of each call; 0: what the file says, or any number
  bool learns_variance = false;
  struct names_of_ports {
    std::string x, time, labels, prediction;  ///< empty: the file has one that can be meant
    std::string time_to, time_step;      ///< empty: a network of one time; at most one is given
    std::string time_type, labels_type;  ///< empty: the file's, or the usual ones
  } ports;
  struct of_labels {
    std::size_t count = 0;           ///< of classes, without the null
    std::vector<std::string> names;  ///< as many, or none
    double first = 0, step = 1;      ///< label k is told as first + k * step
    std::optional<double> null;      ///< how "no label" is told
  };
  std::optional<of_labels> labels;  ///< none: a network without labels
  struct of_array {
    std::string name, input;     ///< as it is given, and in the file
    std::optional<double> null;  ///< how "none" is told
    std::string negative;        ///< or the name of the condition that is taken in its place
    std::string type = {};       ///< empty: the file's, or f32
  };
  std::vector<of_array> conditions;
};

/// Throws tweedie::error, a sentence that begins with `source`, if a key is missing, not known or
/// of another type, or if a value is out of range. A file that it names lies in `folder`.
card parse_card(std::string_view toml, std::string const& source,
                std::filesystem::path const& folder = {});
/// As `parse_card`, of a file.
card read_card(std::filesystem::path const& path);
/// What `parse_card` reads back.
std::string to_toml(card const& c);

/// The time of a level as the network counts it.
double time_of(time_unit unit, level const& l);
/// "ln(rho) / 4"
char const* name_of(time_unit unit);

}  // namespace tweedie::networks
