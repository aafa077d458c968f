// A device that is asked nothing but whether it can be used: what a plan refuses before it asks for
// memory, on machines without one.
#pragma once

#include <memory>
#include <string>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/device/placement.hpp>

struct no_device final : tweedie::device_memory {
  no_device() : device_memory(nullptr) {}
  static tweedie::error asked() { return tweedie::error("a device that is none was used"); }

  void* allocate(std::size_t) override { throw asked(); }
  void release(void*, std::size_t) noexcept override {}
  void zero(void*, std::size_t) override { throw asked(); }
  void copy(void*, void const*, std::size_t) override { throw asked(); }
  void copy_in(void*, void const*, std::size_t) override { throw asked(); }
  void copy_out(void*, void const*, std::size_t) override { throw asked(); }
  void wait() override { throw asked(); }
  void check_ready() const override {}
  void check_done(char const*) const override {}
  void check_pointer(void const*, char const*) const override {}
  bool is_shared_with_host() const override { return false; }
  void begin_recording() override { throw asked(); }
  std::unique_ptr<tweedie::recording> end_recording() override { throw asked(); }
  void drop_recording() noexcept override {}
};

/// What the plan says of such a device; "" if nothing.
template <class Plan> std::string refusal_of(Plan const& plan) {
  try {
    plan.check_place({std::make_shared<no_device>()});
  } catch (tweedie::error const& e) {
    return e.what();
  }
  return "";
}
