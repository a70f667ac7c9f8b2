// SPDX-License-Identifier: Apache-2.0
#include "server/tools/perf/connect.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include "server/tools/perf/link.h"

namespace warren::perf {
namespace {

struct Hint {
  std::string_view sign;  // in the broker's text
  std::string_view help;
};

constexpr Hint kHints[] = {
    {"Connection refused", "is a broker running there? (--uri)"},
    {"Too many open files", "raise the limit of this shell: ulimit -n"},
    {"403 ACCESS_REFUSED",
     "check user, password and permissions (--uri); guest may only log in "
     "from the broker's own machine"},
    {"530 NOT_ALLOWED", "check the virtual host at the end of --uri"},
    {"404 NOT_FOUND - no exchange", "declare it with --exchange-type"},
    {"404 NOT_FOUND - no queue", "leave out --passive to declare it"},
    {"405 RESOURCE_LOCKED",
     "the queue is exclusive to another connection: use another --queue, or "
     "one consumer per queue"},
    {"406 PRECONDITION_FAILED - inequivalent",
     "it exists with other properties: give the same ones, use --passive (queues only), or "
     "another name"},
};

}  // namespace

std::string address_of(const Uri& uri) {
  return fmt::format("{}:{}", uri.host, uri.port);
}

Error explain(std::string_view what, const Error& error) {
  const bool told = what.empty() || error.text.find(what) != std::string::npos;
  std::string text = told ? error.text : fmt::format("{}: {}", what, error.text);
  for (const Hint& hint : kHints) {
    if (text.find(hint.sign) == std::string::npos) continue;
    if (text.find(hint.help) == std::string::npos) text += fmt::format("; {}", hint.help);
    break;
  }
  return {error.code, std::move(text)};
}

Result<WireClient> connect(const Uri& uri, Waiting waiting) {
  WireClient client(waiting);
  if (const Status opened = client.open(uri); !opened.ok()) {
    return explain(address_of(uri), {Errc::not_found, opened.error().text});
  }
  const auto channel = client.call<amqp::ChannelOpenOk>(kSetUpChannel, amqp::ChannelOpen{});
  if (!channel.ok()) return explain(address_of(uri), channel.error());
  return client;
}

void raise_file_limit() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  static_cast<void>(::setrlimit(RLIMIT_NOFILE, &files));
}

}  // namespace warren::perf
