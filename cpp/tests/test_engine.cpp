// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <numeric>
#include <stop_token>
#include <thread>

#include "hepgen_fastsim/engine.hpp"
#include "hepgen_fastsim/error.hpp"
#include "hepgen_fastsim/random.hpp"

using namespace hepgen_fastsim;
using Catch::Contains;

namespace {

const std::string models = HEPGEN_TEST_MODELS "/";

Engine engine(const std::string& name, std::int64_t batch_items = 1000) {
  return Engine(Model::load(models + name), {.device = "cpu", .batch_items = batch_items});
}

/// Sets of the model `smear`: features pt, eta, phi, charge; one code.
struct Sets {
  std::vector<float> features;
  std::vector<std::int64_t> codes, offsets{0}, event;

  void add(std::int64_t id, std::int64_t items) {
    for (std::int64_t i = 0; i < items; ++i) {
      const auto x = static_cast<float>(id * 31 + i);
      features.insert(features.end(), {1 + x, std::sin(x), std::cos(x), i % 2 == 0 ? 1.0f : 0.0f});
      codes.push_back(i % 2 == 0 ? 211 : 22);
    }
    offsets.push_back(static_cast<std::int64_t>(codes.size()));
    event.push_back(id);
  }
  SetView view() const { return {features, codes, offsets, {}, event}; }
};

Sets sample(std::int64_t n) {
  Sets out;
  for (std::int64_t i = 0; i < n; ++i) out.add(i, (i * 13) % 41);
  return out;
}

}  // namespace

TEST_CASE("the network sees its inputs and its own noise") {
  Sets sets;
  sets.add(7, 5);
  const SetBatch out = engine("no-smearing.pt").run(sets.view(), 42, 3);
  // Item i is lost when the second channel of its noise exceeds 1.
  std::vector<std::uint32_t> event(5, 7), slot(5);
  std::iota(slot.begin(), slot.end(), 0u);
  std::vector<float> noise(25);
  normal_noise(42, 3, event, slot, 5, noise);
  std::vector<std::int64_t> kept;
  for (std::size_t i = 0; i < 5; ++i) {
    if (noise[5 * i + 1] < 1) kept.push_back(static_cast<std::int64_t>(i));
  }
  CHECK(out.origin == kept);
  REQUIRE(out.items.size() == 3 * kept.size());
  for (std::size_t j = 0; j < kept.size(); ++j) {
    const auto i = static_cast<std::size_t>(kept[j]);
    CHECK(out.items[3 * j] == sets.features[4 * i]);
    CHECK(out.item_codes[2 * j] == (i % 2 == 0 ? 211 : 22));
  }
  CHECK(out.scalars.at(0) == Approx(5 * (1 + 7 * 31) + 10));
}

TEST_CASE("results do not depend on batches, order or threads") {
  const Sets sets = sample(200);
  const Engine whole = engine("smear.pt", 1 << 20);
  const SetBatch expected = whole.run(sets.view(), 42, 1);
  REQUIRE(expected.size() == 200);

  const auto name = GENERATE("smear.pt", "smear-quadratic.pt");
  const auto batch_items = GENERATE(1, 100, 3000);
  const Engine packed = engine(name, batch_items);
  const SetBatch out = packed.run(sets.view(), 42, 1);
  CHECK(out.offsets == expected.offsets);
  CHECK(out.origin == expected.origin);
  CHECK(out.item_codes == expected.item_codes);
  CHECK(out.scalars == expected.scalars);
  REQUIRE(out.items.size() == expected.items.size());
  for (std::size_t i = 0; i < out.items.size(); ++i) REQUIRE(out.items[i] == Approx(expected.items[i]).epsilon(1e-6));

  Sets reversed;
  for (std::int64_t i = 199; i >= 0; --i) reversed.add(i, (i * 13) % 41);
  const SetBatch back = packed.run(reversed.view(), 42, 1);
  const auto begin = [](const SetBatch& b, std::int64_t set) { return b.offsets[static_cast<std::size_t>(set)]; };
  for (std::int64_t i = 0; i < 200; ++i) {
    const auto size = begin(expected, i + 1) - begin(expected, i);
    REQUIRE(begin(back, 200 - i) - begin(back, 199 - i) == size);
    for (std::int64_t j = 0; j < 3 * size; ++j) {
      REQUIRE(back.items[static_cast<std::size_t>(3 * begin(back, 199 - i) + j)] ==
              Approx(expected.items[static_cast<std::size_t>(3 * begin(expected, i) + j)]).epsilon(1e-6));
    }
  }
}

TEST_CASE("arithmetic of the caller is as before") {
  Sets sets;
  sets.add(1, 3);
  volatile float tiny = std::numeric_limits<float>::denorm_min();
  engine("smear.pt").run(sets.view(), 1);
  CHECK(tiny * 1.0f > 0.0f);
}

