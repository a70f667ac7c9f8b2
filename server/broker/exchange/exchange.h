// SPDX-License-Identifier: Apache-2.0
// An exchange: pure routing data of one shard's topology copy. No store, no clock, no logging.
// How to add a type: README.md beside this file.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "storage/base/bytes.h"
#include "storage/engine/definitions.h"

#include "server/amqp/field_value.h"
#include "server/amqp/properties.h"
#include "server/broker/broker_ids.h"
#include "server/broker/dedup.h"

namespace warren::broker {

class Exchange;
struct QueueHandle;

// One binding; its address is stable while it exists. Exactly one of queue and exchange is set.
struct Binding {
  storage::BindingDefinition definition;
  Exchange* source = nullptr;
  QueueHandle* queue = nullptr;
  Exchange* exchange = nullptr;
  // Where it stands in its type's index and in its destination's list: removal costs no search.
  mutable std::size_t index_position = 0;
  std::size_t incoming_position = 0;
};

// Lists of bindings that know their own position; the order in a list means nothing.
inline void append_indexed(std::vector<const Binding*>& list, const Binding& binding) {
  binding.index_position = list.size();
  list.push_back(&binding);
}
inline void remove_indexed(std::vector<const Binding*>& list, const Binding& binding) {
  list[binding.index_position] = list.back();
  list[binding.index_position]->index_position = binding.index_position;
  list.pop_back();
}

struct RouteInput {
  Bytes routing_key;
  Bytes headers;  // encoded field table of the message's headers; empty: none
  std::span<const std::string> extra_keys = {};      // CC and BCC
  const amqp::PropertiesView* properties = nullptr;  // the message's; null: it has none

  template <class Visit>
  void for_each_key(Visit visit) const {
    visit(routing_key);
    for (const std::string& key : extra_keys) visit(Bytes(key));
  }
};

// Collects where a message goes. Bindings may be reported more than once.
class RouteOutput {
 public:
  void clear() { matches_.clear(); }
  void add(const Binding& binding) { matches_.push_back(&binding); }
  const std::vector<const Binding*>& matches() const { return matches_; }

 private:
  std::vector<const Binding*> matches_;
};

// Runs on: its shard. Owned by: Topology.
class Exchange {
 public:
  explicit Exchange(storage::ExchangeDefinition definition) : definition_(std::move(definition)) {}
  virtual ~Exchange() = default;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  const storage::ExchangeDefinition& definition() const { return definition_; }
  const std::string& name() const { return definition_.name; }

  virtual void route(const RouteInput& input, RouteOutput& output) const = 0;
  // True: the routing key alone decides, so that what one message reached serves the next ones.
  virtual bool routes_by_key() const { return true; }

  // Adds a binding with this exchange as its source. False: it was there already.
  bool bind(std::unique_ptr<Binding> binding);
  // Removes a binding by identity and gives it to the caller; null if there is none.
  std::unique_ptr<Binding> unbind(const storage::BindingDefinition& definition);
  const Binding* find_binding(const storage::BindingDefinition& definition) const;
  std::size_t binding_count() const { return bindings_.size(); }
  std::vector<const Binding*> bindings() const;

  // Bindings with this exchange as their destination (B5: mirror of the sources' tables).
  std::vector<Binding*>& incoming() { return incoming_; }
  const std::vector<Binding*>& incoming() const { return incoming_; }
  // Cycle guard of the router: the last routing that passed here.
  std::uint64_t route_mark = 0;
  // Set by the topology: the exchange of the "alternate-exchange" argument, by name; empty: none.
  std::string alternate;
  // Set by the topology: the hidden queue for what is not due; empty: the exchange does not delay.
  std::string delay_queue;
  // Set by the topology: it drops what it has seen; not set: it does not.
  std::optional<DedupSettings> dedup;

 protected:
  // Keeps the type's own index. A binding is removed before it dies.
  virtual void index(const Binding& binding) = 0;
  virtual void unindex(const Binding& binding) = 0;

 private:
  storage::ExchangeDefinition definition_;
  StringMap<std::unique_ptr<Binding>> bindings_;  // by identity
  std::vector<Binding*> incoming_;
};

}  // namespace warren::broker
