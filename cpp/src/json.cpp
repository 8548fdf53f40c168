// SPDX-License-Identifier: MIT
#include "json.hpp"

#include <charconv>
#include <cmath>

#include "hepgen_fastsim/error.hpp"

namespace hepgen_fastsim::json {
namespace {

constexpr int max_depth = 64;

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Value document() {
    Value value = parse_value(0);
    skip_space();
    if (at_ != text_.size()) fail("the end of the document");
    return value;
  }

 private:
  [[noreturn]] void fail(const std::string& expected) const {
    const std::string found = at_ < text_.size() ? "'" + std::string(text_.substr(at_, 12)) + "'" : "the end";
    throw ModelError("JSON: expected " + expected + " at byte " + std::to_string(at_) + ", found " + found);
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
      ++at_;
  }

  bool accept(char c) {
    skip_space();
    if (at_ < text_.size() && text_[at_] == c) return ++at_, true;
    return false;
  }

  void expect(char c) {
    if (!accept(c)) fail(std::string("'") + c + "'");
  }

  Value parse_value(int depth) {
    if (depth > max_depth) fail("at most " + std::to_string(max_depth) + " levels of nesting");
    skip_space();
    if (at_ == text_.size()) fail("a value");
    switch (text_[at_]) {
      case '{':
        return parse_object(depth);
      case '[':
        return parse_array(depth);
      case '"':
        return parse_string();
      case 't':
        return literal("true", true);
      case 'f':
        return literal("false", false);
      case 'n':
        return literal("null", nullptr);
      default:
        return parse_number();
    }
  }

  template <typename T>
  Value literal(std::string_view word, T value) {
    if (text_.substr(at_, word.size()) != word) fail("a value");
    at_ += word.size();
    return value;
  }

  Value parse_number() {
    double value = 0;
    const char* begin = text_.data() + at_;
    // from_chars also takes "inf" and "nan", which JSON does not have.
    if (*begin != '-' && (*begin < '0' || *begin > '9')) fail("a value");
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
    if (error != std::errc{} || !std::isfinite(value)) fail("a finite number");
    at_ += static_cast<std::size_t>(end - begin);
    return value;
  }

  std::uint32_t parse_hex4() {
    std::uint32_t code = 0;
    if (at_ + 4 > text_.size()) fail("four hexadecimal digits");
    const char* begin = text_.data() + at_;
    const auto [end, error] = std::from_chars(begin, begin + 4, code, 16);
    if (error != std::errc{} || end != begin + 4) fail("four hexadecimal digits");
    at_ += 4;
    return code;
  }

  void append_utf8(std::string& out, std::uint32_t code) {
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else if (code < 0x800) {
      out += static_cast<char>(0xC0 | code >> 6);
      out += static_cast<char>(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
      out += static_cast<char>(0xE0 | code >> 12);
      out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
      out += static_cast<char>(0x80 | (code & 0x3F));
    } else {
      out += static_cast<char>(0xF0 | code >> 18);
      out += static_cast<char>(0x80 | (code >> 12 & 0x3F));
      out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
      out += static_cast<char>(0x80 | (code & 0x3F));
    }
  }

  std::string parse_string() {
    expect('"');
    std::string out;
    while (true) {
      if (at_ == text_.size()) fail("'\"'");
      const char c = text_[at_++];
      if (c == '"') return out;
      if (static_cast<unsigned char>(c) < 0x20) --at_, fail("an escaped control character");
      if (c != '\\') {
        out += c;
        continue;
      }
      if (at_ == text_.size()) fail("an escape");
      switch (text_[at_++]) {
        case '"':
          out += '"';
          break;
        case '\\':
          out += '\\';
          break;
        case '/':
          out += '/';
          break;
        case 'b':
          out += '\b';
          break;
        case 'f':
          out += '\f';
          break;
        case 'n':
          out += '\n';
          break;
        case 'r':
          out += '\r';
          break;
        case 't':
          out += '\t';
          break;
        case 'u': {
          std::uint32_t code = parse_hex4();
          if (code >= 0xD800 && code < 0xDC00) {  // first half of a surrogate pair
            if (text_.substr(at_, 2) != "\\u") fail("the second half of a surrogate pair");
            at_ += 2;
            const std::uint32_t low = parse_hex4();
            if (low < 0xDC00 || low > 0xDFFF) fail("the second half of a surrogate pair");
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
          }
          append_utf8(out, code);
          break;
        }
        default:
          --at_, fail("one of the escapes of JSON");
      }
    }
  }

  Value parse_array(int depth) {
    expect('[');
    Array out;
    if (accept(']')) return out;
    do out.push_back(parse_value(depth + 1));
    while (accept(','));
    expect(']');
    return out;
  }

  Value parse_object(int depth) {
    expect('{');
    Object out;
    if (accept('}')) return out;
    do {
      skip_space();
      std::string key = parse_string();
      expect(':');
      if (!out.emplace(key, parse_value(depth + 1)).second) fail("'" + key + "' once only");
    } while (accept(','));
    expect('}');
    return out;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

const char* Value::type_name() const {
  constexpr const char* names[] = {"null", "a boolean", "a number", "a string", "an array", "an object"};
  return names[data_.index()];
}

void Value::wrong_type(std::string_view where, const char* expected) const {
  throw ModelError("metadata: '" + std::string(where) + "' should be " + expected + ", but is " + type_name());
}

const std::string& Value::as_string(std::string_view where) const {
  if (const auto* value = std::get_if<std::string>(&data_)) return *value;
  wrong_type(where, "a string");
}

double Value::as_number(std::string_view where) const {
  if (const auto* value = std::get_if<double>(&data_)) return *value;
  wrong_type(where, "a number");
}

std::int64_t Value::as_integer(std::string_view where) const {
  const auto* value = std::get_if<double>(&data_);
  if (value == nullptr || *value != std::floor(*value) || std::abs(*value) > 0x1p53) wrong_type(where, "an integer");
  return static_cast<std::int64_t>(*value);
}

const Array& Value::as_array(std::string_view where) const {
  if (const auto* value = std::get_if<Array>(&data_)) return *value;
  wrong_type(where, "an array");
}

const Object& Value::as_object(std::string_view where) const {
  if (const auto* value = std::get_if<Object>(&data_)) return *value;
  wrong_type(where, "an object");
}

Value parse(std::string_view text) {
  return Parser(text).document();
}

const Value& require(const Object& object, std::string_view key, std::string_view where) {
  const auto found = object.find(key);
  if (found == object.end()) {
    throw ModelError("metadata: '" + std::string(where) + "' lacks the key '" + std::string(key) + "'");
  }
  return found->second;
}

}  // namespace hepgen_fastsim::json
