#pragma once

#include <string>

#include "appsupervisor/store/v1/record.pb.h"

// What can be concluded from one instance's record. Pure.
namespace appsup::entry {

// The agent has answered the newest statement about it.
bool HasReported(const appsupervisor::store::v1::InstanceRecord& record);

// It has no process, and the agent will not start one without a new statement.
bool HasEnded(const appsupervisor::store::v1::InstanceRecord& record);

// To be removed, whether it is gone already or not.
bool IsLeaving(const appsupervisor::store::v1::InstanceRecord& record);

// The agent holds nothing of it any more but data.
bool IsGone(const appsupervisor::store::v1::InstanceRecord& record);

// Should run, does, passes its check, and its node answers.
bool IsServing(const appsupervisor::store::v1::InstanceRecord& record);

// Should run, and has done all that it had to: it ended well and its policy asks for no more.
// `spec` holds the fields of its revision.
bool HasCompleted(const appsupervisor::store::v1::InstanceRecord& record,
                  const appsupervisor::v1::AppSpec& spec);

// Should run, but ended or could not start, and is not tried again by itself.
bool HasGivenUp(const appsupervisor::store::v1::InstanceRecord& record,
                const appsupervisor::v1::AppSpec& spec);

// It ended as often as makes a crash loop.
bool IsCrashLooping(const appsupervisor::store::v1::InstanceRecord& record,
                    const appsupervisor::v1::AppSpec& spec);

// A slot of an app with this spec is bound to the node where its data is.
bool KeepsNodeData(const appsupervisor::v1::AppSpec& spec);

// Its end was not what anybody wanted.
bool IsBadExit(const appsupervisor::v1::Exit& exit);

// "exited with code 1", "was ended by signal 9 for want of memory".
std::string DescribeExit(const appsupervisor::v1::Exit& exit);

// Why it is not ready, as the end of a sentence: "web-eu-0-abcde on n1 is backing off: exited …".
std::string DescribeTrouble(const appsupervisor::store::v1::InstanceRecord& record);

}  // namespace appsup::entry
