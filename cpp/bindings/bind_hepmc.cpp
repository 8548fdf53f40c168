// SPDX-License-Identifier: MIT
#include <mutex>
#include <numeric>
#include <optional>

#include "bindings.hpp"
#include "hepgen_fastsim/error.hpp"
#include "hepgen_fastsim/hepmc.hpp"

namespace py = pybind11;
namespace hf = hepgen_fastsim;

namespace {

/// Reads a Python object with `readinto` or `read`. The GIL is taken for the call only. What an `Exception` says goes
/// into an InputError, so that the events before it are still delivered; KeyboardInterrupt and its like pass through.
class PythonSource {
 public:
  explicit PythonSource(const py::object& file)
      : has_readinto_(py::hasattr(file, "readinto")),
        call_(new py::object(file.attr(method_of(file))), [](py::object* call) {
          const py::gil_scoped_acquire gil;
          delete call;
        }) {}

  std::size_t operator()(char* to, std::size_t n) const {
    const py::gil_scoped_acquire gil;
    try {
      if (has_readinto_) {
        // Raw files answer None when nothing is there yet and they must not wait.
        const py::object got = (*call_)(py::memoryview::from_memory(to, static_cast<py::ssize_t>(n)));
        if (got.is_none()) throw hf::InputError("the byte source is non-blocking and has no data");
        return got.cast<std::size_t>();
      }
      const py::object got = (*call_)(n);
      if (!py::isinstance<py::bytes>(got)) {
        throw hf::InputError("expected bytes from the byte source, found " +
                             py::type::of(got).attr("__name__").cast<std::string>() + "; is it open in text mode?");
      }
      const auto bytes = static_cast<std::string_view>(py::reinterpret_borrow<py::bytes>(got));
      if (bytes.size() > n) throw hf::InputError("the byte source gives more bytes than it is asked for");
      bytes.copy(to, bytes.size());
      return bytes.size();
    } catch (py::error_already_set& error) {
      if (!error.matches(PyExc_Exception)) throw;
      throw hf::InputError("the byte source fails: " + py::str(error.type().attr("__name__")).cast<std::string>() +
                           ": " + py::str(error.value()).cast<std::string>());
    } catch (const py::cast_error&) {
      throw hf::InputError("expected a number of bytes from the byte source's readinto");
    }
  }

 private:
  /// Best is the one that gives what is there instead of waiting for all: it also loses nothing when an error follows.
  static const char* method_of(const py::object& file) {
    if (py::hasattr(file, "readinto1")) return "readinto1";
    return py::hasattr(file, "readinto") ? "readinto" : "read";
  }

  bool has_readinto_;
  std::shared_ptr<py::object> call_;
};

template <typename Field>
py::array info_column(const std::vector<hf::EventInfo>& info, Field hf::EventInfo::* field) {
  std::vector<Field> column;
  column.reserve(info.size());
  for (const hf::EventInfo& event : info) column.push_back(event.*field);
  return as_numpy(std::move(column));
}

py::dict as_dict(hf::GenEvents&& events) {
  const auto n = static_cast<py::ssize_t>(events.size());
  std::vector<std::int64_t> position(static_cast<std::size_t>(n));
  std::iota(position.begin(), position.end(), events.first_event);
  const auto n_weights = n == 0 ? 0 : static_cast<py::ssize_t>(events.weights.size()) / n;

  using Info = hf::EventInfo;
  const auto& info = events.info;
  py::dict out;
  out["offsets"] = as_numpy(std::move(events.offsets));
  out["pdgid"] = as_numpy(std::move(events.pdgid));
  out["status"] = as_numpy(std::move(events.status));
  out["px"] = as_numpy(std::move(events.px));
  out["py"] = as_numpy(std::move(events.py));
  out["pz"] = as_numpy(std::move(events.pz));
  out["mass"] = as_numpy(std::move(events.mass));
  out["charge"] = as_numpy(std::move(events.charge));
  out["vx"] = as_numpy(std::move(events.vx));
  out["vy"] = as_numpy(std::move(events.vy));
  out["vz"] = as_numpy(std::move(events.vz));
  out["vt"] = as_numpy(std::move(events.vt));
  out["m1"] = as_numpy(std::move(events.m1));
  out["m2"] = as_numpy(std::move(events.m2));
  out["d1"] = as_numpy(std::move(events.d1));
  out["d2"] = as_numpy(std::move(events.d2));
  out["event"] = as_numpy(std::move(position));
  out["number"] = info_column(info, &Info::number);
  out["process_id"] = info_column(info, &Info::process_id);
  out["mpi"] = info_column(info, &Info::mpi);
  out["scale"] = info_column(info, &Info::scale);
  out["alpha_qed"] = info_column(info, &Info::alpha_qed);
  out["alpha_qcd"] = info_column(info, &Info::alpha_qcd);
  out["cross_section"] = info_column(info, &Info::cross_section);
  out["cross_section_error"] = info_column(info, &Info::cross_section_error);
  out["id1"] = info_column(info, &Info::id1);
  out["id2"] = info_column(info, &Info::id2);
  out["x1"] = info_column(info, &Info::x1);
  out["x2"] = info_column(info, &Info::x2);
  out["scale_pdf"] = info_column(info, &Info::scale_pdf);
  out["pdf1"] = info_column(info, &Info::pdf1);
  out["pdf2"] = info_column(info, &Info::pdf2);
  out["weights"] = as_numpy(std::move(events.weights), {n, n_weights});
  return out;
}

/// The C++ reader, for one thread at a time.
class Reader {
 public:
  explicit Reader(hf::HepMCReader::Config config) : reader_(std::move(config)) {}

