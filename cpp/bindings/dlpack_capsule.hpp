// SPDX-License-Identifier: MIT
/// DLPack tensors in Python capsules (the protocol of the Python array API standard). The structure is DLPack's C ABI,
/// version 0: one definition here, so that the bindings see no header of torch.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <utility>

struct DLManagedTensor {
  struct {
    void* data;
    struct {
      std::int32_t type, id;
    } device;
    std::int32_t ndim;
    struct {
      std::uint8_t code, bits;
      std::uint16_t lanes;
    } dtype;
    std::int64_t* shape;
    std::int64_t* strides;
    std::uint64_t byte_offset;
  } tensor;
  void* manager;
  void (*deleter)(DLManagedTensor*);
};

namespace hepgen_dlpack {

inline std::pair<int, int> device(const DLManagedTensor* tensor) {
  return {tensor->tensor.device.type, tensor->tensor.device.id};
}

/// Takes the tensor out of a capsule named "dltensor", which is spent then.
inline DLManagedTensor* from_capsule(const pybind11::object& capsule) {
  auto* tensor = static_cast<DLManagedTensor*>(PyCapsule_GetPointer(capsule.ptr(), "dltensor"));
  if (tensor == nullptr || PyCapsule_SetName(capsule.ptr(), "used_dltensor") != 0) throw pybind11::error_already_set();
  return tensor;
}

/// A capsule that deletes the tensor unless somebody took it.
inline pybind11::capsule to_capsule(DLManagedTensor* tensor) {
  return pybind11::capsule(tensor, "dltensor", [](PyObject* capsule) {
    if (PyCapsule_IsValid(capsule, "dltensor") == 0) return;
    auto* left = static_cast<DLManagedTensor*>(PyCapsule_GetPointer(capsule, "dltensor"));
    if (left != nullptr && left->deleter != nullptr) left->deleter(left);
  });
}

}  // namespace hepgen_dlpack
