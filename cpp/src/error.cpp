// SPDX-License-Identifier: MIT
#include "hepgen_fastsim/error.hpp"

namespace hepgen_fastsim {

// Out of line, so that the type information lives in this library alone and is caught across its boundary.
Error::~Error() = default;
ModelError::~ModelError() = default;
InputError::~InputError() = default;
Cancelled::~Cancelled() = default;

}  // namespace hepgen_fastsim
