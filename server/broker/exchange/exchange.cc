// SPDX-License-Identifier: Apache-2.0
#include "server/broker/exchange/exchange.h"

#include "storage/base/assert.h"
#include "storage/base/bytes.h"

namespace warren::broker {
namespace {

// Lengths in front of every part, so that no two bindings share a key.
std::string identity_key(const storage::BindingDefinition& definition) {
  std::string key;
  ByteWriter writer(key);
  writer.u8(static_cast<std::uint8_t>(definition.destination_kind));
  for (const std::string* part :
       {&definition.destination, &definition.routing_key, &definition.arguments}) {
    writer.u32(static_cast<std::uint32_t>(part->size()));
    writer.raw(*part);
  }
  return key;
}

}  // namespace

bool Exchange::bind(std::unique_ptr<Binding> binding) {
  WARREN_ASSERT(binding->source == this);
  WARREN_ASSERT((binding->queue == nullptr) != (binding->exchange == nullptr));
  std::string key = identity_key(binding->definition);
  const auto [at, added] = bindings_.try_emplace(std::move(key), nullptr);
  if (!added) return false;
  at->second = std::move(binding);
  index(*at->second);
  return true;
}

std::unique_ptr<Binding> Exchange::unbind(const storage::BindingDefinition& definition) {
  const auto at = bindings_.find(identity_key(definition));
  if (at == bindings_.end()) return nullptr;
  std::unique_ptr<Binding> binding = std::move(at->second);
  unindex(*binding);
  bindings_.erase(at);
  return binding;
}

const Binding* Exchange::find_binding(const storage::BindingDefinition& definition) const {
  const auto at = bindings_.find(identity_key(definition));
  return at == bindings_.end() ? nullptr : at->second.get();
}

std::vector<const Binding*> Exchange::bindings() const {
  std::vector<const Binding*> all;
  all.reserve(bindings_.size());
  for (const auto& [key, binding] : bindings_) all.push_back(binding.get());
  return all;
}

}  // namespace warren::broker
