// Uses the API through generated Go code and prints what it saw; tests/e2e/sdk_story.py judges.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	api "client/appsupervisor/v1"
)

type object = map[string]any

const deadline = 60 * time.Second

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// errorOf decodes what came with a failed call.
func errorOf(err error) (code int, info *errdetails.ErrorInfo, fields []string) {
	info = &errdetails.ErrorInfo{}
	state := status.Convert(err)
	for _, detail := range state.Details() {
		switch found := detail.(type) {
		case *errdetails.ErrorInfo:
			info = found
		case *errdetails.BadRequest:
			for _, violation := range found.FieldViolations {
				fields = append(fields, violation.Field)
			}
		}
	}
	return int(state.Code()), info, fields
}

type client struct {
	ctx        context.Context
	apps       api.AppServiceClient
	events     api.EventServiceClient
	operations api.OperationServiceClient
}

func (c *client) wait(operation *api.Operation) *api.Operation {
	done, err := c.operations.WaitOperation(c.ctx, &api.WaitOperationRequest{
		Name: operation.Name, Timeout: durationpb.New(deadline - 5*time.Second)})
	check(err)
	return done
}

func (c *client) create(id string, spec *api.AppSpec) (*api.Operation, error) {
	return c.apps.CreateApp(c.ctx, &api.CreateAppRequest{
		Parent: "projects/default", AppId: id, App: &api.App{Spec: spec}})
}

func (c *client) createAndWatch(id, program string, seen object) {
	watch, err := c.events.WatchEvents(c.ctx, &api.WatchEventsRequest{Parent: "projects/default", Kinds: []string{"App"}})
	check(err)
	first, err := watch.Recv()
	check(err)
	types := []string{first.Type.String()}
	operation, err := c.create(id, &api.AppSpec{
		Runtime: &api.Runtime{Kind: &api.Runtime_Process{
			Process: &api.ProcessRuntime{Command: []string{"python3", "-c", program}}}},
		Ports: []*api.Port{{Name: "http"}},
	})
	check(err)
	seen["operation"] = operation.Name
	done, app := c.wait(operation), &api.App{}
	if response := done.GetResponse(); response != nil {
		check(response.UnmarshalTo(app))
	}
	seen["wait"] = object{"done": done.Done, "error": done.GetError().GetCode(), "app": app.Name,
		"state": app.GetStatus().GetState().String()}
	app = &api.App{}
	for app.GetStatus().GetState() != api.AppState_APP_STATE_RUNNING {
		event, err := watch.Recv()
		check(err)
		types = append(types, event.Type.String())
		check(event.Resource.UnmarshalTo(app))
	}
	seen["events"], seen["watched_state"] = types, app.Status.State.String()
}

func (c *client) story(id, program string) object {
	seen := object{}
	c.createAndWatch(id, program, seen)
	_, err := c.create("Not A Name", &api.AppSpec{Replicas: proto.Int32(-1)})
	code, info, fields := errorOf(err)
	seen["bad_request"] = object{"code": code, "domain": info.Domain, "reason": info.Reason, "fields": fields}
	name := "projects/default/apps/" + id
	operation, err := c.apps.DeleteApp(c.ctx, &api.DeleteAppRequest{Name: name, Purge: true})
	check(err)
	gone := c.wait(operation)
	seen["deleted"] = object{"done": gone.Done, "error": gone.GetError().GetCode()}
	_, err = c.apps.GetApp(c.ctx, &api.GetAppRequest{Name: name})
	code, info, _ = errorOf(err)
	seen["after"] = object{"code": code, "reason": info.Reason}
	return seen
}

func main() {
	token, err := os.ReadFile(os.Args[2])
	check(err)
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+strings.TrimSpace(string(token)))
	connection, err := grpc.DialContext(ctx, os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(err)
	c := &client{ctx, api.NewAppServiceClient(connection), api.NewEventServiceClient(connection),
		api.NewOperationServiceClient(connection)}
	check(json.NewEncoder(os.Stdout).Encode(c.story(os.Args[3], os.Args[4])))
}
