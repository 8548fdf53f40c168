// SPDX-License-Identifier: MIT
/// HepMC event records as text: HepMC3's Asciiv3 and HepMC2's IO_GenEvent.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "hepgen_fastsim/event.hpp"
#include "hepgen_fastsim/export.hpp"

namespace hepgen_fastsim {

/// Streams GEN events out of HepMC text in bounded memory. The format and gzip are recognised by the content, whatever
/// the file is called; several listings in one stream are read one after the other.
///
/// Particles keep the order of the record (HepMC3: their ids, HepMC2: their lines). Momenta are those of the file,
/// correctly rounded and converted to GeV, positions to mm; scales and cross sections are as the file has them. The
/// mass is the generated one; where it is missing or contradicts the energy by more than 1e-6 of it, it is E^2 - p^2
/// with its sign. A vertex without a position inherits that of its first incoming particle, as in HepMC3. `m1, m2, d1,
/// d2` are the first and last mother and daughter as in Delphes: -1 for none, and m2 = -1 for a single mother.
///
/// An input that goes wrong is an InputError with file, event and line, thrown after the good events before it have
/// been delivered, and again at every later read.
class HEPGEN_FASTSIM_EXPORT HepMCReader {
 public:
  /// Fills up to n bytes at the pointer and returns their number, 0 at the end.
  using ByteSource = std::function<std::size_t(char*, std::size_t)>;

  /// Where the bytes come from is one of `path`, `descriptor`, `source`.
  struct Config {
    std::string path;                      ///< file, fifo or "-" for standard input
    int descriptor = -1;                   ///< open for reading; it stays the caller's
    ByteSource source{};                   ///< for other compressions, networks, memory
    std::string name{};                    ///< for messages; default: the path
    std::int64_t entry_start = 0;          ///< first event to deliver, as a position in the input
    std::int64_t entry_stop = -1;          ///< the one behind the last; -1: all
    std::int64_t max_particles = 1 << 22;  ///< a batch ends once it holds as many
  };

  /// Opens the input and recognises it. Throws InputError when it is missing, empty or something else.
  explicit HepMCReader(Config config);
  explicit HepMCReader(std::string path) : HepMCReader(Config{.path = std::move(path)}) {}
  ~HepMCReader();
  HepMCReader(HepMCReader&&) noexcept;
  HepMCReader& operator=(HepMCReader&&) noexcept;

  /// Replaces `events` by the next ones, at most `max_events`; what memory it holds is used again. False at the end.
  bool read(GenEvents& events, std::int64_t max_events);

  /// crc32 over the pdgid, px, py and pz columns of the input's first event, even when entry_start leaves it out: parts
  /// of one input share it, renamed files keep it. 0 for an input without events.
  std::uint32_t stream_id();

  /// As of the events read so far; "Weight" or "0", "1", ... in files that do not name them.
  const std::vector<std::string>& weight_names() const;
  const std::string& name() const;   ///< of the input, as in messages
  std::int64_t events_read() const;  ///< delivered so far
  std::int64_t bytes_read() const;   ///< taken from the input so far, compressed as it is
  std::int64_t bytes_total() const;  ///< -1 when unknown

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hepgen_fastsim
