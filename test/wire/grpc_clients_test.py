"""Clients in other languages: @grpc/grpc-js at the version of npm/package.json, and grpc-go."""

import os
import re
import shutil
import subprocess

import pytest

import ha
import rpc

CLIENTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clients")
NODE_MODULES = os.path.join(rpc.BUILD, "npm", "node_modules")
GO_CLIENT = os.path.join(rpc.BUILD, "go", "grpcclient")
CLIENT_S = 120
WELLKNOWN = "/usr/include"  # google/protobuf/any.proto: protoc has it there


def run(node, *argv, **env):
    p = subprocess.run(argv, env={**os.environ, "GRPC_TARGET": f"127.0.0.1:{node.port}", **env}, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=CLIENT_S * ha.SLOW, check=False)
    assert p.returncode == 0, f"{argv}: exit status {p.returncode}\n{p.stdout[-4000:]}\n{p.stderr[-4000:]}"
    return int(re.search(r"^passed (\d+)$", p.stdout, re.M).group(1))


def test_grpc_js(cluster):
    assert os.path.isdir(NODE_MODULES), f"{NODE_MODULES} is missing: `make node-clients`"
    passed = run(cluster.node(), "node", os.path.join(CLIENTS, "grpc_js.js"), NODE_PATH=NODE_MODULES,
                 PROTO=os.path.join(ha.ROOT, "proto"), PROTO_WELLKNOWN=WELLKNOWN)
    assert passed == 10


@pytest.mark.skipif(not shutil.which("go"), reason="no Go compiler here")
def test_grpc_go(cluster):
    assert os.path.exists(GO_CLIENT), f"{GO_CLIENT} is missing: `make go-clients`"
    assert run(cluster.node(), GO_CLIENT, DESCRIPTORS=rpc.DESCRIPTORS) == 152
