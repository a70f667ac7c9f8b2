// SPDX-License-Identifier: Apache-2.0
// rabbitmq-c. The scenarios of ../README.md; the library does not recover, the program connects
// again. And:
//   errors   what ends a channel or refuses a login: `channel-error CODE CLASS METHOD`,
//            `refused CODE`
#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PUBLISHING 1
#define CONSUMING 2
#define BATCH 50
#define NUMBERS_MAX (1 << 20)

static int port;
static const char* name;

static void say(const char* format, ...) {
  va_list words;
  va_start(words, format);
  vprintf(format, words);
  va_end(words);
  putchar('\n');
  fflush(stdout);
}

static void give_up(const char* what, const char* why) {
  fprintf(stderr, "%s: %s\n", what, why);
  exit(1);
}

static amqp_bytes_t text(const char* words) { return amqp_cstring_bytes(words); }

// NAME and a suffix, in one of a few buffers that take turns.
static amqp_bytes_t named(const char* suffix) {
  static char buffers[8][300];
  static int turn;
  char* buffer = buffers[turn++ % 8];
  snprintf(buffer, sizeof(buffers[0]), "%s%s", name, suffix);
  return text(buffer);
}

static bool good(amqp_rpc_reply_t reply, const char* what) {
  if (reply.reply_type == AMQP_RESPONSE_NORMAL) return true;
  const char* why = "closed by the broker";
  if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) {
    why = amqp_error_string2(reply.library_error);
  }
  fprintf(stderr, "%s: %s\n", what, why);
  return false;
}

static void must(amqp_connection_state_t state, const char* what) {
  if (!good(amqp_get_rpc_reply(state), what)) give_up(what, "failed");
}

// A connection with both channels; or NULL, with the reply code of a connection.close, if one came.
static amqp_connection_state_t connect_once(const char* password, int* refused) {
  amqp_connection_state_t state = amqp_new_connection();
  amqp_socket_t* socket = amqp_tcp_socket_new(state);
  if (socket != NULL && amqp_socket_open(socket, "127.0.0.1", port) == AMQP_STATUS_OK) {
    amqp_rpc_reply_t login =
        amqp_login(state, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", password);
    if (login.reply_type == AMQP_RESPONSE_NORMAL) {
      amqp_channel_open(state, PUBLISHING);
      must(state, "channel.open");
      amqp_confirm_select(state, PUBLISHING);
      amqp_channel_open(state, CONSUMING);
      must(state, "channel.open");
      return state;
    }
    if (login.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
        login.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
      *refused = ((amqp_connection_close_t*)login.reply.decoded)->reply_code;
    }
  }
  amqp_destroy_connection(state);
  return NULL;
}

static amqp_connection_state_t connect_or_die(void) {
  int refused = 0;
  amqp_connection_state_t state = connect_once("guest", &refused);
  if (state == NULL) give_up("connect", "failed");
  return state;
}

static void close_connection(amqp_connection_state_t state) {
  amqp_connection_close(state, AMQP_REPLY_SUCCESS);
  amqp_destroy_connection(state);
}

static void declare_exchange(amqp_connection_state_t state, amqp_bytes_t exchange,
                             const char* type) {
  amqp_exchange_declare(state, PUBLISHING, exchange, text(type), false, true, false, false,
                        amqp_empty_table);
  must(state, "exchange.declare");
}

static void declare_queue(amqp_connection_state_t state, amqp_bytes_t queue, amqp_bytes_t exchange,
                          const char* key, amqp_table_t arguments) {
  amqp_queue_declare(state, PUBLISHING, queue, false, true, false, false, arguments);
  must(state, "queue.declare");
  amqp_queue_bind(state, PUBLISHING, queue, exchange, text(key), amqp_empty_table);
  must(state, "queue.bind");
}

static amqp_queue_declare_ok_t depth(amqp_connection_state_t state, amqp_bytes_t queue) {
  amqp_queue_declare_ok_t* ok = amqp_queue_declare(state, PUBLISHING, queue, true, true, false,
                                                   false, amqp_empty_table);
  must(state, "passive queue.declare");
  return *ok;
}

static bool publish(amqp_connection_state_t state, const char* key, bool mandatory, int number) {
  char body[20];
  snprintf(body, sizeof(body), "%d", number);
  amqp_basic_properties_t properties = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG,
                                        .delivery_mode = AMQP_DELIVERY_PERSISTENT};
  return amqp_basic_publish(state, PUBLISHING, named(".x"), text(key), mandatory, false,
                            &properties, text(body)) == AMQP_STATUS_OK;
}

