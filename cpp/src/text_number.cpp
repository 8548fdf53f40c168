// SPDX-License-Identifier: MIT
#include "text_number.hpp"

#include <array>
#include <charconv>
#include <limits>
#include <string_view>

namespace hepgen_fastsim::detail {
namespace {

__extension__ typedef unsigned __int128 uint128;

constexpr int bit_width(uint128 v) {
  int n = 0;
  for (; v != 0; v >>= 1) ++n;
  return n;
}

constexpr PowerOfFive reciprocal(uint128 divisor) {
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
  std::array<PowerOfFive, 2 * max_power + 1> table{};
  uint128 five = 1;
  for (int q = 0; q <= max_power; ++q, five *= 5) {
    const uint128 top = five << (128 - bit_width(five));
    table[static_cast<std::size_t>(max_power + q)] = {static_cast<std::uint64_t>(top >> 64),
                                                      static_cast<std::uint64_t>(top)};
    if (q > 0) table[static_cast<std::size_t>(max_power - q)] = reciprocal(five);
  }
  return table;
}

}  // namespace

constinit const std::array<PowerOfFive, 2 * max_power + 1> powers_of_five = make_powers();

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
