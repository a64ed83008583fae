"""Uses the API through generated Python code and prints what it saw; tests/e2e/sdk_story.py judges."""
import json
import pathlib
import sys

import grpc
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2, status_pb2

from appsupervisor.v1 import app_pb2, app_service_pb2, app_service_pb2_grpc
from appsupervisor.v1 import event_service_pb2, event_service_pb2_grpc
from appsupervisor.v1 import operation_service_pb2, operation_service_pb2_grpc

DEADLINE = 60


def details_of(error):
    """ErrorInfo and BadRequest of a failed call."""
    trailers = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info) or detail.Unpack(bad)
    return info, bad


class Client:
    def __init__(self, address, token):
        channel = grpc.insecure_channel(address)
        self.apps = app_service_pb2_grpc.AppServiceStub(channel)
        self.events = event_service_pb2_grpc.EventServiceStub(channel)
        self.operations = operation_service_pb2_grpc.OperationServiceStub(channel)
        self.options = {"metadata": [("authorization", "Bearer " + token)], "timeout": DEADLINE}

    def wait(self, operation):
        return self.operations.WaitOperation(operation_service_pb2.WaitOperationRequest(
            name=operation.name, timeout=duration_pb2.Duration(seconds=DEADLINE - 5)), **self.options)

    def create(self, app_id, spec):
        return self.apps.CreateApp(app_service_pb2.CreateAppRequest(
            parent="projects/default", app_id=app_id, app=app_pb2.App(spec=spec)), **self.options)

    def watch(self):
        return self.events.WatchEvents(event_service_pb2.WatchEventsRequest(
            parent="projects/default", kinds=["App"]), **self.options)

    def story(self, app_id, program):
        seen = {}
        watch = self.watch()
        events = [event_service_pb2.EventType.Name(next(watch).type)]
        operation = self.create(app_id, app_pb2.AppSpec(
            runtime=app_pb2.Runtime(process=app_pb2.ProcessRuntime(command=["python3", "-c", program])),
            ports=[app_pb2.Port(name="http")]))
        seen["operation"] = operation.name
        done, app = self.wait(operation), app_pb2.App()
        done.response.Unpack(app)
        seen["wait"] = {"done": done.done, "error": done.error.code, "app": app.name,
                        "state": app_pb2.AppState.Name(app.status.state)}
        for event in watch:
            events.append(event_service_pb2.EventType.Name(event.type))
            event.resource.Unpack(app)
            if app.status.state == app_pb2.APP_STATE_RUNNING:
                break
        seen["events"], seen["watched_state"] = events, app_pb2.AppState.Name(app.status.state)
        try:
            self.create("Not A Name", app_pb2.AppSpec(replicas=-1))
        except grpc.RpcError as error:
            info, bad = details_of(error)
            seen["bad_request"] = {"code": error.code().value[0], "domain": info.domain, "reason": info.reason,
                                   "fields": [violation.field for violation in bad.field_violations]}
        name = "projects/default/apps/" + app_id
        gone = self.wait(self.apps.DeleteApp(app_service_pb2.DeleteAppRequest(name=name, purge=True), **self.options))
        seen["deleted"] = {"done": gone.done, "error": gone.error.code}
        try:
            self.apps.GetApp(app_service_pb2.GetAppRequest(name=name), **self.options)
        except grpc.RpcError as error:
            seen["after"] = {"code": error.code().value[0], "reason": details_of(error)[0].reason}
        return seen


address, token_file, app_id, program = sys.argv[1:]
print(json.dumps(Client(address, pathlib.Path(token_file).read_text().strip()).story(app_id, program)))
