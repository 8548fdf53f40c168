// SPDX-License-Identifier: MIT
/// Devices by their names, and by what they say when something is wrong.
#include <ATen/Context.h>

#include <algorithm>
#include <initializer_list>
#include <new>
#include <optional>
#include <sstream>
#include <string_view>

#include "backend.hpp"

namespace hepgen_fastsim {
namespace {

int cuda_devices() {
  const bool cuda = at::hasCUDA() && at::globalContext().hasCUDA();
  return cuda ? static_cast<int>(at::detail::getCUDAHooks().deviceCount()) : 0;
}

at::Device find_device(const std::string& name) {
  if (name == "auto") return cuda_devices() > 0 ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
  std::optional<at::Device> device;
  try {
    device.emplace(name);
  } catch (const c10::Error&) {  // reported below
  }
  if (!device || !(device->is_cpu() || device->is_cuda())) {
    throw Error("device '" + name + "' is not one of 'auto', 'cpu', 'cuda', 'cuda:N'");
  }
  if (device->is_cpu()) return at::Device(at::kCPU);
  if (!device->has_index()) device->set_index(0);
  if (const int there = cuda_devices(); device->index() >= there) {
    throw Error("device '" + name + "' was asked for, but this machine has " + std::to_string(there) +
                " CUDA devices that this torch can use");
  }
  return *device;
}

/// The interpreter wraps every exception into one of its own: the text is all that is left of it.
bool says(const std::exception& error, std::initializer_list<std::string_view> words) {
  const std::string_view text = error.what();
  return std::any_of(words.begin(), words.end(), [&](auto word) { return text.find(word) != std::string_view::npos; });
}

bool is_out_of_memory(const std::exception& error) {
  return dynamic_cast<const std::bad_alloc*>(&error) != nullptr ||
         says(error, {"out of memory", "can't allocate memory", "not enough memory", "std::bad_alloc"});
}

}  // namespace

std::vector<at::Device> find_devices(const std::string& names) {
  std::vector<at::Device> out;
  std::istringstream list(names + ",");
  for (std::string name; std::getline(list, name, ',');) out.push_back(find_device(name));
  return out;
}

std::int64_t default_batch_items(const std::vector<at::Device>& devices, std::int64_t wish) {
  const bool cpu = std::any_of(devices.begin(), devices.end(), [](const at::Device& d) { return d.is_cpu(); });
  if (!cpu) return 1 << 20;
  return wish > 0 ? wish : 1 << 15;
}

bool is_of_device(const std::exception& error) {
  return is_out_of_memory(error) ||
         says(error, {"CUDA error", "CUDA driver error", "cuDNN error", "CUBLAS_STATUS", "CUSOLVER_STATUS"});
}

void fail_of_device(const std::exception& error, at::Device device, const std::string& batch) {
  const std::string with = device.str() + " with " + batch + ": " + std::string(error.what()).substr(0, 800);
  if (is_out_of_memory(error)) throw OutOfMemory("Engine: out of memory on " + with);
  throw Error("Engine: nothing was returned, the device failed: " + with);
}

}  // namespace hepgen_fastsim