TEST_CASE("several devices give in order what one gives") {
  const Sets sets = sample(200);
  const auto name = GENERATE("smear.pt", "smear-quadratic.pt", "no-smearing.pt");
  const SetBatch expected = engine(name, 100).run(sets.view(), 42, 1);
  const Engine several(Model::load(models + name), {.device = "cpu,cpu,cpu", .batch_items = 100});
  CHECK(several.device() == "cpu,cpu,cpu");
  for (int i = 0; i < 5; ++i) {
    const SetBatch out = several.run(sets.view(), 42, 1);
    CHECK(out.offsets == expected.offsets);
    CHECK(out.items == expected.items);
    CHECK(out.item_codes == expected.item_codes);
    CHECK(out.origin == expected.origin);
    CHECK(out.scalars == expected.scalars);
  }
  const std::vector<std::int64_t> offsets(101, 0);
  const std::vector<float> conditions(100, 1);
  const Engine drawn(Model::load(models + "drawn.pt"), {.device = "cpu,cpu", .batch_items = 10});
  CHECK(drawn.run({{}, {}, offsets, conditions, {}}, 9).items ==
        engine("drawn.pt", 10).run({{}, {}, offsets, conditions, {}}, 9).items);
}

TEST_CASE("several devices fail, halve and stop as one does") {
  const auto on = [](const char* name, std::int64_t items) {
    return Engine(Model::load(models + name), {.device = "cpu,cpu", .batch_items = items});
  };
  const Sets sets = sample(40);
  CHECK_THROWS_WITH(on("raises.pt", 10).run(sets.view(), 1), Contains("the network gives up"));
  CHECK(on("hungry.pt", 400).run(sets.view(), 1).offsets == sets.offsets);
  Sets large = sample(10);
  large.add(10, 101);
  CHECK_THROWS_WITH(on("hungry.pt", 50).run(large.view(), 1),
                    Contains("out of memory on cpu with a single set of 101 items and 101 slots"));
  std::stop_source source;
  source.request_stop();
  CHECK_THROWS_AS(on("smear.pt", 10).run(sets.view(), 1, 0, source.get_token()), Cancelled);
}

TEST_CASE("a device that is lost is named, and the next call may work") {
  const Engine e = engine("lost.pt");
  Sets large, small = sample(3);
  large.add(0, 101);
  CHECK_THROWS_WITH(e.run(large.view(), 1), Contains("the device failed: cpu with a single set of 101 items and 101 "
                                                     "slots") &&
                                                Contains("illegal memory access"));
  CHECK(e.run(small.view(), 1).size() == 3);
}

TEST_CASE("one engine serves many threads") {
  const Sets sets = sample(100);
  const Engine shared = engine("smear.pt");
  const SetBatch expected = shared.run(sets.view(), 5);
  std::vector<SetBatch> results(8);
  {
    std::vector<std::jthread> threads;
    for (auto& result : results) {
      threads.emplace_back([&] {
        for (int i = 0; i < 10; ++i) result = shared.run(sets.view(), 5);
      });
    }
  }
  for (const auto& result : results) {
    CHECK(result.items == expected.items);
    CHECK(result.offsets == expected.offsets);
  }
}

TEST_CASE("a generator draws its own slots") {
  const Engine generator = engine("drawn.pt", 50);
  const std::vector<std::int64_t> offsets(101, 0);
  std::vector<float> conditions(100);
  std::iota(conditions.begin(), conditions.end(), 0.0f);
  const SetBatch out = generator.run({{}, {}, offsets, conditions, {}}, 9);
  REQUIRE(out.size() == 100);
  for (std::size_t i = 0; i < 100; ++i) {
    const float z = out.scalars[i];  // the set's noise
    CHECK(out.offsets[i + 1] - out.offsets[i] == 3 + static_cast<std::int64_t>(10 * std::abs(z)));
    std::vector<float> expected(1);
    normal_noise(9, 0, std::vector<std::uint32_t>{static_cast<std::uint32_t>(i)}, std::vector<std::uint32_t>{set_slot},
                 1, expected);
    CHECK(z == expected[0]);
    CHECK(std::abs(out.items[static_cast<std::size_t>(out.offsets[i])] - conditions[i]) < 7);
  }
}

TEST_CASE("no sets, empty sets") {
  const Engine e = engine("smear.pt");
  CHECK(e.run({{}, {}, std::vector<std::int64_t>{0}, {}, {}}, 1).size() == 0);
  const SetBatch out = e.run({{}, {}, std::vector<std::int64_t>{0, 0, 0}, {}, {}}, 1);
  CHECK(out.offsets == std::vector<std::int64_t>{0, 0, 0});
  CHECK(out.scalars == std::vector<float>{0, 0});
}

