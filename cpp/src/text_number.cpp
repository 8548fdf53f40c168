// SPDX-License-Identifier: MIT
#include "text_number.hpp"

#include <array>
#include <charconv>
#include <limits>
#include <string_view>

namespace hepgen_fastsim::detail {
namespace {

__extension__ typedef unsigned __int128 uint128;

/// 5^q for -55 <= q <= 55 as 128 bits with the highest one set: exact for q >= 0, since 5^55 < 2^128; for q < 0 the
/// reciprocal rounded up.
constexpr int max_power = 55;

struct Power {
  std::uint64_t high, low;
};

constexpr int bit_width(uint128 v) {
  int n = 0;
  for (; v != 0; v >>= 1) ++n;
  return n;
}

constexpr Power reciprocal(uint128 divisor) {
  // Long division of 2^(127 + k) by a k-bit divisor: 128 quotient bits, the first of them set.
  uint128 remainder = uint128{1} << (bit_width(divisor) - 1);
  uint128 quotient = 0;
  for (int i = 0; i < 128; ++i) {
    const bool carry = (remainder >> 127) != 0;
    remainder <<= 1;
    quotient <<= 1;
    if (carry || remainder >= divisor) {
      remainder -= divisor;
      quotient |= 1;
    }
  }
  ++quotient;
  return {static_cast<std::uint64_t>(quotient >> 64), static_cast<std::uint64_t>(quotient)};
}

constexpr auto make_powers() {
  std::array<Power, 2 * max_power + 1> table{};
  uint128 five = 1;
  for (int q = 0; q <= max_power; ++q, five *= 5) {
    const uint128 top = five << (128 - bit_width(five));
    table[static_cast<std::size_t>(max_power + q)] = {static_cast<std::uint64_t>(top >> 64),
                                                      static_cast<std::uint64_t>(top)};
    if (q > 0) table[static_cast<std::size_t>(max_power - q)] = reciprocal(five);
  }
  return table;
}

constexpr auto powers = make_powers();

constexpr double exact_tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

}  // namespace

// W. D. Clinger, PLDI 1990, for small numbers; otherwise D. Lemire, "Number parsing at a gigabyte per second",
// Softw. Pract. Exp. 51 (2021) 1700, algorithm 1.
bool scale_decimal(std::uint64_t digits, int exponent, double& value) {
  if (digits < (std::uint64_t{1} << 53) && exponent >= -22 && exponent <= 22) {
    const double d = static_cast<double>(digits);
    value = exponent < 0 ? d / exact_tens[-exponent] : d * exact_tens[exponent];
    return true;
  }
  if (exponent < -max_power || exponent > max_power || digits == 0) return false;

  const int shift = std::countl_zero(digits);
  const std::uint64_t w = digits << shift;
  const Power& five = powers[static_cast<std::size_t>(exponent + max_power)];
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

const char* parse_double_slow(const char* p, double& value) {
  const char* last = p;
  while (!ends_token(*last)) ++last;
  const char* first = *p == '+' ? p + 1 : p;
  const auto [end, error] = std::from_chars(first, last, value);
  if (error == std::errc::invalid_argument || end != last) return nullptr;
  if (error == std::errc::result_out_of_range) {
    // from_chars does not say on which side it is out of range.
    const bool negative = *first == '-';
    const std::string_view text(first + negative, last);
    const auto e = text.find_first_of("eE");
    const bool small = e == text.npos ? text[0] == '0' || text[0] == '.' : text[e + 1] == '-';
    value = small ? 0.0 : std::numeric_limits<double>::infinity();
    if (negative) value = -value;
  }
  return end;
}

}  // namespace hepgen_fastsim::detail