static bool read_return(amqp_connection_state_t state, const amqp_basic_return_t* returned) {
  say("returned %d %.*s", returned->reply_code, (int)returned->reply_text.len,
      (char*)returned->reply_text.bytes);
  amqp_message_t message;
  if (!good(amqp_read_message(state, PUBLISHING, &message, 0), "returned message")) return false;
  amqp_destroy_message(&message);
  return true;
}

// Until the publish with this number has been confirmed. Only for a connection that does not
// consume at this time.
static bool wait_for_confirm(amqp_connection_state_t state, uint64_t last) {
  for (;;) {
    amqp_frame_t frame;
    int status = amqp_simple_wait_frame(state, &frame);
    if (status != AMQP_STATUS_OK || frame.frame_type != AMQP_FRAME_METHOD) {
      fprintf(stderr, "waiting for confirms: %s\n", amqp_error_string2(status));
      return false;
    }
    if (frame.payload.method.id == AMQP_BASIC_ACK_METHOD) {
      amqp_basic_ack_t* ack = frame.payload.method.decoded;
      if (ack->delivery_tag >= last) return true;
    } else if (frame.payload.method.id == AMQP_BASIC_RETURN_METHOD) {
      if (!read_return(state, frame.payload.method.decoded)) return false;
    } else {
      fprintf(stderr, "%s instead of a confirm\n", amqp_method_name(frame.payload.method.id));
      return false;
    }
  }
}

static void publish_numbers(amqp_connection_state_t state, int count) {
  for (int number = 0; number < count; ++number) {
    if (!publish(state, "work", false, number)) give_up("publish", "failed");
  }
  if (!wait_for_confirm(state, (uint64_t)count)) give_up("confirms", "failed");
  for (int number = 0; number < count; ++number) say("confirmed %d", number);
}

static void consume(amqp_connection_state_t state, amqp_bytes_t queue, uint16_t prefetch) {
  amqp_basic_qos(state, CONSUMING, 0, prefetch, false);
  must(state, "basic.qos");
  amqp_basic_consume(state, CONSUMING, queue, text("tag"), false, false, false, amqp_empty_table);
  must(state, "basic.consume");
}

struct delivery {
  uint64_t tag;
  int number;
  bool redelivered;
};

static int number_in(amqp_bytes_t body) {
  char digits[20] = "";
  memcpy(digits, body.bytes, body.len < sizeof(digits) - 1 ? body.len : sizeof(digits) - 1);
  return atoi(digits);
}

static struct delivery next_delivery(amqp_connection_state_t state) {
  amqp_envelope_t envelope;
  if (!good(amqp_consume_message(state, &envelope, NULL, 0), "delivery")) {
    give_up("delivery", "failed");
  }
  struct delivery found = {envelope.delivery_tag, number_in(envelope.message.body),
                           envelope.redelivered};
  amqp_destroy_envelope(&envelope);
  return found;
}

static void say_got(struct delivery delivery) {
  say("got %d %d", delivery.number, delivery.redelivered);
}

static void work(void) {
  amqp_connection_state_t state = connect_or_die();
  declare_exchange(state, named(".x"), "direct");
  declare_queue(state, named(".q"), named(".x"), "work", amqp_empty_table);
  publish_numbers(state, 100);
  publish(state, "nowhere", true, 0);
  if (!wait_for_confirm(state, 101)) give_up("mandatory", "not confirmed");

  consume(state, named(".q"), 10);
  struct delivery hands[10];
  for (int i = 0; i < 10; ++i) hands[i] = next_delivery(state);
  say("held 10 %u", depth(state, named(".q")).message_count);
  amqp_basic_reject(state, CONSUMING, hands[0].tag, true);
  amqp_basic_ack(state, CONSUMING, hands[9].tag, true);
  for (int i = 1; i < 10; ++i) say_got(hands[i]);
  for (int i = 9; i < 100; ++i) {
    struct delivery delivery = next_delivery(state);
    say_got(delivery);
    amqp_basic_ack(state, CONSUMING, delivery.tag, false);
  }
  amqp_basic_cancel(state, CONSUMING, text("tag"));
  must(state, "basic.cancel");
  amqp_queue_declare_ok_t left = depth(state, named(".q"));
  say("left %u %u", left.message_count, left.consumer_count);
  close_connection(state);
}