  py::dict read(std::int64_t max_events) {
    hf::GenEvents events;
    {
      const py::gil_scoped_release no_gil;
      const auto lock = take();
      reserve(events);
      reader_.read(events, max_events);
      rows_ = events.pdgid.size() + events.pdgid.size() / 8;
    }
    return as_dict(std::move(events));
  }
  std::uint32_t stream_id() {
    const py::gil_scoped_release no_gil;
    const auto lock = take();
    return reader_.stream_id();
  }
  py::list weight_names() {
    const auto lock = take();
    py::list names;
    for (const std::string& name : reader_.weight_names()) {
      names.append(py::reinterpret_steal<py::str>(
          PyUnicode_DecodeUTF8(name.data(), static_cast<py::ssize_t>(name.size()), "replace")));
    }
    return names;
  }
  std::int64_t events_read() { return take(), reader_.events_read(); }
  std::int64_t bytes_read() { return take(), reader_.bytes_read(); }
  std::int64_t bytes_total() { return take(), reader_.bytes_total(); }

 private:
  std::unique_lock<std::mutex> take() {
    std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock()) throw hf::Error("this HepMC reader is being used by another thread; open one for each");
    return lock;
  }
  /// The arrays leave with every batch: the next ones start out with room for a batch like the last.
  void reserve(hf::GenEvents& events) const {
    events.pdgid.reserve(rows_);
    events.status.reserve(rows_);
    for (auto* column :
         {&events.px, &events.py, &events.pz, &events.mass, &events.vx, &events.vy, &events.vz, &events.vt}) {
      column->reserve(rows_);
    }
    events.charge.reserve(rows_);
    for (auto* column : {&events.m1, &events.m2, &events.d1, &events.d2}) column->reserve(rows_);
  }

  hf::HepMCReader reader_;
  std::size_t rows_ = 0;
  std::mutex mutex_;
};

std::unique_ptr<Reader> make_reader(std::optional<std::string> path, const py::object& source, int descriptor,
                                    std::string name, std::int64_t entry_start, std::int64_t entry_stop) {
  hf::HepMCReader::Config config;
  config.path = std::move(path).value_or("");
  config.descriptor = descriptor;
  if (!source.is_none()) config.source = PythonSource(source);
  config.name = std::move(name);
  config.entry_start = entry_start;
  config.entry_stop = entry_stop;
  const py::gil_scoped_release no_gil;
  return std::make_unique<Reader>(std::move(config));
}

}  // namespace

void bind_hepmc(py::module_& m) {
  py::class_<Reader>(m, "HepMCReader", "Streams GEN events out of HepMC2 and HepMC3 text, plain or gzip.")
      .def(py::init(&make_reader), py::arg("path") = py::none(), py::kw_only(), py::arg("source") = py::none(),
           py::arg("fd") = -1, py::arg("name") = "", py::arg("entry_start") = 0, py::arg("entry_stop") = -1)
      .def("read", &Reader::read, py::arg("max_events"),
           "The next events as a dict of numpy columns: `offsets` int64 [n_events + 1], particles' columns "
           "[n_particles], events' columns [n_events], `weights` [n_events, n_weights]. No events at the end.")
      .def_property_readonly("stream_id", &Reader::stream_id, "crc32 over the input's first event")
      .def_property_readonly("weight_names", &Reader::weight_names)
      .def_property_readonly("events_read", &Reader::events_read)
      .def_property_readonly("bytes_read", &Reader::bytes_read)
      .def_property_readonly("bytes_total", &Reader::bytes_total, "-1 when unknown");
}
