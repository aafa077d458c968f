#include "decode.hpp"

#include <algorithm>
#include <cctype>

#include "fault.hpp"
#include "operations.hpp"

namespace ptx {

namespace {

class decoder {
 public:
  decoder(entry_text const& text, std::map<std::string, std::uint64_t> const& globals)
      : text_(text), globals_(globals) {}

  entry all() {
    e_.name = text_.name;
    for (auto const& p : text_.parameters) {
      std::size_t const at = aligned(e_.parameter_bytes, p.alignment);
      e_.parameters.push_back({p.name, at, p.bytes});
      symbols_[p.name] = at;
      e_.parameter_bytes = at + p.bytes;
    }
    for (auto const& v : text_.variables) {
      if (v.space != "shared")
        throw fault("the entry " + text_.name + " has " + std::to_string(v.bytes) + " bytes of ." +
                    v.space + " memory: an array that does not fit registers");
      std::size_t const at = aligned(e_.shared_bytes, v.alignment);
      symbols_[v.name] = at;
      e_.shared_bytes = at + v.bytes;
    }
    for (auto const& s : text_.statements) add(s);
    // The end of the body is a return.
    statement last;
    last.opcode = {"ret"};
    last.text = "}";
    add(last);
    return std::move(e_);
  }

 private:
  static std::size_t aligned(std::size_t at, std::size_t to) { return (at + to - 1) / to * to; }

  [[noreturn]] void refuse(statement const& s, std::string const& what) const {
    throw fault("line " + std::to_string(s.line) + " of the PTX, '" + s.text + "': " + what);
  }

  reg fresh(std::uint64_t value) {
    e_.registers.push_back(value);
    return static_cast<reg>(e_.registers.size() - 1);
  }
  reg literal(std::uint64_t value) {
    auto const [at, is_new] = literals_.try_emplace(value, 0);
    if (is_new) at->second = fresh(value);
    return at->second;
  }

  bool is_declared(std::string const& name) const {
    if (text_.registers.contains(name)) return true;
    std::size_t const digits = name.find_last_not_of("0123456789") + 1;
    auto const at = text_.registers.find(name.substr(0, digits));
    return at != text_.registers.end() && digits < name.size() &&
           std::stoul(name.substr(digits)) < at->second;
  }

  reg named(statement const& s, std::string const& name) {
    if (auto const at = names_.find(name); at != names_.end()) return at->second;
    if (name == "_") return names_[name] = fresh(0);
    if (is_declared(name)) return names_[name] = fresh(0);
    constexpr std::string_view families[] = {"%tid.", "%ntid.", "%ctaid.", "%nctaid."};
    for (std::size_t f = 0; f < std::size(families); ++f)
      for (std::size_t axis = 0; axis < 3; ++axis)
        if (name == std::string(families[f]) + "xyz"[axis])
          return names_[name] = e_.special[f * 3 + axis] = fresh(0);
    if (auto const at = symbols_.find(name); at != symbols_.end()) return literal(at->second);
    if (auto const at = globals_.find(name); at != globals_.end()) return literal(at->second);
    refuse(s, "'" + name + "' is no register or symbol that this interpreter knows");
  }

  reg register_of(statement const& s, operand const& o) {
    switch (o.kind) {
      case operand::kinds::number:
        return literal(o.number);
      case operand::kinds::address:
        return o.name.empty() ? literal(o.number) : named(s, o.name);
      case operand::kinds::name:
        return named(s, o.name);
      case operand::kinds::vector:
        break;
    }
    refuse(s, "a vector stands where one register was expected");
  }

  void take_parts(statement const& s, operand const& o, instruction& i) {
    if (o.kind != operand::kinds::vector) {
      i.parts[0] = register_of(s, o);
      return;
    }
    if (o.parts.size() > std::size(i.parts)) refuse(s, "a vector of more than 8");
    i.vector = static_cast<std::uint8_t>(o.parts.size());
    for (std::size_t j = 0; j < o.parts.size(); ++j) i.parts[j] = register_of(s, o.parts[j]);
  }

  void add(statement const& s) {
    instruction i;
    i.run = operation_of(s);
    if (!i.run) {
      std::string opcode = s.opcode[0];
      for (std::size_t j = 1; j < s.opcode.size(); ++j) opcode += "." + s.opcode[j];
      refuse(s, "the interpreter has no '" + opcode + "'");
    }
    i.source = e_.text.size();
    e_.text.push_back("'" + s.text + "' (line " + std::to_string(s.line) + ")");
    if (!s.guard.empty()) {
      i.guard = named(s, s.guard);
      i.negated = s.negated;
    }
    std::string const& name = s.opcode[0];
    auto const& o = s.operands;
    auto const expect = [&](std::size_t n) {
      if (o.size() < n) refuse(s, "it has fewer operands than were expected");
    };
    if (name == "bra") {
      expect(1);
      auto const at = text_.labels.find(o[0].name);
      if (at == text_.labels.end()) refuse(s, "there is no such label");
      i.target = static_cast<std::uint32_t>(at->second);
    } else if (name == "bar" || name == "barrier") {
      e_.has_barriers = true;
      for (auto const& one : o)
        if (one.kind != operand::kinds::number || one.number != 0)
          refuse(s, "the interpreter has no barrier but number 0, of all threads");
    } else if (name == "ld" || name == "st") {
      expect(2);
      bool const load = name == "ld";
      take_parts(s, o[load ? 0 : 1], i);
      i.a = register_of(s, o[load ? 1 : 0]);
      i.offset = o[load ? 1 : 0].offset;
    } else if (name == "mov" && o.size() == 2 && o[0].kind == operand::kinds::vector) {
      take_parts(s, o[0], i);
      i.a = register_of(s, o[1]);
    } else if (name == "mov" && o.size() == 2 && o[1].kind == operand::kinds::vector) {
      take_parts(s, o[1], i);
      i.d = register_of(s, o[0]);
    } else {
      reg* const to[] = {&i.d, &i.a, &i.b, &i.c, &i.e};
      if (o.size() > std::size(to)) refuse(s, "it has more operands than were expected");
      for (std::size_t j = 0; j < o.size(); ++j) {
        *to[j] = register_of(s, o[j]);
        if (o[j].kind == operand::kinds::address) i.offset = o[j].offset;
      }
    }
    e_.code.push_back(i);
  }

  entry_text const& text_;
  std::map<std::string, std::uint64_t> const& globals_;
  entry e_;
  std::map<std::string, reg> names_;
  std::map<std::string, std::uint64_t> symbols_;
  std::map<std::uint64_t, reg> literals_;
};

}  // namespace

entry decode(entry_text const& text, std::map<std::string, std::uint64_t> const& globals) {
  return decoder(text, globals).all();
}

}  // namespace ptx
