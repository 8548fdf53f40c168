// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include "hepgen_fastsim/error.hpp"
#include "json.hpp"

using namespace hepgen_fastsim;
using Catch::Contains;

TEST_CASE("JSON values are read as RFC 8259 has them") {
  const json::Value document =
      json::parse(R"( {"a": [1, -2.5e3, true, null], "b\u00e9": "x\n\ud83d\ude00", "c": {}} )");
  const json::Object& root = document.as_object("root");
  const json::Array& a = json::require(root, "a", "root").as_array("a");
  CHECK(a.size() == 4);
  CHECK(a[0].as_integer("a[0]") == 1);
  CHECK(a[1].as_number("a[1]") == -2500.0);
  CHECK(a[3].is_null());
  CHECK(json::require(root, "b\xc3\xa9", "root").as_string("b") == "x\n\xf0\x9f\x98\x80");
}

TEST_CASE("what is not JSON is refused with its place") {
  CHECK_THROWS_WITH(json::parse(R"({"a": 1,})"), Contains("at byte 8"));
  CHECK_THROWS_WITH(json::parse(""), Contains("expected a value at byte 0, found the end"));
  for (const char* text : {"{", "[1 2]", "nan", "1e999", "\"\x01\"", "\"\\x\"", "\"\\ud800\"", "01x", "[1] 2",
                           R"({"a": 1, "a": 2})", "tru", "\"open", "{1: 2}", "-"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(json::parse(text), ModelError);
  }
  CHECK_THROWS_WITH(json::parse(std::string(100000, '[')), Contains("levels of nesting"));
}

TEST_CASE("a wrong type is named with both sides") {
  const json::Value document = json::parse(R"({"n": 1.5})");
  const json::Object& root = document.as_object("root");
  CHECK_THROWS_WITH(root.at("n").as_string("n"), Contains("'n' should be a string, but is a number"));
  CHECK_THROWS_WITH(root.at("n").as_integer("n"), Contains("should be an integer"));
  CHECK_THROWS_WITH(json::require(root, "m", "root"), Contains("'root' lacks the key 'm'"));
}
