// The subcommands of the program: each declares its options and says how it is run.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace tweedie::tool {

/// What a subcommand does once its options are read; the exit code.
using action = std::function<int()>;

/// `command` is the whole line as typed, for the files that remember it.
action add_train(CLI::App& app, std::string const& command);
action add_sample(CLI::App& app, std::string const& command);
action add_encode(CLI::App& app, std::string const& command);
action add_interpolate(CLI::App& app, std::string const& command);
action add_likelihood(CLI::App& app, std::string const& command);
action add_export(CLI::App& app, std::string const& command);
action add_inspect(CLI::App& app, std::string const& command);
action add_plot(CLI::App& app, std::string const& command);
action add_recipes(CLI::App& app, std::string const& command);
action add_explain(CLI::App& app, std::string const& command);

}  // namespace tweedie::tool
