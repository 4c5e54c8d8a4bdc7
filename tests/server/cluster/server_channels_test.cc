#include "server/cluster/server_channels.h"

#include "tests/support/catch.h"

namespace samovar {
namespace {

TEST_CASE("a server's channel is kept, and dialled anew after it was dropped") {
  ServerChannels channels{Dialer(RpcOptions())};
  const ServerChannels::Channel first = channels.To("127.0.0.1:1");
  CHECK_FALSE(first.kept);
  const ServerChannels::Channel again = channels.To("127.0.0.1:1");
  CHECK(again.kept);
  CHECK(again.stub == first.stub);
  channels.Drop("127.0.0.1:1", again);
  CHECK(channels.size() == 0);
  const ServerChannels::Channel anew = channels.To("127.0.0.1:1");
  CHECK_FALSE(anew.kept);
  CHECK(anew.stub != first.stub);
}

TEST_CASE("a call that failed on a channel of long ago does not drop the one that has replaced it") {
  ServerChannels channels{Dialer(RpcOptions())};
  const ServerChannels::Channel old = channels.To("127.0.0.1:1");
  channels.Drop("127.0.0.1:1", old);
  const ServerChannels::Channel now = channels.To("127.0.0.1:1");
  channels.Drop("127.0.0.1:1", old);
  CHECK(channels.To("127.0.0.1:1").stub == now.stub);
}

TEST_CASE("of more channels than the bound the one that was used longest ago goes") {
  ServerChannels channels(Dialer(RpcOptions()), 2);
  channels.To("127.0.0.1:1");
  channels.To("127.0.0.1:2");
  channels.To("127.0.0.1:1");
  channels.To("127.0.0.1:3");
  CHECK(channels.size() == 2);
  CHECK(channels.To("127.0.0.1:1").kept);
  CHECK(channels.To("127.0.0.1:3").kept);
  CHECK_FALSE(channels.To("127.0.0.1:2").kept);
}

}  // namespace
}  // namespace samovar
