// SPDX-License-Identifier: MIT
#include "hepgen_fastsim/model.hpp"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "hepgen_fastsim/error.hpp"
#include "torchscript.hpp"

namespace hepgen_fastsim {
namespace {

namespace fs = std::filesystem;

fs::path models_beside_library() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&models_beside_library), &info) == 0) return {};
  return fs::path(info.dli_fname).parent_path().parent_path() / "models";
}

/// Compares a method's signature with the contract's; both are part of the message.
void check_signature(const torch::jit::Module& module, const std::string& path, const std::string& method,
                     std::size_t arguments, const std::string& result) {
  const auto found = module.find_method(method);
  if (!found) throw ModelError("'" + path + "': the model has no method '" + method + "', which its metadata ask for");
  const c10::FunctionSchema& schema = found->function().getSchema();
  bool fits = schema.arguments().size() == arguments + 1 && schema.returns().size() == 1;
  for (std::size_t i = 1; fits && i < schema.arguments().size(); ++i) {
    fits = schema.arguments()[i].type()->isSubtypeOf(*c10::TensorType::get());
  }
  fits = fits && schema.returns()[0].type()->str() == result;
  if (fits) return;
  std::ostringstream message;
  message << "'" << path << "': '" << method << "' should take " << arguments << " tensors and return " << result
          << ", but its signature is " << schema;
  throw ModelError(message.str());
}

}  // namespace

std::string Model::find(const std::string& path_or_name) {
  const fs::path given(path_or_name);
  if (given.has_parent_path() || given.extension() == ".pt") return path_or_name;
  std::vector<fs::path> folders;
  if (const char* variable = std::getenv("HEPGEN_MODEL_PATH")) {
    std::istringstream list(variable);
    for (std::string folder; std::getline(list, folder, ':');) folders.emplace_back(folder);
  }
  folders.push_back(models_beside_library());
  std::string searched;
  for (const fs::path& folder : folders) {
    const fs::path candidate = folder / (path_or_name + ".pt");
    if (fs::is_regular_file(candidate)) return candidate.string();
    searched += (searched.empty() ? "" : ", ") + folder.string();
  }
  throw ModelError("no model named '" + path_or_name + "' (looked in " + searched +
                   "); give a path, or set HEPGEN_MODEL_PATH");
}

Model Model::load(const std::string& path_or_name) {
  auto impl = std::make_shared<Impl>();
  impl->path = find(path_or_name);
  impl->metadata = Metadata::read(impl->path);  // before anything is executed
  try {
    impl->module = torch::jit::load(impl->path, at::kCPU);
  } catch (const std::exception& error) {
    throw ModelError("'" + impl->path + "' is damaged: its metadata can be read, its network cannot: " +
                     std::string(error.what()).substr(0, 400));
  }
  check_signature(impl->module, impl->path, "forward", 7, "(Tensor, Tensor, Tensor, Tensor, Tensor)");
  if (impl->metadata.slots_drawn) check_signature(impl->module, impl->path, "slots", 5, "Tensor");
  impl->module.eval();
  return Model(std::move(impl));
}

const Metadata& Model::metadata() const {
  return impl_->metadata;
}
const std::string& Model::path() const {
  return impl_->path;
}

}  // namespace hepgen_fastsim
