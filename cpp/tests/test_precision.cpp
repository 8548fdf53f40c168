// SPDX-License-Identifier: MIT
#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <string>
#include <thread>

#include "hepgen_fastsim/engine.hpp"
#include "hepgen_fastsim/error.hpp"
#include "precision.hpp"

using namespace hepgen_fastsim;
using Catch::Contains;

namespace {

bool tf32_is_off_here() {
  return at::NoTF32Guard::should_disable_tf32();
}

/// The process's switch, as it was afterwards.
struct AllowTf32 {
  explicit AllowTf32(bool allow) : before(tf32_allowed()) { allow_tf32(allow); }
  ~AllowTf32() { allow_tf32(before); }
  bool before;
};

const at::Device gpu(at::kCUDA, 0), cpu(at::kCPU);

}  // namespace

TEST_CASE("a precision holds for one thread while its scope lasts") {
  REQUIRE_FALSE(tf32_is_off_here());
  {
    const PrecisionScope outer(Precision::float32, at::kCPU);
    CHECK(tf32_is_off_here());
    {
      const PrecisionScope inner(Precision::bfloat16, at::kCPU);
      CHECK(tf32_is_off_here());
      CHECK(at::autocast::is_autocast_enabled(at::kCPU));
    }
    CHECK(tf32_is_off_here());
    CHECK_FALSE(at::autocast::is_autocast_enabled(at::kCPU));
    bool elsewhere = true;
    std::thread([&] { elsewhere = tf32_is_off_here(); }).join();
    CHECK_FALSE(elsewhere);
  }
  CHECK_FALSE(tf32_is_off_here());
  const PrecisionScope tf32(Precision::tf32, at::kCPU);
  CHECK_FALSE(tf32_is_off_here());
  CHECK_FALSE(at::autocast::is_autocast_enabled(at::kCPU));
}

TEST_CASE("TF32 on a GPU needs the process's permission") {
  {
    const AllowTf32 no(false);
    CHECK_THROWS_WITH(check_precision(Precision::tf32, {cpu, gpu}),
                      Contains("allow_tf32") && Contains("whole process"));
    CHECK_THROWS_AS(check_precision(Precision::tf32, {gpu}), Error);
    CHECK_NOTHROW(check_precision(Precision::tf32, {cpu}));
    CHECK_NOTHROW(check_precision(Precision::float32, {gpu}));
    CHECK_NOTHROW(check_precision(Precision::bfloat16, {gpu}));
  }
  const AllowTf32 yes(true);
  CHECK(at::globalContext().allowTF32CuBLAS());
  CHECK_NOTHROW(check_precision(Precision::tf32, {gpu}));
}

TEST_CASE("an engine of TF32 gives float32 on a CPU, and leaves the process's switch alone") {
  const Model model = Model::load(std::string(HEPGEN_TEST_MODELS) + "/smear.pt");
  const Engine tf32(model, {.device = "cpu", .precision = Precision::tf32});
  const Engine float32(model, {.device = "cpu", .precision = Precision::float32});
  const std::vector<float> features(40, 1.5f);
  const std::vector<std::int64_t> codes(10, 22), offsets{0, 4, 10};
  const SetView sets{features, codes, offsets, {}, {}};
  for (const bool allowed : {false, true}) {
    const AllowTf32 process(allowed);
    const SetBatch a = tf32.run(sets, 1), b = float32.run(sets, 1);
    CHECK(a.items == b.items);
    CHECK(a.offsets == b.offsets);
    CHECK(tf32_allowed() == allowed);
    CHECK_FALSE(tf32_is_off_here());
  }
}

TEST_CASE("TF32 changes products of matrices on a GPU, and float32 does not") {
  if (!at::hasCUDA() || !at::globalContext().hasCUDA() || at::detail::getCUDAHooks().deviceCount() == 0) {
    WARN("no CUDA device: TF32 is not measured");
    return;
  }
  // 1 + 2^-12 has more bits than TF32's ten.
  const at::Tensor a = at::full({256, 256}, 1.0 + std::ldexp(1.0, -12), at::TensorOptions(gpu).dtype(at::kFloat));
  const at::Tensor b = at::eye(256, a.options());
  const auto moved = [&](Precision precision) {
    const PrecisionScope scope(precision, at::kCUDA);
    return (at::mm(a, b) - a).abs().max().item<float>();
  };
  const AllowTf32 yes(true);
  CHECK(moved(Precision::float32) == 0);
  CHECK(moved(Precision::tf32) > 1e-5f);
}
