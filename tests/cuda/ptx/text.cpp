// Statements end in a semicolon, labels in a colon; braces hold a body, or a vector's registers.
#include "text.hpp"

#include <cctype>
#include <charconv>

#include "fault.hpp"

namespace ptx {

namespace {

bool is_name(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '%' ||
         c == '.';
}

std::string_view trimmed(std::string_view s) {
  auto const space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  while (!s.empty() && space(s.front())) s.remove_prefix(1);
  while (!s.empty() && space(s.back())) s.remove_suffix(1);
  return s;
}

[[noreturn]] void refuse(std::size_t line, std::string_view what) {
  throw fault("line " + std::to_string(line) + " of the PTX: " + std::string(what));
}

std::uint64_t number_of(std::string_view s, std::size_t line) {
  auto const digits = [&](std::string_view d, int base) {
    std::uint64_t n = 0;
    auto const [end, error] = std::from_chars(d.data(), d.data() + d.size(), n, base);
    if (error != std::errc() || end != d.data() + d.size())
      refuse(line, "'" + std::string(s) + "' is no number");
    return n;
  };
  bool const minus = s.front() == '-';
  if (minus) s.remove_prefix(1);
  if (s.ends_with('U')) s.remove_suffix(1);
  std::uint64_t n = 0;
  // The bits of a float or of a double, or an integer.
  if (s.starts_with("0f") || s.starts_with("0F") || s.starts_with("0d") || s.starts_with("0D") ||
      s.starts_with("0x") || s.starts_with("0X"))
    n = digits(s.substr(2), 16);
  else n = digits(s, 10);
  return minus ? std::uint64_t{0} - n : n;
}

bool is_number(std::string_view s) {
  return !s.empty() &&
         (std::isdigit(static_cast<unsigned char>(s[0])) || (s[0] == '-' && s.size() > 1));
}

/// At commas outside of brackets and braces.
std::vector<std::string_view> split(std::string_view s) {
  std::vector<std::string_view> r;
  int depth = 0;
  std::size_t start = 0;
  for (std::size_t i = 0; i <= s.size(); ++i) {
    if (i < s.size() && (s[i] == '{' || s[i] == '[')) ++depth;
    if (i < s.size() && (s[i] == '}' || s[i] == ']')) --depth;
    if (i == s.size() || (s[i] == ',' && depth == 0)) {
      if (auto const part = trimmed(s.substr(start, i - start)); !part.empty()) r.push_back(part);
      start = i + 1;
    }
  }
  return r;
}

operand operand_of(std::string_view s, std::size_t line) {
  operand o;
  if (s.front() == '{' || s.front() == '[') {
    if (s.size() < 2) refuse(line, "a bracket is never closed");
    std::string_view const inside = trimmed(s.substr(1, s.size() - 2));
    if (s.front() == '{') {
      o.kind = operand::kinds::vector;
      for (auto const part : split(inside)) o.parts.push_back(operand_of(part, line));
      return o;
    }
    o.kind = operand::kinds::address;
    std::size_t const plus = inside.find('+');
    std::string_view const base = trimmed(inside.substr(0, plus));
    if (is_number(base)) o.number = number_of(base, line);
    else o.name = base;
    if (plus != std::string_view::npos)
      o.offset = static_cast<std::int64_t>(number_of(trimmed(inside.substr(plus + 1)), line));
    return o;
  }
  if (is_number(s)) {
    o.kind = operand::kinds::number;
    o.number = number_of(s, line);
  } else o.name = s;
  return o;
}

std::size_t bytes_of(std::string_view type, std::size_t line) {
  std::size_t const digit = type.find_first_of("0123456789");
  if (digit == std::string_view::npos) refuse(line, "'" + std::string(type) + "' is no type");
  return static_cast<std::size_t>(number_of(type.substr(digit), line)) / 8;
}

/// ".shared .align 4 .b8 name[1036]"
variable variable_of(std::string_view s, std::size_t line) {
  variable v;
  std::vector<std::string_view> words;
  std::size_t i = 0;
  while (i < s.size()) {
    while (i < s.size() && std::isspace(static_cast<unsigned char>(s[i]))) ++i;
    std::size_t const start = i;
    while (i < s.size() && is_name(s[i])) ++i;
    if (i == start) break;
    words.push_back(s.substr(start, i - start));
  }
  std::size_t element = 0;
  for (std::size_t w = 0; w < words.size(); ++w) {
    auto const word = words[w];
    if (word == ".align") v.alignment = static_cast<std::size_t>(number_of(words.at(++w), line));
    else if (word == ".param" || word == ".shared" || word == ".global" || word == ".const" ||
             word == ".local")
      v.space = word.substr(1);
    else if (word == ".visible" || word == ".extern" || word == ".weak" || word == ".ptr") continue;
    else if (word.front() == '.') element = bytes_of(word.substr(1), line);
    else v.name = word;
  }
  if (v.alignment < element) v.alignment = element;
  std::size_t count = 1;
  for (std::size_t at = s.find('['); at != std::string_view::npos; at = s.find('[', at + 1)) {
    std::string_view const n = trimmed(s.substr(at + 1, s.find(']', at) - at - 1));
    count *= n.empty() ? 0 : static_cast<std::size_t>(number_of(n, line));
  }
  v.bytes = element * count;
  return v;
}

class reader {
 public:
  explicit reader(std::string_view text) : text_(text) {}

  file_text all() {
    while (skip(), at_ < text_.size()) top();
    return std::move(file_);
  }

