// SPDX-License-Identifier: MIT
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>

#include "sharing.hpp"

using namespace hepgen_fastsim;
using Batch = Packing::Batch;
using Catch::Contains;

namespace {

/// Batches of the sets 0 ... n - 1, so many together.
std::vector<Batch> batches(std::int64_t n, std::int64_t together) {
  const std::vector<std::int64_t> sizes(static_cast<std::size_t>(n), 1);
  return Packing::in_order(sizes, together).batches;
}

void work_a_little() {
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
}

}  // namespace

TEST_CASE("every batch is worked on once, no more at a time than there are threads") {
  const std::size_t threads = GENERATE(1, 2, 5);
  std::mutex mutex;
  std::vector<std::int64_t> done;
  std::set<std::thread::id> who;
  std::atomic<int> now = 0, most = 0;
  share_out(batches(120, 3), threads, {}, [&](const Batch& batch) {
    const int here = ++now;
    for (int before = most; before < here && !most.compare_exchange_weak(before, here);) {
    }
    work_a_little();
    --now;
    const std::lock_guard lock(mutex);
    done.insert(done.end(), batch.sets.begin(), batch.sets.end());
    who.insert(std::this_thread::get_id());
  });
  std::sort(done.begin(), done.end());
  REQUIRE(done.size() == 120);
  for (std::int64_t i = 0; i < 120; ++i) CHECK(done[static_cast<std::size_t>(i)] == i);
  CHECK(most <= static_cast<int>(threads));
  CHECK(who.size() == threads);
  CHECK(who.count(std::this_thread::get_id()) == 1);
}

TEST_CASE("one batch needs no other thread, none needs nothing") {
  const auto caller = std::this_thread::get_id();
  int calls = 0;
  share_out(batches(3, 3), 8, {}, [&](const Batch&) { CHECK((++calls, std::this_thread::get_id() == caller)); });
  CHECK(calls == 1);
  share_out({}, 8, {}, [&](const Batch&) { FAIL(); });
}

TEST_CASE("what does not fit is halved, and a single set tried once more alone") {
  const std::size_t threads = GENERATE(1, 3);
  std::mutex mutex;
  std::multiset<std::int64_t> done;
  std::atomic<int> now = 0, tries = 0;
  share_out(batches(64, 16), threads, {}, [&](const Batch& batch) {
    ++now;
    work_a_little();
    const bool crowded = batch.sets.front() == 63 && tries++ == 0 && threads > 1;
    const bool alone = now == 1;
    --now;
    if (batch.sets.size() > 1 || crowded) throw OutOfMemory("too much");
    const std::lock_guard lock(mutex);
    done.insert(batch.sets.front());
    if (batch.sets.front() == 63 && threads > 1) CHECK(alone);
  });
  CHECK(done.size() == 64);
  CHECK(std::set(done.begin(), done.end()).size() == 64);

  CHECK_THROWS_AS(share_out(batches(9, 3), threads, {},
                            [](const Batch& b) {
                              if (b.sets.front() == 3) throw OutOfMemory("never fits");
                            }),
                  OutOfMemory);
}

TEST_CASE("the first error ends it and comes out") {
  const std::size_t threads = GENERATE(1, 4);
  std::atomic<int> begun = 0;
  CHECK_THROWS_WITH(share_out(batches(1000, 1), threads, {},
                              [&](const Batch&) {
                                if (++begun == 10) throw std::runtime_error("the tenth");
                                work_a_little();
                              }),
                    "the tenth");
  CHECK(begun < 10 + 2 * static_cast<int>(threads));
}

TEST_CASE("work that is shared out can be cancelled") {
  const std::size_t threads = GENERATE(1, 4);
  std::stop_source source;
  std::atomic<int> begun = 0;
  CHECK_THROWS_AS(share_out(batches(1000, 1), threads, source.get_token(),
                            [&](const Batch&) {
                              if (++begun == 10) source.request_stop();
                              work_a_little();
                            }),
                  Cancelled);
  CHECK(begun < 10 + 2 * static_cast<int>(threads));
}

TEST_CASE("the lane with the fewest users is taken") {
  const Lanes lanes(Model::load(HEPGEN_TEST_MODELS "/smear.pt"), find_devices("cpu,cpu,cpu"), Precision::float32);
  REQUIRE(lanes.size() == 3);
  const Lanes::Use a(lanes), b(lanes);
  const Lane* second = &*b;
  CHECK(&*a != second);
  {
    const Lanes::Use c(lanes), d(lanes);
    CHECK((&*c != &*a && &*c != &*b));
    CHECK(&*d == &*a);
  }
  const Lanes::Use e(lanes);
  CHECK((&*e != &*a && &*e != &*b));
  CHECK(a->backend != b->backend);  // each device has its replica
}

TEST_CASE("batches fill a CPU's caches, or keep a GPU busy") {
  const at::Device cpu(at::kCPU), gpu(at::kCUDA, 0);
  CHECK(default_batch_items({cpu}, 0) == 32768);
  CHECK(default_batch_items({cpu}, 7) == 7);
  CHECK(default_batch_items({gpu, gpu}, 7) == 1 << 20);
  CHECK(default_batch_items({gpu, cpu}, 0) == 32768);
}

TEST_CASE("lists of devices") {
  CHECK(find_devices("cpu,cpu").size() == 2);
  CHECK_THROWS_WITH(find_devices("cpu,gpu"), Contains("device 'gpu' is not one of 'auto', 'cpu', 'cuda', 'cuda:N'"));
  CHECK_THROWS_WITH(find_devices("cpu,"), Contains("device '' is not one of"));
  CHECK_THROWS_WITH(find_devices("meta"), Contains("device 'meta' is not one of"));
}

TEST_CASE("what a device says is told from what a network says") {
  const auto is = [](const char* text) { return is_of_device(std::runtime_error(text)); };
  CHECK(is("CUDA error: device-side assert triggered"));
  CHECK(is("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"));
  CHECK(is("CUDA out of memory. Tried to allocate 2.00 GiB"));
  CHECK_FALSE(is("The size of tensor a (3) must match the size of tensor b (4)"));
  CHECK_THROWS_AS(fail_of_device(std::bad_alloc(), at::kCPU, "2 sets"), OutOfMemory);
  CHECK_THROWS_WITH(fail_of_device(std::runtime_error("CUDA error: lost"), at::Device(at::kCUDA, 1), "2 sets"),
                    Contains("device failed: cuda:1 with 2 sets: CUDA error: lost"));
}
