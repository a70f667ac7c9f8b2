// SPDX-License-Identifier: Apache-2.0
// The whole engine on RocksDB in a directory, with its own threads.
#include <chrono>
#include <condition_variable>
#include <deque>
#include <fstream>
#include <mutex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/engine/store.h"
#include "storage/engine/store_directory.h"

#include "tests/unit/storage/engine/temp_directory.h"

namespace warren::storage {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Runs what the store posts, on the test's thread; waits for it with a limit.
class WaitingExecutor final : public Executor {
 public:
  void post(std::function<void()> function) override {
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back(std::move(function));
    }
    wake_.notify_one();
  }
  bool run_one() {
    std::function<void()> function;
    {
      std::unique_lock lock(mutex_);
      if (!wake_.wait_for(lock, std::chrono::seconds(20), [this] { return !queue_.empty(); })) {
        return false;
      }
      function = std::move(queue_.front());
      queue_.pop_front();
    }
    function();
    return true;
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;
};

class CountingListener final : public StoreListener {
 public:
  void on_committed(std::span<const CommitToken> tokens) override { committed += tokens.size(); }
  void on_stored(LogId, Seq, Seq last) override { stored_last = last; }
  void on_mark_raised(LogId) override { ++raised; }
  std::size_t committed = 0;
  Seq stored_last = 0;
  int raised = 0;
};

StoreOptions options_at(const std::string& path) {
  StoreOptions options;
  options.directory = path;
  return options;
}

class OpenStore {
 public:
  explicit OpenStore(const std::string& path) {
    auto opened = Store::open(options_at(path));
    EXPECT_TRUE(opened.ok()) << (opened.ok() ? "" : opened.error().text);
    if (!opened.ok()) return;
    store = opened.take();
    store->shard(0).attach(executor, listener);
  }
  QueueLog& new_log() {
    QueueDefinition queue;
    queue.vhost = "/";
    queue.name = "q";
    queue.log = store->new_log_id();
    queue.durable = true;
    store->shard(0).change_definitions({{DefinitionChange::Kind::put, queue}}, nullptr);
    LogState state;
    state.id = queue.log;
    return store->shard(0).open_log(state);
  }
  void turn() { store->shard(0).end_turn(std::chrono::steady_clock::now()); }
  void wait_committed(std::size_t count) {
    turn();
    while (listener.committed < count) {
      ASSERT_TRUE(executor.run_one());
      turn();
    }
  }
  std::vector<StoredMessage> read_all(QueueLog& log, Seq from, Seq to) {
    std::vector<StoredMessage> out;
    while (from < to) {
      bool answered = false;
      log.read(from, to, 1 << 20, [&](Result<ReadResult> result) {
        answered = true;
        EXPECT_TRUE(result.ok());
        for (StoredMessage& message : result->messages) out.push_back(std::move(message));
        from = result->next;
      });
      while (!answered) {
        if (!executor.run_one()) return out;
      }
    }
    return out;
  }

