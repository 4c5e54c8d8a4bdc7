// FluidSimulation is a discrete-event simulation of activities that share resources: links, processors, threads.
//
// An activity has an amount of work, and for each unit of it uses so much of some resources at the same time: a byte
// that is sent uses a byte of the sender's link, one of the receiver's, and processor time of both. All activities go
// on side by side; rates are weighted max-min fair: each activity's rate grows in proportion to its share until a
// resource that it uses is full or its own limit is reached. An event is the end of an activity or of a delay; between
// two events rates are constant.
//
// Thread safety: none. Deterministic: what ends at the same moment ends in the order of beginning.
// Invariant: at each moment the rates times uses of all activities add up to no more than each resource's capacity.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

namespace samovar {

class FluidSimulation {
 public:
  using Done = std::function<void()>;

  struct Use {
    int resource;
    // Units of the resource's capacity that a unit of work a second takes.
    double per_unit;
  };

  struct Activity {
    // Units of work; 0 ends at once.
    double amount = 0;
    // Units a second that it makes at most.
    double limit = 0;
    // Units a second for each part of a resource that is shared out.
    double share = 1;
    std::vector<Use> uses;
  };

  // `capacity`: units of use a second, above 0. Returns the resource's number.
  int AddResource(double capacity);

  // REQUIRES: limit > 0, share > 0
  void Start(Activity activity, Done done);
  void After(double seconds, Done done);

  // Goes on to the next event. False: there is none.
  bool Step();

  double now() const { return now_; }
  // Units of use that have passed through so far: capacity times now() at most.
  double Passed(int resource) const { return resources_[static_cast<size_t>(resource)].passed; }
  double Capacity(int resource) const { return resources_[static_cast<size_t>(resource)].capacity; }

 private:
  struct Resource {
    double capacity;
    double passed = 0;
    // In ShareOut: what is not taken yet, and what the activities whose rates are open take of it together at level 1.
    double left = 0;
    double open = 0;
  };
  struct Running {
    Activity activity;
    Done done;
    double rate = 0;
    bool open = false;
  };
  struct Timer {
    double time;
    uint64_t number;
    Done done;
    bool operator>(const Timer& other) const { return time != other.time ? time > other.time : number > other.number; }
  };

  void ShareOut();
  double LowestLevel() const;
  void Close(Running* running, double rate);
  void Advance(double seconds);

  double now_ = 0;
  uint64_t timers_begun_ = 0;
  bool changed_ = false;
  std::vector<Resource> resources_;
  std::vector<Running> running_;
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
};

}  // namespace samovar
