// SPDX-License-Identifier: MIT
#include <cmath>
#include <numbers>

#include "bindings.hpp"
#include "hepgen_fastsim/error.hpp"
#include "hepgen_fastsim/random.hpp"

namespace py = pybind11;
namespace hf = hepgen_fastsim;

namespace {

std::vector<float> noise(std::uint64_t seed, std::uint32_t stream, const Array<std::uint32_t>& event,
                         const Array<std::uint32_t>& slot, std::int64_t channels) {
  if (event.size() != slot.size() || channels < 0) {
    throw hf::InputError("noise: " + std::to_string(event.size()) + " events, but " + std::to_string(slot.size()) +
                         " slots");
  }
  std::vector<float> out(static_cast<std::size_t>(event.size() * channels));
  const py::gil_scoped_release release;
  hf::normal_noise(seed, stream, as_span(event), as_span(slot), channels, out);
  return out;
}

}  // namespace

void bind_random(py::module_& m) {
  m.def("philox4x32", &hf::philox4x32, py::arg("counter"), py::arg("key"),
        "One Philox4x32-10 block: 4 words from 4 + 2.");
  m.def(
      "normal_noise",
      [](std::uint64_t seed, std::uint32_t stream, const Array<std::uint32_t>& event, const Array<std::uint32_t>& slot,
         std::int64_t channels) {
        return as_numpy(noise(seed, stream, event, slot, channels), {event.size(), static_cast<py::ssize_t>(channels)});
      },
      py::arg("seed"), py::arg("stream"), py::arg("event"), py::arg("slot"), py::arg("channels"),
      "N(0, 1) noise keyed on (seed, stream, event, slot, channel).\n\n"
      "event, slot: uint32 [n]. Returns float32 [n, channels]. Philox4x32-10 and Box-Muller.");
  m.def(
      "uniform_noise",
      [](std::uint64_t seed, std::uint32_t stream, const Array<std::uint32_t>& event, const Array<std::uint32_t>& slot,
         std::int64_t channels) {
        const std::vector<float> normal = noise(seed, stream, event, slot, channels);
        std::vector<double> out(normal.size());
        for (std::size_t i = 0; i < out.size(); ++i) out[i] = 0.5 * std::erfc(-normal[i] / std::numbers::sqrt2);
        return as_numpy(std::move(out), {event.size(), static_cast<py::ssize_t>(channels)});
      },
      py::arg("seed"), py::arg("stream"), py::arg("event"), py::arg("slot"), py::arg("channels"),
      "The same, uniform in (0, 1): the normal distribution function of it, float64 [n, channels].");
}