  WaitingExecutor executor;
  CountingListener listener;
  std::unique_ptr<Store> store;
};

constexpr Seq kMessages = 10000;

std::string body_of(Seq seq) {
  return std::to_string(seq) + std::string(seq % 700, 'x');
}

void append_all(OpenStore& s, QueueLog& log) {
  const CommitToken token{1, 1};
  for (Seq seq = 1; seq <= kMessages; ++seq) {
    log.append(seq, Block::copy_of(body_of(seq)), Durability::durable, &token);
    if (seq % 100 == 0) s.turn();
  }
  s.wait_committed(kMessages);
}

void expect_all(OpenStore& s, QueueLog& log, Seq first) {
  const auto messages = s.read_all(log, log.state().head, log.state().next);
  ASSERT_THAT(messages, SizeIs(kMessages - first + 1));
  for (const StoredMessage& message : messages) {
    ASSERT_EQ(message.seq, first);
    ASSERT_EQ(message.block->bytes(), body_of(first));
    ++first;
  }
}

TEST(StoreOnDisk, ConfirmedMessagesComeBackAfterAStop) {
  const TempDirectory dir;
  {
    OpenStore s(dir / "data");
    EXPECT_TRUE(s.store->recovery_report().created);
    QueueLog& log = s.new_log();
    append_all(s, log);
    for (Seq seq = 1; seq <= 150; ++seq) log.settle(seq, body_of(seq).size());
    EXPECT_TRUE(s.store->close().ok());
  }
  OpenStore s(dir / "data");
  EXPECT_TRUE(s.store->recovery_report().clean_stop);
  EXPECT_EQ(s.store->recovery_report().messages, kMessages - 150);
  const auto states = s.store->take_log_states();
  ASSERT_THAT(states, SizeIs(1));
  QueueLog& log = s.store->shard(0).open_log(states[0]);
  expect_all(s, log, 151);
  // The second stop and start are as good as the first (S12).
  EXPECT_TRUE(s.store->close().ok());
}

TEST(StoreOnDisk, ConfirmedMessagesComeBackAfterACrash) {
  const TempDirectory dir;
  {
    OpenStore s(dir / "data");
    append_all(s, s.new_log());
  }
  OpenStore s(dir / "data");
  EXPECT_FALSE(s.store->recovery_report().clean_stop);
  const auto states = s.store->take_log_states();
  ASSERT_THAT(states, SizeIs(1));
  QueueLog& log = s.store->shard(0).open_log(states[0]);
  expect_all(s, log, 1);
}

TEST(StoreOnDisk, SpillIsEmptiedAtStart) {
  const TempDirectory dir;
  for (int round = 0; round < 3; ++round) {
    OpenStore s(dir / "data");
    QueueLog& log = s.new_log();
    for (Seq seq = 1; seq <= 10; ++seq) {
      log.append(seq, Block::copy_of(std::string(2000, 'p')), Durability::paged, nullptr);
    }
    s.store->shard(0).barrier(CommitToken{});
    s.wait_committed(1);
    EXPECT_EQ(s.listener.stored_last, 10u);
    log.release(1, 11);
    EXPECT_THAT(s.read_all(log, 1, 11), SizeIs(10));
    EXPECT_EQ(s.store->recovery_report().messages, 0u);
    if (round == 1) {
      EXPECT_TRUE(s.store->close().ok());
    }
  }
}

Error open_error(const std::string& path) {
  auto opened = Store::open(options_at(path));
  EXPECT_FALSE(opened.ok());
  return opened.ok() ? Error{} : opened.error();
}

std::size_t entries_in(const std::string& path) {
  const std::filesystem::directory_iterator begin(path);
  return static_cast<std::size_t>(std::distance(begin, std::filesystem::directory_iterator()));
}

TEST(StoreDirectory, RefusesAForeignDirectoryUntouched) {
  const TempDirectory dir;
  std::ofstream(dir / "precious.txt") << "mine";
  const Error error = open_error(dir.path());
  EXPECT_EQ(error.code, Errc::not_a_store);
  EXPECT_THAT(error.text, HasSubstr(dir.path()));
  EXPECT_EQ(entries_in(dir.path()), 1u);
}

// S9
TEST(StoreDirectory, RefusesANewerFormatUntouched) {
  const TempDirectory dir;
  std::ofstream(dir / "WARREN") << "Warren store\nformat 3\nid x\n";
  const Error error = open_error(dir.path());
  EXPECT_EQ(error.code, Errc::format_too_new);
  EXPECT_EQ(entries_in(dir.path()), 1u);
}

std::string text_in(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// S9: what an older version made is taken over, and that version refuses it from then on. Whoever
// only looks leaves it as it is.
TEST(StoreDirectory, AnOlderFormatBecomesThisOne) {
  const TempDirectory dir;
  const std::string marker = dir / "WARREN";
  std::ofstream(marker) << "Warren store\nformat 1\nid an-id\n";
  const auto seen = read_store_marker(dir.path());
  ASSERT_TRUE(seen.ok());
  EXPECT_EQ(seen->format, 1u);
  EXPECT_EQ(text_in(marker), "Warren store\nformat 1\nid an-id\n");
  const auto opened = StoreDirectory::open(dir.path());
  ASSERT_TRUE(opened.ok()) << opened.error().text;
  EXPECT_EQ(opened->store_id(), "an-id");
  EXPECT_EQ(text_in(marker), "Warren store\nformat 2\nid an-id\n");
}

TEST(StoreDirectory, RefusesAMarkerThatIsNone) {
  for (const char* text : {"", "Warren store\n", "Warren store\nformat x\nid y\n", "Warren",
                           "Warren store\nformat 1\nid \n", "Warren store\nformat 1\n"}) {
    const TempDirectory dir;
    std::ofstream(dir / "WARREN") << text;
    EXPECT_EQ(open_error(dir.path()).code, Errc::not_a_store) << text;
    EXPECT_EQ(entries_in(dir.path()), 1u);
  }
}

TEST(StoreDirectory, RefusesAFile) {
  const TempDirectory dir;
  std::ofstream(dir / "file") << "x";
  EXPECT_EQ(open_error(dir / "file").code, Errc::not_a_store);
  EXPECT_EQ(open_error(dir / "file/below").code, Errc::io_error);
}

TEST(StoreDirectory, SecondOpenNamesTheHolder) {
  const TempDirectory dir;
  OpenStore s(dir.path());
  const Error error = open_error(dir.path());
  EXPECT_EQ(error.code, Errc::in_use);
  EXPECT_THAT(error.text, HasSubstr(std::to_string(::getpid())));
}

TEST(StoreDirectory, UnwritableDirectoryIsNamed) {
  if (::getuid() == 0) {
    // Root may write anywhere but here.
    const Error error = open_error("/proc/warren-data");
    EXPECT_EQ(error.code, Errc::io_error);
    EXPECT_THAT(error.text, HasSubstr("/proc/warren-data"));
    return;
  }
  const TempDirectory dir;
  std::filesystem::permissions(dir.path(), std::filesystem::perms::owner_read);
  const Error error = open_error(dir / "data");
  EXPECT_EQ(error.code, Errc::io_error);
  EXPECT_THAT(error.text, HasSubstr(dir / "data"));
}

TEST(StoreDirectory, LeftoversOfACutShortStartAreNoReasonToRefuse) {
  const TempDirectory dir;
  std::ofstream(dir / "WARREN.new") << "Warr";
  std::ofstream(dir / "lock") << "";
  OpenStore s(dir.path());
  ASSERT_NE(s.store, nullptr);
  EXPECT_TRUE(s.store->recovery_report().created);
}

TEST(StoreDirectory, DatabaseOfAnotherStoreIsRefused) {
  const TempDirectory dir;
  { OpenStore s(dir / "a"); }
  { OpenStore s(dir / "b"); }
  std::filesystem::remove_all(dir / "b/db");
  std::filesystem::copy(dir / "a/db", dir / "b/db", std::filesystem::copy_options::recursive);
  EXPECT_EQ(open_error(dir / "b").code, Errc::not_a_store);
}

}  // namespace
}  // namespace warren::storage
