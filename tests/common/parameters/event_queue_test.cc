#include "common/parameters/event_queue.h"

#include <grpcpp/alarm.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "tests/support/catch.h"

namespace samovar {
namespace {

// Far beyond what anything here takes.
constexpr absl::Duration kPatience = absl::Seconds(60);

// An event that comes at once, and who handled it.
struct Event {
  grpc::Alarm alarm;
  std::atomic<std::thread::id> handler;
  std::atomic<bool> handled = false;
};

void Handle(void* tag, bool) {
  Event* const event = static_cast<Event*>(tag);
  event->handler = std::this_thread::get_id();
  event->handled = true;
}

void Begin(EventQueue* events, Event* event) {
  event->alarm.Set(events->queue(), std::chrono::system_clock::now(), event);
}

// Whether the event is handled by somebody else in good time.
bool IsHandled(const Event& event) {
  const absl::Time end = absl::Now() + kPatience;
  while (!event.handled && absl::Now() < end) absl::SleepFor(absl::Milliseconds(1));
  return event.handled;
}

TEST_CASE("who waits for events handles them") {
  EventQueue events(Handle);
  std::vector<Event> several(100);
  for (Event& event : several) {
    Begin(&events, &event);
    events.ServeUntil([&] { return event.handled.load(); }, kPatience);
    REQUIRE(event.handled);
    CHECK(event.handler.load() == std::this_thread::get_id());
  }
}

TEST_CASE("what a handler throws ends with its event, whoever serves, and the next events are handled") {
  EventQueue events([](void* tag, bool ok) {
    Handle(tag, ok);
    throw std::bad_alloc();
  });
  for (int round = 0; round < 3; ++round) {
    Event awaited;
    Begin(&events, &awaited);
    events.ServeUntil([&] { return awaited.handled.load(); }, kPatience);
    REQUIRE(awaited.handled);
    Event meanwhile;
    events.Poll();
    Begin(&events, &meanwhile);
    REQUIRE(IsHandled(meanwhile));
  }
}

TEST_CASE("a wait ends with its time") {
  EventQueue events(Handle);
  events.ServeUntil([] { return false; }, absl::Milliseconds(5));
  events.ServeUntil([] { return false; }, absl::ZeroDuration());
}

TEST_CASE("while nobody waits the queue's own thread handles events, and is relieved by who waits next") {
  EventQueue events(Handle);
  for (int round = 0; round < 50; ++round) {
    Event meanwhile;
    events.Poll();
    Begin(&events, &meanwhile);
    REQUIRE(IsHandled(meanwhile));
    REQUIRE(meanwhile.handler.load() != std::this_thread::get_id());
    // The thread is in the queue now, and must not take what this one waits for.
    Event awaited;
    events.ServeUntil([&] { return true; }, kPatience);
    Begin(&events, &awaited);
    events.ServeUntil([&] { return awaited.handled.load(); }, kPatience);
    REQUIRE(awaited.handler.load() == std::this_thread::get_id());
  }
}

TEST_CASE("events that come when nobody has waited for long are handled, too") {
  EventQueue events(Handle);
  Event event;
  Begin(&events, &event);
  REQUIRE(IsHandled(event));
}

}  // namespace
}  // namespace samovar
