// SPDX-License-Identifier: MIT
#include "hepgen_fastsim/metadata.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "hepgen_fastsim/error.hpp"
#include "json.hpp"

namespace hepgen_fastsim {
namespace {

constexpr std::int64_t max_columns = 4096;

std::string choice(const json::Object& root, const char* key, std::initializer_list<const char*> allowed) {
  const std::string& value = json::require(root, key, "hepgen.json").as_string(key);
  std::string list;
  for (const char* name : allowed) {
    if (value == name) return value;
    list += (list.empty() ? "'" : ", '") + std::string(name) + "'";
  }
  throw ModelError(std::string("metadata: '") + key + "' should be one of " + list + ", but is '" + value + "'");
}

std::vector<Column> columns(const json::Object& parent, const char* key, const std::string& where) {
  std::vector<Column> out;
  std::set<std::string> seen;
  for (const json::Value& entry : json::require(parent, key, where).as_array(where + "." + key)) {
    const json::Object& column = entry.as_object(where + "." + key);
    Column c{json::require(column, "name", where + "." + key).as_string("name"), ""};
    if (const auto unit = column.find("unit"); unit != column.end()) c.unit = unit->second.as_string("unit");
    if (!seen.insert(c.name).second) {
      throw ModelError("metadata: '" + where + "." + key + "' names the column '" + c.name + "' twice");
    }
    out.push_back(std::move(c));
  }
  if (static_cast<std::int64_t>(out.size()) > max_columns) {
    throw ModelError("metadata: '" + where + "." + key + "' has " + std::to_string(out.size()) + " columns; at most " +
                     std::to_string(max_columns) + " make sense");
  }
  return out;
}

std::int64_t count(const json::Object& parent, const char* key, const std::string& where) {
  const std::int64_t value = json::require(parent, key, where).as_integer(where + "." + key);
  if (value < 0 || value > max_columns) {
    throw ModelError("metadata: '" + where + "." + key + "' should lie in 0 ... " + std::to_string(max_columns) +
                     ", but is " + std::to_string(value));
  }
  return value;
}

std::array<double, 2> interval(const json::Value& value, const std::string& where) {
  const json::Array& pair = value.as_array(where);
  if (pair.size() != 2 || !(pair[0].as_number(where) <= pair[1].as_number(where))) {
    throw ModelError("metadata: '" + where + "' should be [low, high] with low <= high");
  }
  return {pair[0].as_number(where), pair[1].as_number(where)};
}

std::vector<ColumnRange> ranges(const json::Object& object, const std::vector<Column>& known,
                                const std::string& where) {
  std::vector<ColumnRange> out;
  for (const auto& entry : object) {
    const std::string& name = entry.first;
    if (std::none_of(known.begin(), known.end(), [&](const Column& c) { return c.name == name; })) {
      throw ModelError("metadata: '" + where + "' has a range for '" + name + "', which is no input column");
    }
    const auto [low, high] = interval(entry.second, where + "." + name);
    out.push_back({name, low, high});
  }
  return out;
}

Domain parse_domain(const json::Object& root, const Metadata& metadata) {
  const json::Object& object = json::require(root, "domain", "hepgen.json").as_object("domain");
  Domain out;
  out.features = ranges(json::require(object, "features", "domain").as_object("domain.features"), metadata.features,
                        "domain.features");
  out.conditions = ranges(json::require(object, "conditions", "domain").as_object("domain.conditions"),
                          metadata.condition, "domain.conditions");
  const json::Object& codes = json::require(object, "codes", "domain").as_object("domain.codes");
  if (const auto pdgid = codes.find("pdgid"); pdgid != codes.end()) {
    for (const json::Value& code : pdgid->second.as_array("domain.codes.pdgid")) {
      out.pdgid.push_back(code.as_integer("domain.codes.pdgid"));
    }
    std::sort(out.pdgid.begin(), out.pdgid.end());
  }
  const auto [low, high] = interval(json::require(object, "items", "domain"), "domain.items");
  out.items_low = static_cast<std::int64_t>(low);
  out.items_high = static_cast<std::int64_t>(high);
  return out;
}

}  // namespace

Metadata Metadata::parse(const std::string& text) {
  const json::Value document = json::parse(text);
  const json::Object& root = document.as_object("hepgen.json");
  Metadata out;
  out.json = text;
  out.format = json::require(root, "format", "hepgen.json").as_integer("format");
  if (out.format != supported_format) {
    throw ModelError("metadata: this library reads model format " + std::to_string(supported_format) +
                     ", but the file has format " + std::to_string(out.format) +
                     "; use the version of hepgen_fastsim that wrote it");
  }
  out.name = json::require(root, "name", "hepgen.json").as_string("name");
  out.version = json::require(root, "version", "hepgen.json").as_string("version");
  out.licence = json::require(root, "licence", "hepgen.json").as_string("licence");
  out.task = choice(root, "task", {"reconstruct", "generate", "unfold", "autoencode"});
  out.unit = choice(root, "unit", {"event", "jet", "hits"});
  out.cost = choice(root, "cost", {"linear", "quadratic"}) == "linear" ? Cost::linear : Cost::quadratic;
  const json::Object& input = json::require(root, "input", "hepgen.json").as_object("input");
  out.features = columns(input, "features", "input");
  out.codes = columns(input, "codes", "input");
  out.condition = columns(root, "condition", "hepgen.json");
  const json::Object& output = json::require(root, "output", "hepgen.json").as_object("output");
  out.output_features = columns(output, "features", "output");
  out.output_codes = columns(output, "codes", "output");
  out.scalars = columns(root, "scalars", "hepgen.json");
  const json::Value& slots = json::require(root, "slots", "hepgen.json");
  if (slots.is_string()) {
    out.slots_drawn = choice(root, "slots", {"drawn"}) == "drawn";
  } else {
    out.slots_per_item = count(slots.as_object("slots"), "per_item", "slots");
    out.slots_per_set = count(slots.as_object("slots"), "per_set", "slots");
  }
  const json::Object& noise = json::require(root, "noise", "hepgen.json").as_object("noise");
  out.noise_set = count(noise, "set", "noise");
  out.noise_slot = count(noise, "slot", "noise");
  if (const auto acceptance = root.find("acceptance"); acceptance != root.end()) {
    out.acceptance = ranges(acceptance->second.as_object("acceptance"), out.features, "acceptance");
  }
  if (const auto wish = root.find("batch_items"); wish != root.end()) {
    out.batch_items = wish->second.as_integer("batch_items");
    if (out.batch_items < 1) {
      throw ModelError("metadata: 'batch_items' should be at least 1, but is " + std::to_string(out.batch_items));
    }
  }
  out.domain = parse_domain(root, out);
  json::require(root, "provenance", "hepgen.json").as_object("provenance");
  json::require(root, "metrics", "hepgen.json").as_object("metrics");
  return out;
}

}  // namespace hepgen_fastsim
