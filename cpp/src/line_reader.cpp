// SPDX-License-Identifier: MIT
#include "line_reader.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "hepgen_fastsim/error.hpp"
#include "text_number.hpp"

namespace hepgen_fastsim::detail {
namespace {

// A block stays in the second-level cache between the system's copy and the parser.
constexpr std::size_t block_bytes = std::size_t{1} << 18;
constexpr std::size_t longest_line = std::size_t{1} << 26;

}  // namespace

LineReader::LineReader(std::unique_ptr<InputStream> stream)
    : stream_(std::move(stream)),
      buffer_(block_bytes + text_padding),
      cursor_(buffer_.data()),
      filled_(buffer_.data()) {}

void LineReader::make_room() {
  const auto held = static_cast<std::size_t>(filled_ - cursor_);
  const std::size_t capacity = buffer_.size() - text_padding;
  if (held == capacity) {
    std::vector<char> larger(2 * capacity + text_padding);
    std::memcpy(larger.data(), cursor_, held);
    buffer_.swap(larger);
  } else if (cursor_ != buffer_.data()) {
    std::memmove(buffer_.data(), cursor_, held);
  }
  cursor_ = buffer_.data();
  filled_ = buffer_.data() + held;
}

bool LineReader::fill() {
  if (failure_) throw *failure_;
  if (at_end_) return false;
  const auto room = static_cast<std::size_t>(buffer_.data() + buffer_.size() - text_padding - filled_);
  std::size_t got = 0;
  try {
    got = stream_->read(filled_, room);
  } catch (const InputError& error) {
    failure_ = error;
    throw;
  }
  filled_ += got;
  at_end_ = got == 0;
  return got > 0;
}

void LineReader::skip_rest_of_line() {
  // cursor_ stands within the line.
  for (;;) {
    const auto* end = static_cast<const char*>(std::memchr(cursor_, '\n', static_cast<std::size_t>(filled_ - cursor_)));
    if (end) {
      cursor_ = end + 1;
      break;
    }
    cursor_ = filled_ = buffer_.data();
    if (!fill()) break;
  }
  cut_ = false;
}

bool LineReader::next_after_refill() {
  if (cut_) {
    skip_rest_of_line();
    return next();
  }
  std::size_t searched = 0;
  for (;;) {
    const auto held = static_cast<std::size_t>(filled_ - cursor_);
    if (const void* end = std::memchr(cursor_ + searched, '\n', held - searched)) {
      begin_ = cursor_;
      end_ = static_cast<const char*>(end);
      cursor_ = end_ + 1;
      ++number_;
      return true;
    }
    searched = held;
    // Of attributes and comments of any length the beginning is enough: our own attributes are short.
    if (held >= block_bytes && (*cursor_ == 'A' || *cursor_ == 'T' || *cursor_ == '#')) {
      begin_ = cursor_;
      end_ = filled_ - 1;
      filled_[-1] = '\n';
      cursor_ = filled_;
      cut_ = true;
      ++number_;
      return true;
    }
    if (held >= longest_line) {
      throw InputError("expected lines of text, found one of more than " + std::to_string(longest_line >> 20) + " MiB");
    }
    make_room();
    if (fill()) continue;
    if (held == 0) return false;
    begin_ = cursor_;
    end_ = filled_;
    *filled_ = '\n';
    cursor_ = filled_;
    terminated_ = false;
    ++number_;
    return true;
  }
}

std::string_view LineReader::peek(std::size_t n) {
  try {
    while (static_cast<std::size_t>(filled_ - cursor_) < n && fill()) {
    }
  } catch (const InputError&) {
    if (filled_ == cursor_) throw;  // else it comes again behind what is there
  }
  return {cursor_, std::min(n, static_cast<std::size_t>(filled_ - cursor_))};
}

}  // namespace hepgen_fastsim::detail
