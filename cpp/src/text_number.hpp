// SPDX-License-Identifier: MIT
/// Numbers out of text, in place. Every function reads at `p`, returns the position behind the number, or nullptr
/// when there is none; the text must end in a character that no number contains (a newline), followed by at least
/// `text_padding` readable bytes.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace hepgen_fastsim::detail {

inline constexpr std::size_t text_padding = 32;

/// Any decimal number, correctly rounded, including "nan" and "inf"; overflow gives an infinity. Slow path.
const char* parse_double_slow(const char* p, double& value);

/// 5^q for -55 <= q <= 55 as 128 bits with the highest one set: exact for q >= 0, since 5^55 < 2^128; for q < 0 the
/// reciprocal rounded up.
inline constexpr int max_power = 55;
struct PowerOfFive {
  std::uint64_t high, low;
};
extern const std::array<PowerOfFive, 2 * max_power + 1> powers_of_five;

__extension__ typedef unsigned __int128 uint128;

/// digits * 10^exponent, correctly rounded; false when the slow path must decide.
///
/// W. D. Clinger, PLDI 1990, for small numbers; otherwise D. Lemire, "Number parsing at a gigabyte per second",
/// Softw. Pract. Exp. 51 (2021) 1700, algorithm 1.
inline bool scale_decimal(std::uint64_t digits, int exponent, double& value) {
  static constexpr double exact_tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                          1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  if (digits < (std::uint64_t{1} << 53) && exponent >= -22 && exponent <= 22) {
    const double d = static_cast<double>(digits);
    value = exponent < 0 ? d / exact_tens[-exponent] : d * exact_tens[exponent];
    return true;
  }
  if (exponent < -max_power || exponent > max_power || digits == 0) return false;

  const int shift = std::countl_zero(digits);
  const std::uint64_t w = digits << shift;
  const PowerOfFive& five = powers_of_five[static_cast<std::size_t>(exponent + max_power)];
  uint128 product = static_cast<uint128>(w) * five.high;
  if ((static_cast<std::uint64_t>(product >> 64) & 0x1FF) == 0x1FF) {
    product += static_cast<std::uint64_t>((static_cast<uint128>(w) * five.low) >> 64);
  }
  const auto low = static_cast<std::uint64_t>(product);
  const auto high = static_cast<std::uint64_t>(product >> 64);
  if (low == std::numeric_limits<std::uint64_t>::max() && exponent < -27) return false;  // not enough bits to decide

  const int top = static_cast<int>(high >> 63);
  std::uint64_t mantissa = high >> (top + 9);
  // Exactly half way between two doubles: to even. Possible for few exponents only.
  if (low <= 1 && exponent >= -4 && exponent <= 23 && (mantissa & 3) == 1 && (mantissa << (top + 9)) == high) {
    mantissa &= ~std::uint64_t{1};
  }
  mantissa += mantissa & 1;
  mantissa >>= 1;
  int power = ((217706 * exponent) >> 16) + 63 + top - shift + 1023;  // floor(exponent * log2(10))
  if (mantissa >= (std::uint64_t{2} << 52)) {
    mantissa = std::uint64_t{1} << 52;
    ++power;
  }
  if (power <= 0 || power >= 2047) return false;
  value = std::bit_cast<double>((mantissa & ~(std::uint64_t{1} << 52)) | (static_cast<std::uint64_t>(power) << 52));
  return true;
}

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

/// Value of sixteen characters; false if not all of them are digits.
inline bool sixteen_digits(const char* p, std::uint64_t& value) {
#ifdef __SSE2__
  const __m128i nine = _mm_set1_epi8(9), ten = _mm_set1_epi16(10);
  const __m128i c = _mm_sub_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)), _mm_set1_epi8('0'));
  if (_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_max_epu8(c, nine), nine)) != 0xFFFF) return false;
  const __m128i tens = _mm_mullo_epi16(_mm_and_si128(c, _mm_set1_epi16(0xFF)), ten);
  const __m128i pairs = _mm_add_epi16(tens, _mm_srli_epi16(c, 8));
  const __m128i fours = _mm_madd_epi16(pairs, _mm_set1_epi32(100 | 1 << 16));
  const __m128i eights = _mm_madd_epi16(_mm_packs_epi32(fours, fours), _mm_set1_epi32(10000 | 1 << 16));
  const auto both = static_cast<std::uint64_t>(_mm_cvtsi128_si64(eights));
  value = (both & 0xFFFFFFFF) * 100000000u + (both >> 32);
#else
  std::uint64_t high, low;
  std::memcpy(&high, p, 8);
  std::memcpy(&low, p + 8, 8);
  if (!(are_eight_digits(high) & are_eight_digits(low))) return false;
  value = std::uint64_t{eight_digits(high)} * 100000000u + eight_digits(low);
#endif
  return true;
}

/// A number as HepMC writes it: one digit, sixteen after the point, two of the exponent; nullptr if it is written
/// otherwise. Most of a listing is read here: what is expected is taken away from several characters at a time.
inline const char* parse_scientific(const char* p, double& value) {
  const bool negative = *p == '-';
  p += negative;
  std::uint16_t head;  // "d."
  std::memcpy(&head, p, 2);
  head ^= '0' | '.' << 8;
  std::uint32_t tail;  // "e-dd" or "e+dd"
  std::memcpy(&tail, p + 18, 4);
  tail ^= 'e' | '-' << 8 | '0' << 16 | '0' << 24;
  constexpr std::uint32_t plus = ('+' ^ '-') << 8;
  const bool above = (tail & plus) == plus;
  tail -= above ? plus : 0;
  std::uint64_t fraction;
  const bool good = (head <= 9) & ((((tail + 0x76760000u) | tail) & 0x8080FFFFu) == 0) & ends_token(p[22]);
  if (!good || !sixteen_digits(p + 2, fraction)) return nullptr;
  const int power = static_cast<int>(10 * (tail >> 16 & 0xFF) + (tail >> 24));
  const std::uint64_t w = head * 10000000000000000u + fraction;
  double size = 0;
  if (w != 0 && (w < 10000000000000000u || !scale_decimal(w, (above ? power : -power) - 16, size))) return nullptr;
  // Signs are random: a branch on them would be foretold half of the time.
  value = std::bit_cast<double>(std::bit_cast<std::uint64_t>(size) | std::uint64_t{negative} << 63);
  return p + 22;
}

inline const char* parse_double(const char* p, double& value) {
  p = skip_blanks(p);
  if constexpr (std::endian::native == std::endian::little) {
    if (const char* end = parse_scientific(p, value)) [[likely]]
      return end;
  }
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
