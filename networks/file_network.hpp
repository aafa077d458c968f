// A network in a file as a stage of a pipeline, whatever engine runs it: networks/onnx.hpp,
// networks/torchscript.hpp.
//
// What its numbers mean is a card (networks/card.hpp): net.toml beside the file, or a text in it.
// `tweedie inspect FILE` prints what the file says, and a card to fill in.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <tweedie/dsl/language/composition.hpp>
#include <tweedie/networks/card.hpp>
#include <tweedie/networks/engine.hpp>

namespace tweedie::networks {

struct file_options {
  int threads = 0;  ///< of the engine; 0: as many as there are cores
  /// 16 bits are faster where the processor has instructions for them; the samples differ a little.
  networks::precision precision = precision::float32;
  std::optional<networks::card> card = {};  ///< in place of the file's
  /// How many rows it will be asked for above all, samples times branches; 0: no such number.
  /// Where the engine compiles a file, it does so for that number: faster by some percent, by a
  /// fifth at 1 or 2 rows. Any other number is taken too, once the file is compiled for any. The
  /// last bits differ.
  std::size_t rows = 0;
};

/// What a file and its card say, before the engine is made ready to run it.
struct file_description {
  networks::card card;
  std::vector<std::size_t> shape;     ///< of a sample, channels first; 0: any
  bool differentiates = false;        ///< whether its engine has the derivative
  std::shared_ptr<void> opened = {};  ///< the file, for the network that is made of this
};

/// Copies share the file. Several threads may use it at once.
class file_network {
 public:
  using kind = kinds::network;
  static constexpr char const* name = "file_network";

  /// Of a file that is open already: it is read once. Its card is that of the description.
  explicit file_network(file_description const& described, file_options const& options = {});

  networks::card const& card() const;
  /// Of a sample as the library has it, channels first; 0: any.
  std::vector<std::size_t> const& shape() const;
  /// "OpenVINO 2026.4.1"
  std::string const& engine_name() const;
  /// What the card says; a pipeline that takes it for another prediction is refused.
  std::string const& predicted() const { return card().predicts; }
  /// A pipeline on another schedule is refused.
  training_schedule trained_on() const;
  bool conditional() const { return card().labels.has_value() || !card().conditions.empty(); }

  /// Asked by a plan before anything is drawn. `shape` begins with the number of samples. Throws
  /// tweedie::error if the samples, a label or the branches do not fit the network.
  void check(std::span<std::size_t const> shape, std::span<int const> labels, int branches) const;

  /// As `check`, of the conditions that are no labels: those of the card have to be there, in the
  /// shapes of the file's inputs, and if branches are asked `without`, what stands for none.
  void check_arrays(std::span<named_array const> arrays, int without) const;

  /// Throws tweedie::error if the engine fails, or if a value that it writes is not finite.
  void operator()(batch const& b) const;

  friend bool operator==(file_network const&, file_network const&) = default;

 protected:
  using opener = std::unique_ptr<engine> (*)(std::filesystem::path const&);
  /// Throws tweedie::error, which names the file: if it is none of the engine's, if it has no card,
  /// or if the card and the file contradict each other; if the engine lacks an operator or the
  /// precision.
  file_network(std::filesystem::path const& path, file_options const& options, opener open);

  /// Each row's transposed Jacobian times the sample's row of `probe`.
  void vjp_of(batch const& b, float const* probe, float* result) const;

 private:
  friend file_description describe_file(std::filesystem::path const& path);
  struct file;
  struct asked;
  template <class Ask> void for_each_call(batch const& b, Ask const& ask) const;
  std::shared_ptr<file const> file_;
};

/// A network in a file that its engine can differentiate, for likelihoods.
class differentiable_file_network : public file_network {
 public:
  static constexpr char const* name = "differentiable_file_network";
  explicit differentiable_file_network(file_description const& described,
                                       file_options const& options = {});

  /// For pipelines/likelihood.hpp: each row's transposed Jacobian times the sample's row of
  /// `probe`.
  void vjp(batch const& b, float const* probe, float* result) const { vjp_of(b, probe, result); }

  friend bool operator==(differentiable_file_network const&,
                         differentiable_file_network const&) = default;

 protected:
  using file_network::file_network;
};

/// By the file's ending, as `open_network`. Throws as the networks' constructors do.
file_description describe_file(std::filesystem::path const& path);

/// The card of a file: net.toml beside net.onnx, else the metadata `tweedie`; none if there is
/// neither. Throws as `parse_card` does.
std::optional<card> card_of(std::filesystem::path const& path, engine const& opened);

/// A card to fill in, with what can be told from the file's ports, and comments on the rest.
std::string card_to_fill_in(engine const& opened);

}  // namespace tweedie::networks
