// SPDX-License-Identifier: MIT
#include "input_kind.hpp"

#include <algorithm>
#include <cctype>

namespace hepgen_fastsim::detail {
namespace {

struct Kind {
  std::string_view magic, description;
};

constexpr Kind kinds[] = {
    {"\x28\xb5\x2f\xfd", "data compressed with zstd; decompress it, or read it from Python, which does so"},
    {"BZh", "data compressed with bzip2; decompress it, or read it from Python, which does so"},
    {"\xfd"
     "7zXZ",
     "data compressed with xz; decompress it, or read it from Python, which does so"},
    {"\x1f\x8b", "gzip within gzip; decompress it once"},
    {"PK\x03\x04", "a zip archive; unpack it first"},
    {"root", "a ROOT file; Delphes ROOT files have a reader of their own"},
    {"PAR1", "a Parquet file"},
    {"\x89HDF", "an HDF5 file"},
    {"%PDF", "a PDF file"},
    {"\x7f"
     "ELF",
     "a program"},
    {"<LesHouchesEvents", "an LHE file: partons that need a parton shower first"},
    {"<?xml", "an XML file (LHE has partons that need a parton shower first)"},
    {"<!DOCTYPE", "an HTML page, perhaps the answer of a server that wanted a login"},
    {"<!doctype", "an HTML page, perhaps the answer of a server that wanted a login"},
    {"<html", "an HTML page, perhaps the answer of a server that wanted a login"},
    {"<HTML", "an HTML page, perhaps the answer of a server that wanted a login"},
    {"version https://git-lfs", "a Git LFS pointer: the file itself was not downloaded"},
    {"E ", "HepMC or HEPEVT events without the header line (HepMC::Asciiv3-START_EVENT_LISTING)"},
};

}  // namespace

std::string excerpt(std::string_view text, std::size_t longest) {
  text = text.substr(0, text.find_first_of("\r\n"));
  const bool cut = text.size() > longest;
  std::string result(text.substr(0, longest));
  std::replace_if(result.begin(), result.end(), [](char c) { return c < 32 || c > 126; }, '?');
  return '"' + result + (cut ? "...\"" : "\"");
}

std::string describe_input(std::string_view head) {
  if (head.empty()) return "an empty file";
  for (const Kind& kind : kinds) {
    if (head.starts_with(kind.magic)) return std::string(kind.description);
  }
  if (head.size() > 262 && head.substr(257, 5) == "ustar") return "a tar archive; unpack it first";
  const auto text = head.find_first_not_of(" \t\r\n");
  if (text == head.npos) return "blank lines only";
  const auto is_binary = [](char c) {
    return static_cast<unsigned char>(c) < 32 && !std::isspace(static_cast<unsigned char>(c));
  };
  if (std::any_of(head.begin(), head.end(), is_binary)) return "binary data of an unknown kind";
  for (const Kind& kind : kinds) {
    if (head.substr(text).starts_with(kind.magic)) return std::string(kind.description);
  }
  return "text that begins with " + excerpt(head.substr(text), 60);
}

}  // namespace hepgen_fastsim::detail
