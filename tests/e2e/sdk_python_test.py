#!/usr/bin/env python3
"""A Python client generated from proto/ does an operator's work."""
import pathlib
import shutil
import sys
import unittest

from sdk_story import PROTO, TOOLS, SdkStory, digest, protos, run

PACKAGES = ["grpcio==1.66.2", "grpcio-tools==1.66.2", "googleapis-common-protos==1.66.0"]
CLIENT = pathlib.Path(__file__).with_name("sdk") / "client.py"


def environment():
    """A Python with the packages, kept below build/tools."""
    folder = TOOLS / "python" / ("sdk-" + digest(sys.version, *PACKAGES))
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        run([sys.executable, "-m", "venv", folder])
        run([folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:",
             *PACKAGES])
        (folder / "complete").touch()
    return folder / "bin/python"


def generated(python):
    """Folder with the client's code for these protos."""
    folder = TOOLS / "python" / ("generated-" + digest(*PACKAGES, *(PROTO / name for name in protos())))
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        run([python, "-m", "grpc_tools.protoc", f"-I{PROTO}", f"--python_out={folder}", f"--grpc_python_out={folder}",
             *protos()])
        (folder / "complete").touch()
    return folder


class PythonSdk(SdkStory, unittest.TestCase):
    @classmethod
    def client(cls):
        python = environment()
        return ["env", f"PYTHONPATH={generated(python)}", python, CLIENT]


if __name__ == "__main__":
    unittest.main()
