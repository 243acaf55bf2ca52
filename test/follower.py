"""A pytest plugin: every node that a test starts is a follower, and beside it stands its leader (docs/leaders.md).

    PYTHONPATH=test HA_BINARY=$PWD/build/test/ha /usr/bin/python3 -m pytest -p follower test/wire/pg_psql_test.py

What such a test asks of a node is then written by another one. Tests that start several nodes, count the nodes of a
cluster, name a file by its whole path, or look at who has written, are not for this.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "cluster"))

import ha  # noqa: E402

OWN = {"--pg-port", "--mysql-port", "--create-db-dir"}  # flags of a node's own, with their values
start_one = ha.Node.start


def leader_of(node):
    args, rest = [], iter(node.args)
    for a in rest:
        if a in OWN:
            next(rest)
        else:
            args.append(a)
    directory = node.directory + "-leader"
    if "--create-db-dir" in node.args:
        args += ["--create-db-dir", directory]
    return ha.Node(node.name + "-leader", directory, files=node.files, args=args, url=node.join or node.nats_url, nats_port=0,
                   token=node.token, memory=node.memory, consistency=node.consistency)


def start(node, wait=True):
    has_log = node.nats_port or node.join is not None
    if hasattr(node, "leads") or not has_log or any("leader" in a for a in node.args):
        return start_one(node, wait)
    if not hasattr(node, "leader"):
        node.leader = leader_of(node)
        node.leader.leads = True
        node.args += ["--leader-static", f"127.0.0.1:{node.leader.port}", "--grpc-insecure"]
        start_one(node, wait=False)
        start_one(node.leader)
        for c in ha.Cluster.live:
            if node in c.processes:
                c.processes.append(node.leader)
    else:
        start_one(node, wait=False)
    if wait:
        node.wait_ready()
    return node


ha.Node.start = start