static const amqp_field_value_t* field(const amqp_table_t* table, const char* key) {
  for (int i = 0; i < table->num_entries; ++i) {
    const amqp_table_entry_t* entry = &table->entries[i];
    if (entry->key.len == strlen(key) && memcmp(entry->key.bytes, key, entry->key.len) == 0) {
      return &entry->value;
    }
  }
  give_up("no such field", key);
  return NULL;
}

static const char* words(const amqp_field_value_t* value) {
  static char buffers[8][300];
  static int turn;
  char* buffer = buffers[turn++ % 8];
  if (value->kind != AMQP_FIELD_KIND_UTF8) give_up("field", "is not a string");
  snprintf(buffer, sizeof(buffers[0]), "%.*s", (int)value->value.bytes.len,
           (char*)value->value.bytes.bytes);
  return buffer;
}

static void say_death(amqp_connection_state_t state) {
  amqp_envelope_t envelope;
  if (!good(amqp_consume_message(state, &envelope, NULL, 0), "dead letter")) {
    give_up("dead letter", "failed");
  }
  const amqp_field_value_t* deaths = field(&envelope.message.properties.headers, "x-death");
  if (deaths->kind != AMQP_FIELD_KIND_ARRAY) give_up("x-death", "is not an array");
  const amqp_table_t* death = &deaths->value.array.entries[0].value.table;
  if (field(death, "count")->kind != AMQP_FIELD_KIND_I64) give_up("count", "is not a long");
  say("dead %d %s %s %d %s %s", number_in(envelope.message.body), words(field(death, "reason")),
      words(field(death, "queue")), (int)field(death, "count")->value.i64,
      words(field(death, "exchange")),
      words(&field(death, "routing-keys")->value.array.entries[0]));
  amqp_basic_ack(state, CONSUMING, envelope.delivery_tag, false);
  amqp_destroy_envelope(&envelope);
}

static void dead_letter(void) {
  amqp_connection_state_t state = connect_or_die();
  declare_exchange(state, named(".dlx"), "fanout");
  declare_exchange(state, named(".x"), "direct");
  declare_queue(state, named(".dead"), named(".dlx"), "", amqp_empty_table);
  amqp_table_entry_t entry = {
      text("x-dead-letter-exchange"),
      {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = named(".dlx")}};
  amqp_table_t arguments = {1, &entry};
  declare_queue(state, named(".q"), named(".x"), "work", arguments);
  publish_numbers(state, 10);
  consume(state, named(".q"), 0);
  for (int i = 0; i < 10; ++i) {
    struct delivery delivery = next_delivery(state);
    if (delivery.number % 2 == 0) {
      amqp_basic_ack(state, CONSUMING, delivery.tag, false);
    } else {
      amqp_basic_reject(state, CONSUMING, delivery.tag, false);
    }
  }
  amqp_basic_cancel(state, CONSUMING, text("tag"));
  must(state, "basic.cancel");
  consume(state, named(".dead"), 0);
  for (int i = 0; i < 5; ++i) say_death(state);
  say("left %u", depth(state, named(".q")).message_count);
  close_connection(state);
}

// One connection publishes, the other consumes; both go when the broker goes.
struct links {
  amqp_connection_state_t publishing;
  amqp_connection_state_t consuming;
  uint64_t published;  // on this connection
  bool got[NUMBERS_MAX];
  int got_count;
};

