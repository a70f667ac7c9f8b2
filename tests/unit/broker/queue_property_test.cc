// SPDX-License-Identifier: Apache-2.0
// The queue against a naive model, through random sequences of everything that can happen to it:
// order over lanes, requeues and paging (B1), one holder (B2), room (B3), flags (B4), deadlines
// (B9), limits, purges, power losses.
#include <charconv>
#include <map>
#include <random>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "server/amqp/properties.h"

#include "tests/unit/broker/queue_model.h"
#include "tests/unit/broker/queue_rig.h"

namespace warren::broker {
namespace {

using State = ModelMessage::State;

template <class T>
T pick(std::mt19937_64& random, std::initializer_list<T> from) {
  return from.begin()[random() % from.size()];
}

RigOptions draw_options(std::mt19937_64& random) {
  RigOptions options;
  options.durable = random() % 4 != 0;
  options.window_bytes = pick<std::uint64_t>(random, {500, 2000, 64 << 10});
  options.chunk_bytes_max = pick<std::size_t>(random, {300, 4096});
  options.transient_budget = pick<std::int64_t>(random, {0, 2000, INT64_MAX});
  QueueSettings& settings = options.settings;
  settings.max_priority = pick<std::uint8_t>(random, {0, 0, 1, 3, 9});
  settings.single_active_consumer = random() % 6 == 0;
  if (random() % 3 != 0) settings.dead_letter_exchange = "dlx";
  if (random() % 3 == 0) {
    settings.delivery_limit = pick<std::int64_t>(random, {0, 1, 3});
    settings.counts_returns = true;
  }
  // What leaves by itself is seen on its way to the dead letters only.
  if (settings.dead_letter_exchange && random() % 2 == 0) {
    settings.message_ttl_ms = pick<std::int64_t>(random, {0, 30, 200, 1000});
  }
  if (random() % 3 == 0) {
    settings.max_length = pick<std::uint64_t>(random, {0, 1, 4, 20});
    settings.overflow = Overflow::reject_publish;
    if (settings.dead_letter_exchange) {
      settings.overflow = pick(
          random, {Overflow::drop_head, Overflow::reject_publish, Overflow::reject_publish_dlx});
    }
  }
  return options;
}

class QueueRun final : public QueueRig {
 public:
  explicit QueueRun(std::uint64_t seed) : QueueRun(std::mt19937_64(seed)) {}

  std::string run(unsigned steps) {
    for (unsigned i = 0; i < steps && failure_.empty(); ++i) step();
    rest();
    drain();
    if (failure_.empty()) return {};
    std::string text = failure_ + "\nlast steps:";
    for (const std::string& line : log_) text += "\n  " + line;
    return text;
  }

  void on_delivery(const Consumer& consumer, const Delivery& delivery) override {
    const std::uint64_t id = id_of(*delivery.block);
    note("{} delivered to {}{}", id, consumer.number, delivery.redelivered ? ", again" : "");
    fail(model_.may_deliver(consumer.number));
    fail(model_.take(id, delivery.redelivered, now_ms()));
    if (!failure_.empty()) return;
    ModelConsumer& chosen = *model_.find_consumer(consumer.number);
    chosen.in_flight_bytes += delivery.block->size();
    if (chosen.no_ack) {
      model_.find(id)->state = State::gone;
    } else {
      model_.hold(id, delivery.place, chosen.channel, chosen.number);
    }
  }

  void on_reply(const Reply& reply) override {
    if (reply.to.ticket == 0) return;  // for nobody
    const auto at = pending_.find(reply.to.ticket);
    if (at == pending_.end()) return fail("an answer that nobody waits for");
    const Pending pending = at->second;
    pending_.erase(at);
    if (reply.error) return fail("refused: " + reply.error->text);
    if (pending.what == Pending::What::get) return on_get(pending, reply);
    if (pending.what != Pending::What::purge) return;
    note("purged {}", reply.message_count);
    if (reply.message_count != model_.count(State::ready)) fail("purge counts otherwise");
    for (ModelMessage& message : model_.messages()) {
      if (message.state == State::ready) message.state = State::gone;
    }
  }

  void on_answer(const storage::CommitToken& token, bool taken) override {
    ModelMessage* const message = model_.find_any(token.b);
    if (message == nullptr || message->answered) {
      return fail(fmt::format("a second answer for the publish of {} (P5)", token.b));
    }
    message->answered = true;
    if (taken == refused_.contains(token.b)) fail(fmt::format("{} taken={}", token.b, taken));
  }

