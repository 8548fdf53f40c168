// SPDX-License-Identifier: MIT
/// A strict JSON reader (RFC 8259), as large as the model metadata needs.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace hepgen_fastsim::json {

class Value;
using Array = std::vector<Value>;
using Object = std::map<std::string, Value, std::less<>>;

/// A JSON value; the `as_` functions throw ModelError with `where`, the value's path, if the type is another.
class Value {
 public:
  Value() = default;
  template <typename T>
  Value(T value) : data_(std::move(value)) {}  // NOLINT(google-explicit-constructor): a value is what it holds

  bool is_null() const { return std::holds_alternative<std::nullptr_t>(data_); }
  bool is_string() const { return std::holds_alternative<std::string>(data_); }
  const std::string& as_string(std::string_view where) const;
  double as_number(std::string_view where) const;
  std::int64_t as_integer(std::string_view where) const;
  const Array& as_array(std::string_view where) const;
  const Object& as_object(std::string_view where) const;

 private:
  const char* type_name() const;
  [[noreturn]] void wrong_type(std::string_view where, const char* expected) const;

  std::variant<std::nullptr_t, bool, double, std::string, Array, Object> data_ = nullptr;
};

/// Parses one document; throws ModelError with the byte offset of what is wrong. Nesting is limited to 64 levels.
Value parse(std::string_view text);

/// Member `key` of `object`; throws ModelError if it is missing.
const Value& require(const Object& object, std::string_view key, std::string_view where);

}  // namespace hepgen_fastsim::json