TEST_CASE("arrays that do not fit are refused, with both sides") {
  const Engine e = engine("smear.pt");
  Sets sets = sample(3);
  SECTION("features") {
    sets.features.pop_back();
    CHECK_THROWS_WITH(e.run(sets.view(), 1), Contains("expects 39 x 4 numbers of features, got 155"));
  }
  SECTION("offsets") {
    sets.offsets[1] = 50;
    CHECK_THROWS_WITH(e.run(sets.view(), 1), Contains("offsets[2] = 13 follows 50"));
    sets.offsets[0] = 1;
    CHECK_THROWS_WITH(e.run(sets.view(), 1), Contains("begin with 0"));
    sets.offsets = {0, std::numeric_limits<std::int64_t>::max()};
    sets.event = {0};
    CHECK_THROWS_WITH(e.run(sets.view(), 1), Contains("numbers of features"));
  }
  SECTION("not a number") {
    sets.features[4 * 13 + 6] = std::nanf("");
    CHECK_THROWS_WITH(e.run(sets.view(), 1), Contains("set 2, item 1: feature 'phi' is not finite"));
  }
  SECTION("event ids") {
    sets.event[1] = std::int64_t{1} << 32;
    CHECK_THROWS_WITH(e.run(sets.view(), 1), Contains("0 ... 2^32 - 1, but set 1 has 4294967296"));
  }
}

TEST_CASE("a model that breaks its contract is named") {
  const Sets sets = sample(3);  // 39 items
  CHECK_THROWS_WITH(engine("raises.pt").run(sets.view(), 1),
                    Contains("'forward' failed") && Contains("the network gives up"));
  CHECK_THROWS_WITH(engine("wrong-shape.pt").run(sets.view(), 1),
                    Contains("items should be Float [39, 3], but is Float [39, 4]"));
  CHECK_THROWS_WITH(engine("wrong-type.pt").run(sets.view(), 1),
                    Contains("items should be Float [0, 3], but is Double [0, 3]"));
  const std::vector<std::int64_t> offsets{0, 0};
  CHECK_THROWS_WITH(engine("wrong-origin.pt").run({{}, {}, offsets, std::vector<float>{1}, {}}, 1),
                    Contains("origin 1 points outside its set of 0 items"));
}

TEST_CASE("a batch that does not fit into memory is halved") {
  const Sets sets = sample(40);  // about 800 items, the network takes 100
  const SetBatch out = engine("hungry.pt", 1 << 20).run(sets.view(), 1);
  CHECK(out.size() == 40);
  CHECK(out.offsets == sets.offsets);
  for (std::size_t i = 0; i < sets.codes.size(); ++i) REQUIRE(out.items[3 * i] == sets.features[4 * i]);

  Sets large;
  large.add(0, 101);
  CHECK_THROWS_WITH(engine("hungry.pt").run(large.view(), 1),
                    Contains("out of memory on cpu with a single set of 101 items and 101 slots"));
}

TEST_CASE("a run can be cancelled between batches") {
  const Sets sets = sample(20);
  std::stop_source source;
  source.request_stop();
  CHECK_THROWS_AS(engine("smear.pt", 10).run(sets.view(), 1, 0, source.get_token()), Cancelled);
  CHECK(engine("smear.pt", 10).run(sets.view(), 1, 0, std::stop_token()).size() == 20);
}

TEST_CASE("a large set and no set at all") {
  Sets sets;
  sets.add(0, 100000);
  sets.add(1, 0);
  const SetBatch out = engine("smear.pt", 1000).run(sets.view(), 1);
  CHECK(out.size() == 2);
  CHECK(out.offsets[1] == out.offsets[2]);
  CHECK(out.offsets[1] == Approx(84134).margin(600));  // P(z < 1), five standard deviations
}

TEST_CASE("devices and configurations that are not there") {
  const Model model = Model::load(models + "smear.pt");
  CHECK_THROWS_WITH(Engine(model, {.device = "gpu"}), Contains("is not one of 'auto', 'cpu', 'cuda', 'cuda:N'"));
  CHECK_THROWS_WITH(Engine(model, {.device = "cuda:99"}), Contains("CUDA devices that this torch can use"));
  CHECK_THROWS_WITH(Engine(model, {.batch_items = -1}), Contains("at least 1") && Contains("but is -1"));
}

TEST_CASE("bfloat16 touches the network alone") {
  const Sets sets = sample(20);
  const Engine e(Model::load(models + "smear.pt"), {.device = "cpu", .precision = Precision::bfloat16});
  const SetBatch expected = engine("smear.pt").run(sets.view(), 1), out = e.run(sets.view(), 1);
  CHECK(out.offsets == expected.offsets);
  CHECK(out.origin == expected.origin);
}