  void on_leaving(Leaving leaving) override {
    const std::uint64_t id = id_of(*leaving.message.block);
    note("{} leaves: {}", id, death_reason_name(leaving.reason));
    if (leaving.never_was_here) {
      if (!refused_.contains(id)) fail(fmt::format("{} is refused and there was room", id));
      return;
    }
    if (leaving.reason == DeathReason::rejected || leaving.reason == DeathReason::delivery_limit) {
      if (expected_.erase({id, leaving.reason}) == 0) fail(fmt::format("{} leaves unasked", id));
    } else {
      fail(model_.may_leave(id, leaving.reason, now_ms()));
    }
    if (!failure_.empty()) return;
    model_.find(id)->state = State::leaving;
    if (chance(60)) return let_go(leaving);
    deferred_.push_back(std::move(leaving));
  }

 private:
  struct Pending {
    enum class What : std::uint8_t { consume, cancel, get, purge } what = What::consume;
    ChannelKey channel;
    bool no_ack = false;
  };

  explicit QueueRun(std::mt19937_64 random)
      : QueueRig(draw_options(random)), random_(random), model_(settings(), pages()) {
    large_bodies_ = chance(40);
  }

  bool chance(unsigned percent) { return random_() % 100 < percent; }
  template <class... Arguments>
  void note(const char* format, const Arguments&... arguments) {
    log_.push_back(fmt::format(fmt::runtime(format), arguments...));
    if (log_.size() > 30) log_.pop_front();
  }
  void fail(std::string text) {
    if (failure_.empty()) failure_ = std::move(text);
  }
  static std::uint64_t id_of(const Block& block) {
    const Bytes key = MessageView(block).routing_key();
    std::uint64_t id = 0;
    std::from_chars(key.data(), key.data() + key.size(), id);
    return id;
  }
  ReplyTo wait_for(Pending::What what, ChannelKey channel, bool no_ack = false) {
    pending_.emplace(++tickets_, Pending{what, channel, no_ack});
    return ReplyTo{channel.connection, tickets_};
  }
  ChannelKey draw_channel() {
    return {ConnectionId{1 + random_() % 2}, static_cast<std::uint16_t>(1 + random_() % 2)};
  }

  void on_get(const Pending& pending, const Reply& reply) {
    for (const auto& [ticket, other] : pending_) {
      const bool earlier = other.what == Pending::What::get && ticket < reply.to.ticket;
      if (earlier) return fail("a get is answered before an earlier one");
    }
    if (reply.block == nullptr) {
      note("get: empty");
      if (model_.count(State::ready) > 0) fail("get-empty, and there are messages");
      return;
    }
    const std::uint64_t id = id_of(*reply.block);
    note("{} got{}", id, reply.redelivered ? ", again" : "");
    fail(model_.take(id, reply.redelivered, now_ms()));
    if (!failure_.empty()) return;
    if (pending.no_ack) {
      model_.find(id)->state = State::gone;
    } else {
      model_.hold(id, reply.place, pending.channel, 0);
    }
    if (reply.message_count != model_.count(State::ready)) fail("get-ok counts otherwise");
  }

  void let_go(const Leaving& leaving) {
    model_.find(id_of(*leaving.message.block))->state = State::gone;
    queue().let_go(leaving);
  }

  // ---- what happens ----

