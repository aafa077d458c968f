// A U-Net as an ONNX file, for engines that know nothing of LibTorch: its formulas as operators of
// opset 17, its weights, and a card (networks/card.hpp).
//
//   x    float32 {N, channels, size, size}    pictures with their noise
//   t    float32 {N}                          the schedule's time; time_scale is inside
//   y    int64   {N}                          classes, `classes` itself is the null; not there in
//                                             an unconditional network
//   out  float32 {N, channels, size, size}    the prediction
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <tweedie/dsl/language/batch.hpp>
#include <tweedie/networks/card.hpp>
#include <tweedie/networks/unet_file.hpp>

namespace tweedie::networks {

inline constexpr int onnx_opset = 17;

/// How the weights of convolutions, of linear maps and of the classes are stored; what has one
/// number a channel is float32 always. An engine widens 16 bits when it loads them.
enum class onnx_weights { f32, f16, bf16 };

/// Why `to_onnx` cannot be called: the end of a sentence. Null where it can.
char const* why_not_onnx();

/// What a model's file says of its numbers. Throws `error` where the model has names for some of
/// its classes and not for all.
card card_of(model const& m);

/// The bytes of the file, the card in its metadata under "tweedie". The same model gives the same
/// bytes. Throws `error` where this build cannot write ONNX, where the weights are more than one
/// file can hold (2 GB), or where a weight is too large for 16 bits.
std::string to_onnx(model const& m, onnx_weights type = onnx_weights::f32);

/// Writes them, atomically. Throws `error`.
void save_onnx(std::filesystem::path const& path, model const& m,
               onnx_weights type = onnx_weights::f32);

/// By what an export is judged: the largest difference between what the model's network answers
/// and what `read`, a network read from its file, does, on a picture of noise at each of `times`,
/// with a label and without. Infinite where one of the two is not finite.
double largest_difference(model const& m, std::vector<double> const& times,
                          std::function<void(batch const&)> const& read);

}  // namespace tweedie::networks
