#!/usr/bin/env python3
"""A Go client generated from proto/ does an operator's work."""
import pathlib
import shutil
import unittest

from sdk_story import PROTO, TOOLS, SdkStory, digest, protos, run

# The newest that Debian 12's Go 1.19 can build.
PLUGINS = ["google.golang.org/protobuf/cmd/protoc-gen-go@v1.31.0", "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.3.0"]
MODULE = """module client

go 1.19

require (
	google.golang.org/genproto/googleapis/rpc v0.0.0-20230822172742-b8732ec3820d
	google.golang.org/grpc v1.58.3
	google.golang.org/protobuf v1.31.0
)
"""
RPC = "google.golang.org/genproto/googleapis/rpc"
# The protos name no Go package: which one they are is the affair of who generates.
MAPPING = {**{name: "client/appsupervisor/v1" for name in protos()},
           "google/rpc/status.proto": f"{RPC}/status", "google/rpc/error_details.proto": f"{RPC}/errdetails"}
CLIENT = pathlib.Path(__file__).with_name("sdk") / "client.go"


def plugins():
    """Folder with the generators, kept below build/tools."""
    folder = TOOLS / "go" / ("plugins-" + digest(*PLUGINS))
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for plugin in PLUGINS:
            run(["go", "install", plugin], cwd=folder, GOBIN=str(folder))
        (folder / "complete").touch()
    return folder


def generate(folder):
    made_by = plugins()
    command = ["protoc", f"-I{PROTO}"]
    for name in ("go", "go-grpc"):
        command += [f"--plugin=protoc-gen-{name}={made_by}/protoc-gen-{name}", f"--{name}_out={folder}",
                    f"--{name}_opt=module=client"]
        command += [f"--{name}_opt=M{proto}={package}" for proto, package in MAPPING.items()]
    run([*command, *protos()])


def build():
    """The client program; made anew only when the protos, the program or a version changed."""
    folder = TOOLS / "go" / ("client-" + digest(MODULE, CLIENT, *PLUGINS, *(PROTO / name for name in protos())))
    program = folder / "client"
    if not program.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "go.mod").write_text(MODULE)
        shutil.copy(CLIENT, folder / "main.go")
        generate(folder)
        # Debian's Go knows no toolchain switch; a newer one must not fetch another.
        run(["go", "build", "-mod=mod", "-o", program, "."], cwd=folder, GOTOOLCHAIN="local")
    return program


class GoSdk(SdkStory, unittest.TestCase):
    @classmethod
    def client(cls):
        return [build()]


if __name__ == "__main__":
    unittest.main()
