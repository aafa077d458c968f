// Whether two values are the same, as far as their types can tell.
#pragma once

#include <cstring>
#include <memory>
#include <type_traits>
#include <typeinfo>
#include <utility>

namespace tweedie::detail {

template <class T> inline constexpr bool has_equality = requires(T const& a) {
  static_cast<bool>(a == a);
};

/// Nothing where the type has no == and equal values may have other bytes: a std::function, a
/// lambda that holds a vector.
template <class T> constexpr bool (*comparison_of())(void const*, void const*) {
  if constexpr (std::is_empty_v<T>) return [](void const*, void const*) { return true; };
  else if constexpr (has_equality<T>)
    return [](void const* a, void const* b) {
      return static_cast<bool>(*static_cast<T const*>(a) == *static_cast<T const*>(b));
    };
  else if constexpr (std::has_unique_object_representations_v<T>)
    return [](void const* a, void const* b) { return std::memcmp(a, b, sizeof(T)) == 0; };
  else return nullptr;
}
template <class T> inline constexpr bool can_be_compared = comparison_of<T>() != nullptr;

/// For two of a type that can be compared.
template <class T> bool same_value(T const& a, T const& b) { return comparison_of<T>()(&a, &b); }

/// What something that can be called is, of any type: an object that it shares.
class callee {
 public:
  callee() = default;
  /// Known by where it is, and by nothing else.
  explicit callee(std::shared_ptr<void const> object) : object_(std::move(object)) {}
  template <class T>
  callee(std::shared_ptr<void const> object, T const&)
      : object_(std::move(object)), type_(&typeid(T)), equal_(comparison_of<T>()) {}

  explicit operator bool() const { return object_ != nullptr; }

  enum class answer { same, other, unknown };
  friend answer compare(callee const& a, callee const& b) {
    if (a.object_ == b.object_) return answer::same;
    if (!a.type_ || !b.type_ || *a.type_ != *b.type_) return answer::other;
    if (!a.equal_) return answer::unknown;
    return a.equal_(a.object_.get(), b.object_.get()) ? answer::same : answer::other;
  }

 private:
  std::shared_ptr<void const> object_;
  std::type_info const* type_ = nullptr;
  bool (*equal_)(void const*, void const*) = nullptr;
};

/// Whether there is nothing to call: an empty std::function, a pointer to none.
template <class F> bool calls_nothing(F const& f) {
  if constexpr (!std::is_empty_v<F> && requires { static_cast<bool>(f == nullptr); })
    return f == nullptr;
  else return false;
}

}  // namespace tweedie::detail
