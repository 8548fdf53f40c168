// SPDX-License-Identifier: MIT
/// Bytes of a file, a descriptor or a caller's source, with gzip undone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace hepgen_fastsim::detail {

/// A place that bytes come from. Errors are InputErrors without the name of the file: whoever knows the event and
/// the line adds it.
class InputStream {
 public:
  InputStream() = default;
  InputStream(const InputStream&) = delete;
  InputStream& operator=(const InputStream&) = delete;
  virtual ~InputStream() = default;

  /// Up to n bytes, at least one; 0 at the end.
  virtual std::size_t read(char* to, std::size_t n) = 0;
  /// Bytes taken so far, compressed as they are.
  virtual std::int64_t bytes_read() const = 0;
  /// Size of the whole, -1 when unknown (a pipe, a caller's source).
  virtual std::int64_t bytes_total() const = 0;
};

std::unique_ptr<InputStream> open_file(const std::string& path);  ///< "-": standard input
std::unique_ptr<InputStream> open_descriptor(int descriptor);     ///< stays the caller's
std::unique_ptr<InputStream> open_source(std::function<std::size_t(char*, std::size_t)> source);

/// Looks at the first bytes; a gzip stream (of any number of members) is inflated from here on.
std::unique_ptr<InputStream> decompressed(std::unique_ptr<InputStream> raw);

}  // namespace hepgen_fastsim::detail
