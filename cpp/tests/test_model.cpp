// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>

#include "hepgen_fastsim/error.hpp"
#include "hepgen_fastsim/model.hpp"

using namespace hepgen_fastsim;
using Catch::Contains;

namespace {
const std::string models = HEPGEN_TEST_MODELS "/";
}

TEST_CASE("a model is loaded with its metadata") {
  const Model model = Model::load(models + "smear.pt");
  const Metadata& m = model.metadata();
  CHECK(m.name == "smear");
  CHECK(m.task == "reconstruct");
  CHECK(m.features.size() == 4);
  CHECK(m.features[0].unit == "GeV");
  CHECK(m.slots_per_item == 1);
  CHECK(m.noise_slot == 5);
  CHECK(m.domain.pdgid == std::vector<std::int64_t>{-211, 22, 211});
  CHECK(m.acceptance.at(0).high == 5.0);
  CHECK(model.path() == models + "smear.pt");
}

TEST_CASE("a bundled name is looked up in HEPGEN_MODEL_PATH") {
  setenv("HEPGEN_MODEL_PATH", ("/nowhere:" + models).c_str(), 1);
  CHECK(Model::load("drawn").metadata().slots_drawn);
  unsetenv("HEPGEN_MODEL_PATH");
  CHECK_THROWS_WITH(Model::load("drawn"), Contains("no model named 'drawn' (looked in "));
}

TEST_CASE("files that are no models are refused, with the reason") {
  const auto [file, reason] = GENERATE(table<std::string, std::string>({
      {"absent.pt", "does not exist"},
      {"empty.pt", "is no readable model file"},
      {"text.pt", "is no readable model file"},
      {"truncated.pt", "is no readable model file"},
      {"no-metadata.pt", "without extra/hepgen.json"},
      {"not-json.pt", "JSON: expected '\"' at byte 1"},
      {"unknown-format.pt", "this library reads model format 1, but the file has format 2"},
      {"damaged.pt", "is damaged: its metadata can be read, its network cannot"},
      {"wrong-signature.pt", "'forward' should take 7 tensors and return (Tensor, Tensor, Tensor, Tensor, Tensor)"},
      {"bomb.pt", "has 67108864 bytes; at most 16777216 are read"},
      {"lacks-slots.pt", "has no method 'slots', which its metadata ask for"},
  }));
  CAPTURE(file);
  CHECK_THROWS_AS(Model::load(models + file), ModelError);
  CHECK_THROWS_WITH(Model::load(models + file), Contains(reason) && Contains(file));
}

namespace {
/// The metadata of smear.pt with one piece of text replaced.
std::string edited(const std::string& from, const std::string& to) {
  std::string text = Metadata::read(models + "smear.pt").json;
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}
}  // namespace

TEST_CASE("metadata that contradict themselves are refused") {
  const auto [from, to, reason] = GENERATE(table<std::string, std::string, std::string>({
      {"\"linear\"", "\"cubic\"", "'cost' should be one of 'linear', 'quadratic', but is 'cubic'"},
      {"\"licence\"", "\"license\"", "lacks the key 'licence'"},
      {"[0.0, 1000.0]", "[1000.0, 0.0]", "low <= high"},
      {"\"slot\": 5", "\"slot\": -1", "'noise.slot' should lie in 0 ... 4096, but is -1"},
      {"\"slot\": 5", "\"slot\": 1e12", "'noise.slot' should lie in 0 ... 4096"},
      {"\"name\": \"eta\"", "\"name\": \"pt\"", "names the column 'pt' twice"},
      {"\"eta\": [-5.0, 5.0]", "\"rapidity\": [-5.0, 5.0]", "'rapidity', which is no input column"},
      {"\"per_item\": 1", "\"per_item\": \"one\"", "'slots.per_item' should be an integer, but is a string"},
  }));
  CAPTURE(from, to);
  CHECK_THROWS_WITH(Metadata::parse(edited(from, to)), Contains(reason));
}
