// SPDX-License-Identifier: MIT
/// Numbers out of text, in place. Every function reads at `p`, returns the position behind the number, or nullptr
/// when there is none; the text must end in a character that no number contains (a newline), followed by at least
/// `text_padding` readable bytes.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace hepgen_fastsim::detail {

inline constexpr std::size_t text_padding = 32;

/// Any decimal number, correctly rounded, including "nan" and "inf"; overflow gives an infinity. Slow path.
const char* parse_double_slow(const char* p, double& value);

/// digits * 10^exponent, correctly rounded; false when the slow path must decide.
bool scale_decimal(std::uint64_t digits, int exponent, double& value);

inline bool is_digit(char c) {
  return static_cast<unsigned char>(c - '0') < 10;
}

inline const char* skip_blanks(const char* p) {
  while (*p == ' ' || *p == '\t') ++p;
  return p;
}

/// A number must end where a token ends.
inline bool ends_token(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

inline const char* parse_int(const char* p, std::int64_t& value) {
  p = skip_blanks(p);
  const bool negative = *p == '-';
  if (negative || *p == '+') ++p;
  const char* first = p;
  std::int64_t v = 0;
  while (is_digit(*p)) {
    if (p - first == 18) return nullptr;  // beyond 10^18: no count, code or status
    v = v * 10 + (*p++ - '0');
  }
  if (p == first || !ends_token(*p)) return nullptr;
  value = negative ? -v : v;
  return p;
}

inline const char* parse_int(const char* p, std::int32_t& value) {
  std::int64_t v;
  p = parse_int(p, v);
  if (!p || v != static_cast<std::int32_t>(v)) return nullptr;
  value = static_cast<std::int32_t>(v);
  return p;
}

/// Eight characters that are all digits, least significant byte first?
inline bool are_eight_digits(std::uint64_t c) {
  return (((c + 0x4646464646464646u) | (c - 0x3030303030303030u)) & 0x8080808080808080u) == 0;
}

/// Value of eight digits: pairs, then fours, then all, each step one multiplication.
inline std::uint32_t eight_digits(std::uint64_t c) {
  c -= 0x3030303030303030u;
  c = c * 10 + (c >> 8);
  const std::uint64_t pairs = 0x000000FF000000FFu;
  c = (c & pairs) * (100 + (1000000ULL << 32)) + ((c >> 16) & pairs) * (1 + (10000ULL << 32));
  return static_cast<std::uint32_t>(c >> 32);
}

inline const char* parse_double(const char* p, double& value) {
  p = skip_blanks(p);
  const char* const start = p;
  const bool negative = *p == '-';
  if (negative || *p == '+') ++p;

  std::uint64_t w = 0;
  const char* const first = p;
  while (is_digit(*p)) w = w * 10 + static_cast<std::uint64_t>(*p++ - '0');
  std::ptrdiff_t n_digits = p - first;
  int exponent = 0;
  if (*p == '.') {
    const char* const fraction = ++p;
    if constexpr (std::endian::native == std::endian::little) {
      std::uint64_t c;
      while (std::memcpy(&c, p, 8), are_eight_digits(c)) {
        w = w * 100000000u + eight_digits(c);
        p += 8;
      }
    }
    while (is_digit(*p)) w = w * 10 + static_cast<std::uint64_t>(*p++ - '0');
    n_digits += p - fraction;
    exponent = static_cast<int>(fraction - p);
  }
  if (n_digits == 0 || n_digits > 19) return parse_double_slow(start, value);  // nan, inf, or w may have overflowed
  if (*p == 'e' || *p == 'E') {
    ++p;
    const bool below = *p == '-';
    if (below || *p == '+') ++p;
    int e = 0;
    const char* const digits = p;
    while (is_digit(*p) && p - digits < 5) e = e * 10 + (*p++ - '0');
    if (p == digits) return nullptr;
    if (is_digit(*p)) return parse_double_slow(start, value);
    exponent += below ? -e : e;
  }
  if (!ends_token(*p)) return nullptr;
  double v;
  if (w == 0) {
    v = 0;
  } else if (!scale_decimal(w, exponent, v)) {
    return parse_double_slow(start, value);
  }
  value = negative ? -v : v;
  return p;
}

inline const char* parse_number(const char* p, std::int32_t& value) {
  return parse_int(p, value);
}
inline const char* parse_number(const char* p, std::int64_t& value) {
  return parse_int(p, value);
}
inline const char* parse_number(const char* p, double& value) {
  return parse_double(p, value);
}

/// Reads one number after the other; nullptr when one is missing.
template <typename... Numbers>
const char* parse_numbers(const char* p, Numbers&... values) {
  (void)((p = parse_number(p, values)) && ...);
  return p;
}

}  // namespace hepgen_fastsim::detail
