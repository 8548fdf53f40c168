// SPDX-License-Identifier: MIT
#include <ATen/autocast_mode.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <new>
#include <string_view>

#include "backend.hpp"
#include "hepgen_fastsim/error.hpp"
#include "torchscript.hpp"

namespace hepgen_fastsim {
namespace {

/// Autocast on this thread while alive.
class Autocast {
 public:
  Autocast(at::DeviceType device, bool enabled) : device_(device), enabled_(enabled) {
    if (!enabled_) return;
    before_ = at::autocast::is_autocast_enabled(device_);
    dtype_ = at::autocast::get_autocast_dtype(device_);
    at::autocast::set_autocast_enabled(device_, true);
    at::autocast::set_autocast_dtype(device_, at::kBFloat16);
    at::autocast::increment_nesting();
  }
  ~Autocast() {
    if (!enabled_) return;
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(device_, before_);
    at::autocast::set_autocast_dtype(device_, dtype_);
  }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  at::DeviceType device_;
  bool enabled_, before_ = false;
  at::ScalarType dtype_ = at::kFloat;
};

at::Device find_device(const std::string& name) {
  const bool cuda = at::hasCUDA() && at::globalContext().hasCUDA() && at::detail::getCUDAHooks().deviceCount() > 0;
  if (name == "auto") return cuda ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
  std::optional<at::Device> device;
  try {
    device.emplace(name);
  } catch (const c10::Error&) {
    throw Error("device '" + name + "' is not one of 'auto', 'cpu', 'cuda', 'cuda:N'");
  }
  if (device->is_cuda()) {
    const int there = cuda ? at::detail::getCUDAHooks().deviceCount() : 0;
    if (!device->has_index()) device->set_index(0);
    if (device->index() >= there) {
      throw Error("device '" + name + "' was asked for, but this machine has " + std::to_string(there) +
                  " CUDA devices that this torch can use");
    }
  } else if (!device->is_cpu()) {
    throw Error("device '" + name + "' is not one of 'auto', 'cpu', 'cuda', 'cuda:N'");
  }
  return *device;
}

/// The interpreter wraps every exception into one of its own: the text is all that is left of it.
bool is_out_of_memory(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return true;
  const std::string_view text = error.what();
  for (const char* words : {"out of memory", "can't allocate memory", "not enough memory", "std::bad_alloc"}) {
    if (text.find(words) != std::string_view::npos) return true;
  }
  return false;
}

class TorchScriptBackend : public Backend {
 public:
  TorchScriptBackend(const Model& model, const Engine::Config& config)
      : device_(find_device(config.device)), bfloat16_(config.precision == Precision::bfloat16), path_(model.path()) {
    const torch::jit::Module module = model.impl().module.deepcopy(device_);
    std::vector<std::string> methods;
    if (model.metadata().slots_drawn) methods.emplace_back("slots");
    module_ = torch::jit::freeze(module, methods);
  }

  NetworkOutput forward(const NetworkInput& in) const override {
    const c10::IValue value = call(
        "forward", {in.features, in.codes, in.offsets, in.conditions, in.noise_set, in.slot_offsets, in.noise_slot});
    const std::vector<c10::IValue> tuple = value.toTupleRef().elements().vec();
    return {tuple[0].toTensor(), tuple[1].toTensor(), tuple[2].toTensor(), tuple[3].toTensor(), tuple[4].toTensor()};
  }

  at::Tensor slots(const NetworkInput& in) const override {
    return call("slots", {in.features, in.codes, in.offsets, in.conditions, in.noise_set}).toTensor();
  }

  at::Device device() const override { return device_; }

 private:
  c10::IValue call(const char* method, std::vector<c10::IValue> arguments) const {
    const Autocast autocast(device_.type(), bfloat16_);
    // The profiling executor specialises on shapes; ragged batches never have the same shape twice.
    const torch::jit::GraphOptimizerEnabledGuard optimizer(false);
    try {
      return module_.get_method(method)(std::move(arguments));
    } catch (const std::exception& error) {
      if (is_out_of_memory(error)) throw OutOfMemory(error.what());
      throw ModelError("'" + path_ + "': the method '" + method +
                       "' failed: " + std::string(error.what()).substr(0, 800));
    }
  }

  at::Device device_;
  bool bfloat16_;
  std::string path_;
  torch::jit::Module module_;
};

}  // namespace

std::unique_ptr<const Backend> make_backend(const Model& model, const Engine::Config& config) {
  return std::make_unique<TorchScriptBackend>(model, config);
}

}  // namespace hepgen_fastsim