 private:
  /// Over blanks and comments.
  void skip() {
    while (at_ < text_.size()) {
      if (text_.substr(at_, 2) == "//") to(text_.find('\n', at_));
      else if (text_.substr(at_, 2) == "/*") to(text_.find("*/", at_), 2);
      else if (std::isspace(static_cast<unsigned char>(text_[at_]))) to(at_ + 1);
      else return;
    }
  }
  void to(std::size_t where, std::size_t behind = 0) {
    std::size_t const end = where == std::string_view::npos ? text_.size() : where + behind;
    for (; at_ < end; ++at_) line_ += text_[at_] == '\n';
  }
  std::string_view until(std::string_view stops) {
    std::size_t const start = at_, end = text_.find_first_of(stops, at_);
    if (end == std::string_view::npos) refuse(line_, "the text ends within a statement");
    to(end);
    return trimmed(text_.substr(start, end - start));
  }
  std::string_view word() {
    skip();
    std::size_t end = at_;
    while (end < text_.size() && is_name(text_[end])) ++end;
    auto const w = text_.substr(at_, end - at_);
    to(end);
    return w;
  }

  void top() {
    std::size_t const start = at_;
    auto const first = word();
    if (first == ".version" || first == ".target" || first == ".address_size") {
      until("\n");
    } else if (first == ".visible" || first == ".weak" || first == ".entry" || first == ".extern" ||
               first == ".func") {
      auto w = first;
      while (w != ".entry" && w != ".func" && w != ".global" && w != ".const" && w != ".shared")
        w = word();
      if (w == ".entry") entry();
      else if (w == ".func") function();
      else {
        to_start(start);
        global();
      }
    } else if (first == ".global" || first == ".const") {
      to_start(start);
      global();
    } else refuse(line_, "'" + std::string(first) + "' is not known here");
  }
  void to_start(std::size_t start) { at_ = start; }
  void global() {
    std::size_t const line = line_;
    file_.variables.push_back(variable_of(until(";="), line));
    until(";");
    to(at_ + 1);
  }
  /// Only declared or defined: a call of it is refused.
  void function() {
    until("{;");
    int depth = 0;
    do {
      if (text_[at_] == '{') ++depth;
      if (text_[at_] == '}') --depth;
      to(at_ + 1);
    } while (depth > 0 && at_ < text_.size());
  }

  void entry() {
    entry_text e;
    e.name = word();
    skip();
    if (text_[at_] == '(') {
      to(at_ + 1);
      std::size_t const line = line_;
      for (auto const p : split(until(")"))) e.parameters.push_back(variable_of(p, line));
      to(at_ + 1);
    }
    until("{");
    to(at_ + 1);
    int depth = 1;
    while (depth > 0) {
      skip();
      if (at_ >= text_.size()) refuse(line_, "an entry is never closed");
      if (text_[at_] == '{') ++depth, to(at_ + 1);
      else if (text_[at_] == '}') --depth, to(at_ + 1);
      else if (text_[at_] == ';') to(at_ + 1);
      else step(e);
    }
    file_.entries.push_back(std::move(e));
  }

  void step(entry_text& e) {
    std::size_t const start = at_, line = line_;
    if (text_[at_] != '.' && text_[at_] != '@') {
      auto const name = word();
      if (at_ < text_.size() && text_[at_] == ':' && text_.substr(at_, 2) != "::") {
        e.labels.emplace(name, e.statements.size());
        to(at_ + 1);
        return;
      }
      at_ = start;
    }
    auto const s = until(";");
    to(at_ + 1);
    if (s.front() == '.') directive(e, s, line);
    else e.statements.push_back(statement_of(s, line));
  }

  void directive(entry_text& e, std::string_view s, std::size_t line) {
    if (s.starts_with(".reg")) {
      std::size_t i = 4;
      while (std::isspace(static_cast<unsigned char>(s[i]))) ++i;
      while (is_name(s[i])) ++i;  // the type
      for (auto const name : split(s.substr(i))) {
        std::size_t const open = name.find('<');
        std::size_t const count = open == std::string_view::npos
                                      ? 0
                                      : static_cast<std::size_t>(number_of(
                                            name.substr(open + 1, name.size() - open - 2), line));
        e.registers.emplace(name.substr(0, open), count);
      }
    } else if (s.starts_with(".shared") || s.starts_with(".local")) {
      e.variables.push_back(variable_of(s, line));
    } else if (!s.starts_with(".pragma")) {
      refuse(line, "the directive '" + std::string(s) + "' is not known");
    }
  }

  static statement statement_of(std::string_view s, std::size_t line) {
    statement r;
    r.line = line;
    r.text = s;
    if (s.front() == '@') {
      s.remove_prefix(1);
      if (s.front() == '!') r.negated = true, s.remove_prefix(1);
      std::size_t const end = s.find_first_of(" \t\n");
      r.guard = s.substr(0, end);
      s = trimmed(s.substr(end));
    }
    std::size_t const end = s.find_first_of(" \t\n");
    std::string_view opcode = s.substr(0, end);
    while (!opcode.empty()) {
      std::size_t dot = opcode.find('.');
      r.opcode.emplace_back(opcode.substr(0, dot));
      opcode = dot == std::string_view::npos ? "" : opcode.substr(dot + 1);
    }
    if (end != std::string_view::npos)
      for (auto const o : split(s.substr(end))) r.operands.push_back(operand_of(o, line));
    return r;
  }

  std::string_view text_;
  std::size_t at_ = 0, line_ = 1;
  file_text file_;
};

}  // namespace

file_text parse(std::string_view text) { return reader(text).all(); }

}  // namespace ptx