  void publish() {
    ModelMessage message;
    message.id = ++ids_;
    const bool persistent = chance(70);
    MessageHead head;
    head.persistent = persistent;
    head.priority = static_cast<std::uint8_t>(random_() % 12);
    head.published_ms = now_ms();
    const std::string key = std::to_string(message.id);
    head.routing_key = key;
    amqp::PropertiesView properties;
    std::string expiration;
    std::int64_t life = settings().message_ttl_ms.value_or(INT64_MAX);
    if (settings().message_ttl_ms && chance(40)) {
      const auto own = static_cast<std::int64_t>(random_() % 400);
      expiration = std::to_string(own);
      properties.expiration = amqp::ShortString(expiration);
      life = std::min(life, own);
    }
    std::string raw;
    amqp::encode_properties(raw, properties);
    head.properties = raw;
    const std::size_t body = random_() % (large_bodies_ && chance(50) ? 20'000 : 200);
    BlockRef block = start_message(head, body);
    std::fill_n(block->data() + MessageView(*block).body_offset(), body, 'x');

    message.lane = std::min<std::size_t>(head.priority, settings().max_priority);
    message.durable = persistent && queue().durable();
    if (life != INT64_MAX) message.deadline_ms = now_ms() + life;
    message.answered = !chance(60);
    const bool refused = model_.must_refuse();
    if (refused) {
      message.state = State::gone;
      refused_.insert(message.id);
    }
    const bool waits = !message.answered;
    note("publish {} lane {} {}{}{}", message.id, message.lane, message.durable ? "durable" : "",
         message.deadline_ms == kNoDeadline ? "" : fmt::format(" ttl {}", life),
         refused ? " refused" : "");
    model_.messages().push_back(message);
    const storage::CommitToken token{1, message.id};
    queue().enqueue(std::move(block), persistent, waits ? &token : nullptr);
  }

  void consume() {
    if (model_.consumers().size() >= 4) return;
    ModelConsumer consumer;
    consumer.number = ++consumer_numbers_;
    consumer.channel = draw_channel();
    consumer.no_ack = chance(15);
    consumer.prefetch = pick<std::uint16_t>(random_, {0, 1, 2, 5});
    consumer.priority = pick(random_, {0, 0, -1, 5});
    note("consume {} prefetch {} priority {}{}", consumer.number, consumer.prefetch,
         consumer.priority, consumer.no_ack ? " no-ack" : "");
    ConsumeRequest request;
    request.reply_to = wait_for(Pending::What::consume, consumer.channel);
    request.channel = consumer.channel;
    request.consumer = consumer.number;
    request.no_ack = consumer.no_ack;
    request.prefetch = consumer.prefetch;
    request.priority = consumer.priority;
    model_.consumers().push_back(consumer);
    queue().consume(request);
  }

  void cancel() {
    if (model_.consumers().empty()) return;
    const std::size_t index = random_() % model_.consumers().size();
    const ModelConsumer consumer = model_.consumers()[index];
    note("cancel {}", consumer.number);
    model_.consumers().erase(model_.consumers().begin() + static_cast<std::ptrdiff_t>(index));
    CancelRequest request;
    request.reply_to = wait_for(Pending::What::cancel, consumer.channel);
    request.channel = consumer.channel;
    request.consumer = consumer.number;
    queue().cancel(request);
  }

  void get() {
    GetRequest request;
    request.channel = draw_channel();
    request.no_ack = chance(30);
    request.reply_to = wait_for(Pending::What::get, request.channel, request.no_ack);
    note("get");
    queue().get(request);
  }

  void settle_one() {
    std::vector<std::uint64_t> held;
    for (const ModelMessage& message : model_.messages()) {
      if (message.state == State::held) held.push_back(message.id);
    }
    if (held.empty()) return;
    ModelMessage& message = *model_.find(held[random_() % held.size()]);
    const Place place = message.place;
    const auto how = pick(
        random_, {Settlement::ack, Settlement::requeue, Settlement::requeue, Settlement::reject});
    note("settle {}: {}", message.id, static_cast<int>(how));
    if (how == Settlement::requeue) {
      give_back(message);
    } else {
      model_.release(message);
      const bool dead_letter = how == Settlement::reject && settings().dead_letter_exchange;
      if (dead_letter) {
        expected_.insert({message.id, DeathReason::rejected});
      } else {
        message.state = State::gone;
      }
    }
    queue().settle(place, how);
    check_expected();
  }

  void give_back(ModelMessage& message) {
    if (!model_.give_back(message)) return;
    if (settings().dead_letter_exchange) {
      expected_.insert({message.id, DeathReason::delivery_limit});
    } else {
      message.state = State::gone;
    }
  }

  void check_expected() {
    for (const auto& [id, reason] : expected_) {
      fail(fmt::format("{} does not leave ({})", id, death_reason_name(reason)));
    }
  }

  void holder_gone() {
    ChannelKey holder = draw_channel();
    if (chance(40)) holder.channel = 0;
    note("gone: connection {} channel {}", holder.connection.value, holder.channel);
    const auto theirs = [&holder](const ChannelKey& channel) {
      return channel.connection == holder.connection &&
             (holder.channel == 0 || channel.channel == holder.channel);
    };
    std::erase_if(model_.consumers(),
                  [&](const ModelConsumer& consumer) { return theirs(consumer.channel); });
    for (ModelMessage& message : model_.messages()) {
      if (message.state == State::held && theirs(message.channel)) give_back(message);
    }
    std::erase_if(pending_, [&](const auto& one) {
      return one.second.what == Pending::What::get && theirs(one.second.channel);
    });
    queue().holder_gone(holder);
    check_expected();
  }

  void purge() {
    note("purge");
    PurgeRequest request;
    request.reply_to = wait_for(Pending::What::purge, draw_channel());
    queue().purge(request);
  }

  void return_credit() {
    for (ModelConsumer& consumer : model_.consumers()) {
      if (consumer.in_flight_bytes == 0 || chance(30)) continue;
      CreditReturn credit;
      credit.channel = consumer.channel;
      credit.consumer = consumer.number;
      credit.bytes = std::exchange(consumer.in_flight_bytes, 0);
      queue().return_credit(credit);
    }
  }

  void let_one_go() {
    if (deferred_.empty()) return;
    const Leaving leaving = std::move(deferred_.front());
    deferred_.pop_front();
    let_go(leaving);
  }

  void step() {
    const std::uint64_t roll = random_() % 1000;
    if (roll < 160) {
      for (std::uint64_t n = 1 + random_() % 6; n > 0; --n) publish();
    } else if (roll < 260) {
      settle_one();
    } else if (roll < 290) {
      consume();
    } else if (roll < 305) {
      cancel();
    } else if (roll < 345) {
      get();
    } else if (roll < 355) {
      holder_gone();
    } else if (roll < 361) {
      purge();
    } else if (roll < 400) {
      return_credit();
    } else if (roll < 430) {
      advance(static_cast<std::int64_t>(random_() % (chance(10) ? 300 : 20)));
    } else if (roll < 460) {
      let_one_go();
    } else if (roll < 640) {
      turn();
    } else if (roll < 760) {
      step_commit();
    } else if (roll < 860) {
      chance(50) ? begin_read() : step_read();
    } else if (roll < 970) {
      step_callback();
    } else if (roll < 995) {
      rest();
    } else if (queue().durable()) {
      power_loss();
    }
    check_counts();
  }

  // ---- at rest ----

  void check_counts() {
    if (queue().ready_count() != model_.count(State::ready)) {
      fail(fmt::format("{} are ready, expected {}", queue().ready_count(),
                       model_.count(State::ready)));
    }
    if (queue().unacked_count() != model_.count(State::held)) {
      fail(fmt::format("{} are unacked, expected {}", queue().unacked_count(),
                       model_.count(State::held)));
    }
    if (queue().consumer_count() != model_.consumers().size()) fail("consumers counted otherwise");
  }

  void rest() {
    if (!failure_.empty()) return;
    do {
      while (!deferred_.empty() && failure_.empty()) let_one_go();
      settle();
    } while (!deferred_.empty() && failure_.empty());
    note("at rest");
    if (!pending_.empty()) fail(fmt::format("{} requests without an answer", pending_.size()));
    fail(model_.undone(now_ms()));
    model_.forget_gone();
  }

  void power_loss() {
    rest();
    if (!failure_.empty()) return;
    note("power loss");
    model_.restart();
    restart();
  }

  // All of it comes, in order, and then nothing is left, nor comes back.
  void drain() {
    if (!failure_.empty()) return;
    for (std::uint64_t connection = 1; connection <= 2; ++connection) {
      const ChannelKey holder{ConnectionId{connection}, 0};
      model_.consumers().clear();
      for (ModelMessage& message : model_.messages()) {
        if (message.state == State::held && message.channel.connection == holder.connection) {
          give_back(message);
        }
      }
      queue().holder_gone(holder);
    }
    rest();
    consume();
    while (failure_.empty() && (model_.count(State::ready) > 0 || model_.count(State::held) > 0)) {
      rest();
      return_credit();
      for (ModelMessage& message : model_.messages()) {
        if (message.state != State::held) continue;
        model_.release(message);
        message.state = State::gone;
        queue().settle(message.place, Settlement::ack);
      }
    }
    rest();
    check_counts();
    if (transient_bytes() != 0) fail(fmt::format("{} transient bytes left", transient_bytes()));
    if (window_bytes() != 0) fail(fmt::format("{} bytes of windows left", window_bytes()));
    if (!queue().durable() || !failure_.empty()) return;
    power_loss();
    check_counts();
  }

  std::mt19937_64 random_;
  QueueModel model_;
  bool large_bodies_ = false;
  std::uint64_t ids_ = 0;
  std::uint64_t tickets_ = 0;
  ConsumerNumber consumer_numbers_ = 0;
  std::map<std::uint64_t, Pending> pending_;
  std::set<std::uint64_t> refused_;
  std::set<std::pair<std::uint64_t, DeathReason>> expected_;  // to leave in this call
  std::deque<Leaving> deferred_;                              // on their way out
  std::deque<std::string> log_;
  std::string failure_;
};

class QueueProperty : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(QueueProperty, DoesWhatTheModelSays) {
  constexpr std::uint64_t kSeeds = 100;
  for (std::uint64_t seed = GetParam() * kSeeds; seed < (GetParam() + 1) * kSeeds; ++seed) {
    ASSERT_EQ(QueueRun(seed).run(600), "") << "seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, QueueProperty, ::testing::Range<std::uint64_t>(0, 10));

}  // namespace
}  // namespace warren::broker