static void connect_links(struct links* links) {
  const struct timespec pause = {0, 50 * 1000 * 1000};
  int refused = 0;
  while ((links->publishing = connect_once("guest", &refused)) == NULL) nanosleep(&pause, NULL);
  links->consuming = connect_or_die();
  links->published = 0;
  declare_exchange(links->publishing, named(".x"), "fanout");
  declare_queue(links->publishing, named(".kept"), named(".x"), "", amqp_empty_table);
  declare_queue(links->publishing, named(".worked"), named(".x"), "", amqp_empty_table);
  consume(links->consuming, named(".worked"), 20);
}

static bool publish_batch(struct links* links, int first) {
  for (int number = first; number < first + BATCH; ++number) {
    if (!publish(links->publishing, "", false, number)) return false;
  }
  links->published += BATCH;
  return wait_for_confirm(links->publishing, links->published);
}

// Takes what is there, waiting for it a little; false when the connection is gone.
static bool take_deliveries(struct links* links) {
  for (;;) {
    amqp_maybe_release_buffers(links->consuming);
    struct timeval patience = {0, 5000};
    amqp_envelope_t envelope;
    amqp_rpc_reply_t reply = amqp_consume_message(links->consuming, &envelope, &patience, 0);
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION &&
        reply.library_error == AMQP_STATUS_TIMEOUT) {
      return true;
    }
    if (!good(reply, "delivery")) return false;
    int number = number_in(envelope.message.body);
    say("got %d %d", number, envelope.redelivered);
    if (number < NUMBERS_MAX && !links->got[number]) {
      links->got[number] = true;
      ++links->got_count;
    }
    int status = amqp_basic_ack(links->consuming, CONSUMING, envelope.delivery_tag, false);
    amqp_destroy_envelope(&envelope);
    if (status != AMQP_STATUS_OK) return false;
  }
}

static void recover(void) {
  static struct links links;
  connect_links(&links);
  int next = 0;
  int total = NUMBERS_MAX;
  while (links.got_count < total) {
    bool up = true;
    if (next < total) up = publish_batch(&links, next);
    if (up && next < total) {
      for (int number = next; number < next + BATCH; ++number) say("confirmed %d", number);
      next += BATCH;
    }
    if (up && take_deliveries(&links)) continue;
    say("lost");
    amqp_destroy_connection(links.publishing);
    amqp_destroy_connection(links.consuming);
    connect_links(&links);
    say("recovered");
    total = next + 2 * BATCH;
  }
  say("done %d", total);
  close_connection(links.publishing);
  close_connection(links.consuming);
}

static void say_channel_error(amqp_connection_state_t state) {
  amqp_rpc_reply_t reply = amqp_get_rpc_reply(state);
  if (reply.reply_type != AMQP_RESPONSE_SERVER_EXCEPTION ||
      reply.reply.id != AMQP_CHANNEL_CLOSE_METHOD) {
    give_up("channel.close", "did not come");
  }
  amqp_channel_close_t* close = reply.reply.decoded;
  say("channel-error %d %d %d", close->reply_code, close->class_id, close->method_id);
  amqp_channel_close_ok_t ok;
  amqp_send_method(state, PUBLISHING, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
  amqp_channel_open(state, PUBLISHING);
  must(state, "channel.open");
}

static void errors(void) {
  amqp_connection_state_t state = connect_or_die();
  amqp_queue_declare(state, PUBLISHING, named(".absent"), true, false, false, false,
                     amqp_empty_table);
  say_channel_error(state);
  declare_exchange(state, named(".x"), "direct");
  amqp_exchange_declare(state, PUBLISHING, named(".x"), text("topic"), false, true, false, false,
                        amqp_empty_table);
  say_channel_error(state);
  close_connection(state);
  int refused = 0;
  if (connect_once("wrong", &refused) != NULL) give_up("login", "was not refused");
  say("refused %d", refused);
}

int main(int argc, char** argv) {
  if (argc != 4) give_up("usage", "client SCENARIO PORT NAME");
  port = atoi(argv[2]);
  name = argv[3];
  if (strcmp(argv[1], "work") == 0) work();
  else if (strcmp(argv[1], "dead-letter") == 0) dead_letter();
  else if (strcmp(argv[1], "recover") == 0) recover();
  else if (strcmp(argv[1], "errors") == 0) errors();
  else give_up("no such scenario", argv[1]);
  return 0;
}
