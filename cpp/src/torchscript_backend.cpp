// SPDX-License-Identifier: MIT
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include "backend.hpp"
#include "precision.hpp"
#include "torchscript.hpp"

namespace hepgen_fastsim {
namespace {

class TorchScriptBackend : public Backend {
 public:
  TorchScriptBackend(const Model& model, at::Device device, Precision precision)
      : device_(device), precision_(precision), path_(model.path()) {
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
    const PrecisionScope scope(precision_, device_.type());
    // The profiling executor specialises on shapes; ragged batches never have the same shape twice.
    const torch::jit::GraphOptimizerEnabledGuard optimizer(false);
    try {
      return module_.get_method(method)(std::move(arguments));
    } catch (const std::exception& error) {
      if (is_of_device(error)) throw;
      throw ModelError("'" + path_ + "': the method '" + method +
                       "' failed: " + std::string(error.what()).substr(0, 800));
    }
  }

  at::Device device_;
  Precision precision_;
  std::string path_;
  torch::jit::Module module_;
};

}  // namespace

std::shared_ptr<const Backend> make_backend(const Model& model, at::Device device, Precision precision) {
  return std::make_shared<TorchScriptBackend>(model, device, precision);
}

}  // namespace hepgen_fastsim
