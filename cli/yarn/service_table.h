// A YARN service as a table for people. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "cli/yarn/resource_manager.h"
#include "google/protobuf/struct.pb.h"

namespace samovar {

// A service as YARN describes it, and its containers. Ends with a newline.
std::string ServiceTable(const google::protobuf::Struct& description, const std::vector<YarnContainer>& containers);

// Whether an instance, "worker-3", is that of `wanted`, or of the component of this name; of an empty one all are.
bool IsInstanceOf(const std::string& instance, const std::string& wanted);

// How many containers of a component the service is to have; -1: it has no such component.
int WantedContainers(const google::protobuf::Struct& description, const std::string& component);

}  // namespace samovar
