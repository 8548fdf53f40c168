// SPDX-License-Identifier: MIT
#include "hepgen_fastsim/hepmc.hpp"

#include <zlib.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "hepgen_fastsim/error.hpp"
#include "hepmc_parser.hpp"
#include "input_stream.hpp"
#include "line_reader.hpp"

namespace hepgen_fastsim {
namespace {

using detail::HepMCParser;
using detail::InputStream;
using detail::LineReader;

std::string display_name(const HepMCReader::Config& config) {
  if (!config.name.empty()) return config.name;
  if (config.path == "-") return "standard input";
  if (!config.path.empty()) return config.path;
  return config.descriptor >= 0 ? "descriptor " + std::to_string(config.descriptor) : "input";
}

std::unique_ptr<InputStream> open(HepMCReader::Config& config, const std::string& name) {
  const int given = !config.path.empty() + (config.descriptor >= 0) + static_cast<bool>(config.source);
  if (given != 1) {
    throw InputError("expected one of path, descriptor and source to read HepMC from, found " + std::to_string(given));
  }
  if (config.entry_start < 0 || (config.entry_stop >= 0 && config.entry_stop < config.entry_start)) {
    throw InputError(name + ": expected 0 <= entry_start <= entry_stop, found entry_start = " +
                     std::to_string(config.entry_start) + ", entry_stop = " + std::to_string(config.entry_stop));
  }
  try {
    auto raw = config.source            ? detail::open_source(std::move(config.source))
               : config.descriptor >= 0 ? detail::open_descriptor(config.descriptor)
                                        : detail::open_file(config.path);
    return detail::decompressed(std::move(raw));
  } catch (const InputError& error) {
    throw InputError(name + ": " + error.what());
  }
}

void clear(GenEvents& events) {
  events.offsets.assign(1, 0);
  events.info.clear();
  events.weights.clear();
  // The particles' columns keep their size: rows are written over, and cut to what was read at the end.
}

std::uint32_t checksum(const GenEvents& events) {
  const auto n = static_cast<std::size_t>(events.offsets.at(1));
  auto crc = crc32(0, nullptr, 0);
  const auto add = [&](const auto& column) {
    crc = crc32_z(crc, reinterpret_cast<const Bytef*>(column.data()), n * sizeof(column[0]));
  };
  add(events.pdgid);
  add(events.px);
  add(events.py);
  add(events.pz);
  return static_cast<std::uint32_t>(crc);
}

}  // namespace

class HepMCReader::Impl {
 public:
  explicit Impl(Config given)
      : config(std::move(given)), name(display_name(config)), lines(open(config, name)), parser(lines, name) {}

  /// Reads the first event of the input, whether it is wanted or not: it names the stream.
  void prime() {
    if (primed) return;
    primed = true;
    if (!guarded([&] { return parser.next(first); })) return;
    stream = checksum(first);
    has_first = config.entry_start == 0;
    if (!has_first) {
      guarded([&] {
        parser.skip(config.entry_start - 1);
        return true;
      });
    }
  }

  /// Runs one step; an InputError is kept for later and counts as the end.
  template <typename Step>
  bool guarded(Step step) {
    try {
      return step();
    } catch (const InputError& error) {
      std::string what = error.what();
      if (!what.starts_with(name + ": ")) what = parser.where() + what;  // from the stream, which knows no lines
      failure.emplace(what);
      return false;
    } catch (...) {
      failure.emplace(parser.where() + "reading was interrupted");
      throw;
    }
  }

  bool wants_more(const GenEvents& events, std::int64_t max_events) const {
    return events.size() < max_events && !failure && events.offsets.back() < config.max_particles &&
           (config.entry_stop < 0 || events.first_event + events.size() < config.entry_stop);
  }

  Config config;
  std::string name;
  LineReader lines;
  HepMCParser parser;
  std::optional<InputError> failure;
  GenEvents first;  ///< the input's first event, until it is delivered
  bool primed = false, has_first = false, at_end = false;
  std::uint32_t stream = 0;
  std::int64_t delivered = 0;
};

HepMCReader::HepMCReader(Config config) : impl_(std::make_unique<Impl>(std::move(config))) {}
HepMCReader::~HepMCReader() = default;
HepMCReader::HepMCReader(HepMCReader&&) noexcept = default;
HepMCReader& HepMCReader::operator=(HepMCReader&&) noexcept = default;

bool HepMCReader::read(GenEvents& events, std::int64_t max_events) {
  Impl& self = *impl_;
  if (max_events < 1) {
    throw InputError(self.name +
                     ": expected to read at least one event, found max_events = " + std::to_string(max_events));
  }
  self.prime();
  clear(events);
  events.first_event = self.config.entry_start + self.delivered;
  if (self.has_first && self.wants_more(events, max_events)) {
    std::swap(events, self.first);
    self.first = GenEvents{};
    self.has_first = false;
  }
  while (self.wants_more(events, max_events) && !self.at_end) {
    self.at_end = !self.guarded([&] { return self.parser.next(events); });
  }
  detail::trim(events);
  events.weight_names = self.parser.weight_names();
  self.delivered += events.size();
  if (events.size() == 0 && self.failure) throw *self.failure;
  return events.size() > 0;
}

std::uint32_t HepMCReader::stream_id() {
  impl_->prime();
  if (impl_->failure && !impl_->has_first && impl_->delivered == 0) throw *impl_->failure;
  return impl_->stream;
}

const std::vector<std::string>& HepMCReader::weight_names() const {
  return impl_->parser.weight_names();
}
const std::string& HepMCReader::name() const {
  return impl_->name;
}
std::int64_t HepMCReader::events_read() const {
  return impl_->delivered;
}
std::int64_t HepMCReader::bytes_read() const {
  return impl_->lines.stream().bytes_read();
}
std::int64_t HepMCReader::bytes_total() const {
  return impl_->lines.stream().bytes_total();
}

}  // namespace hepgen_fastsim
