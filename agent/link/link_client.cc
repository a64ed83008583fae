#include "agent/link/link_client.h"

#include "agent/link/link_thread.h"

namespace appsup::agent {

LinkClient::LinkClient(LinkOptions options, Clock& clock, Random& random, Sink sink)
    : impl_(std::make_shared<LinkThread>(std::move(options), clock, random, std::move(sink))) {}

LinkClient::~LinkClient() { Stop(); }

void LinkClient::Start() { impl_->Start(); }

void LinkClient::Send(uint64_t connection,
                      std::shared_ptr<const appsupervisor::v1::ConnectRequest> message) {
  impl_->Send(connection, *message);
}

void LinkClient::Close(uint64_t connection, const std::string& reason) {
  impl_->Close(connection, reason);
}

void LinkClient::Reconnect() { impl_->Reconnect(); }

void LinkClient::Stop() { impl_->Stop(); }

}  // namespace appsup::agent
