// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "hepgen_fastsim/error.hpp"
#include "input_stream.hpp"

namespace hepgen_fastsim::detail {

/// Lines of a stream, in place: one buffer, no copy but of the piece of a line that a block ends in.
class LineReader {
 public:
  explicit LineReader(std::unique_ptr<InputStream> stream);

  /// Makes the next line the current one: [begin, end), where *end is a newline and at least text_padding readable
  /// bytes follow. False at the end of the stream. Throws the stream's InputErrors once all complete lines are out.
  bool next() {
    if (!cut_) [[likely]] {
      begin_ = cursor_;
      end_ = static_cast<const char*>(__builtin_memchr(cursor_, '\n', static_cast<std::size_t>(filled_ - cursor_)));
      if (end_) [[likely]] {
        cursor_ = end_ + 1;
        ++number_;
        return true;
      }
    }
    return next_after_refill();
  }
  /// The current line comes again at the next next().
  void put_back() {
    cursor_ = begin_;
    --number_;
  }

  const char* begin() const { return begin_; }
  const char* end() const { return end_; }
  std::string_view text() const { return {begin_, static_cast<std::size_t>(end_ - begin_)}; }
  /// Whether the line ended in a newline: if not, the stream ended within it.
  bool terminated() const { return terminated_; }
  std::int64_t number() const { return number_; }  ///< of the current line, from 1

  /// The first bytes of the stream (up to n, as many as there are) without taking them.
  std::string_view peek(std::size_t n);

  const InputStream& stream() const { return *stream_; }

 private:
  bool next_after_refill();
  bool fill();  ///< more bytes behind those not yet used; false at the end of the stream
  void make_room();
  void skip_rest_of_line();

  std::unique_ptr<InputStream> stream_;
  std::vector<char> buffer_;
  const char* begin_ = nullptr;
  const char* end_ = nullptr;
  const char* cursor_ = nullptr;
  char* filled_ = nullptr;
  std::int64_t number_ = 0;
  std::optional<InputError> failure_;  ///< of the stream: it fails the same way again
  bool terminated_ = true;
  bool at_end_ = false;
  bool cut_ = false;  ///< the current line is a comment or attribute of which only the beginning is held
};

}  // namespace hepgen_fastsim::detail
