// SPDX-License-Identifier: MIT
/// What a model says of itself: the file hepgen.json inside it, format 1.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hepgen_fastsim/export.hpp"

namespace hepgen_fastsim {

/// One column of a ragged array, with its unit ("" if it has none).
struct Column {
  std::string name;
  std::string unit;
};

/// Closed interval of a named column.
struct ColumnRange {
  std::string name;
  double low = 0;
  double high = 0;
};

/// Seen in training; what lies outside is an extrapolation.
struct Domain {
  std::vector<ColumnRange> features;
  std::vector<ColumnRange> conditions;
  std::vector<std::int64_t> pdgid;  ///< sorted; empty: codes are not restricted
  std::int64_t items_low = 0;       ///< items in a set
  std::int64_t items_high = 0;
};

enum class Cost { linear, quadratic };

struct Metadata {
  static constexpr std::int64_t supported_format = 1;

  std::int64_t format = supported_format;
  std::string name, version, task, unit, licence;
  std::vector<Column> features, codes, condition;              ///< inputs: F, C, D columns
  std::vector<Column> output_features, output_codes, scalars;  ///< outputs: G, H, S columns
  bool slots_drawn = false;                                    ///< the model's method `slots` says how many
  std::int64_t slots_per_item = 0, slots_per_set = 0;          ///< otherwise these do
  std::int64_t noise_set = 0, noise_slot = 0;                  ///< channels Zs, Zk
  Cost cost = Cost::linear;                                    ///< in the size of a set
  std::int64_t batch_items = 0;                                ///< items at a time that suit it on a CPU; 0: no wish
  std::vector<ColumnRange> acceptance;                         ///< items outside leave no signal and are not given
  Domain domain;
  std::string json;  ///< the whole text, provenance and metrics included

  /// Throws ModelError if the text is not JSON, its format is unknown, or a key is missing, mistyped or absurd.
  static HEPGEN_FASTSIM_EXPORT Metadata parse(const std::string& json);

  /// Reads the entry as plain bytes of a zip file; nothing of the model is executed. Throws ModelError.
  static HEPGEN_FASTSIM_EXPORT Metadata read(const std::string& path);
};

}  // namespace hepgen_fastsim
