"""Is a history one that the cluster may have given? Each function answers its findings, a line each; none = it may.

What is promised (docs/reliability.md), and so all that is demanded here, of serializable mode:
  - transactions happen one at a time, in the order of the log (serializable);
  - one that writes comes behind every one that was acknowledged before it began, through whatever node (strict writes);
  - a transaction that only reads sees a prefix of that order, which may be old, but at one node never goes back,
    and holds what the same client has written there (but for Op.late), and at least what
    HA-Position says.

Graphs are searched as Elle does (Kingsbury, Alvaro: "Elle: inferring isolation anomalies", VLDB 2020): the values of
lists and registers give away the order of the versions, versions give the dependencies, a cycle of dependencies
proves that no order exists. All values that are written are different.
"""

from collections import Counter as Tally
from collections import defaultdict

SHOWN = 5  # findings of one kind


def shown(found):
    """Not more than SHOWN of each kind (the text before the first colon)."""
    by_kind, out = Tally(), []
    for line in found:
        kind = line.split(":")[0]
        by_kind[kind] += 1
        if by_kind[kind] <= SHOWN:
            out.append(line)
    return out + [f"{kind}: … and {n - SHOWN} more" for kind, n in by_kind.items() if n > SHOWN]


# ---- order -----------------------------------------------------------------------------------------------------


def real_time_edges(ops):
    """Pairs (a, b): a returned before b was invoked, without those that follow from others."""
    events = [(o.invoked, 0, i) for i, o in enumerate(ops)]
    events += [(o.returned, 1, i) for i, o in enumerate(ops) if o.ok]
    frontier, edges, seen_at_invoke = set(), [], {}
    for _, is_return, i in sorted(events):
        if not is_return:
            seen_at_invoke[i] = set(frontier)
            edges += [(ops[j], ops[i]) for j in frontier]
        else:
            # Whoever was complete before this began is reached through it from now on.
            frontier -= seen_at_invoke[i]
            frontier.add(i)
    return edges


def process_edges(ops):
    """Pairs (a, b): the same client's, at the same node, one after the other."""
    last, edges = {}, []
    for o in sorted(ops, key=lambda o: o.invoked):
        key = (o.process, o.node)
        if key in last:
            edges.append((last[key], o))
        if o.ok and not o.late:
            last[key] = o
    return edges


class Graph:
    def __init__(self):
        self.edges = defaultdict(dict)  # op: {op: why}

    def add(self, a, b, why):
        if a is not b:
            self.edges[a].setdefault(b, why)

    def cycles(self):
        """One shortest cycle of each strongly connected component, as [(op, why it comes before the next), …]."""
        return [self._cycle_in(c) for c in self._components() if len(c) > 1]

    def _components(self):
        index, low, on_stack, stack, out = {}, {}, set(), [], []
        for root in list(self.edges):
            if root in index:
                continue
            work = [(root, iter(self.edges[root]))]
            index[root] = low[root] = len(index)
            stack.append(root)
            on_stack.add(root)
            while work:
                v, successors = work[-1]
                for w in successors:
                    if w not in index:
                        index[w] = low[w] = len(index)
                        stack.append(w)
                        on_stack.add(w)
                        work.append((w, iter(self.edges.get(w, ()))))
                        break
                    if w in on_stack:
                        low[v] = min(low[v], index[w])
                else:
                    work.pop()
                    if work:
                        low[work[-1][0]] = min(low[work[-1][0]], low[v])
                    if low[v] == index[v]:
                        component = set()
                        while True:
                            w = stack.pop()
                            on_stack.discard(w)
                            component.add(w)
                            if w is v:
                                break
                        out.append(component)
        return out

    def _cycle_in(self, component):
        best = None
        for start in list(component)[:50]:
            parent, queue = {start: None}, [start]
            found = None
            while queue and found is None:
                following = []
                for v in queue:
                    for w in self.edges.get(v, ()):
                        if w is start:
                            found = v
                            break
                        if w in component and w not in parent:
                            parent[w] = v
                            following.append(w)
                    if found is not None:
                        break
                queue = following
            if found is None:
                continue
            path = [found]
            while parent[path[-1]] is not None:
                path.append(parent[path[-1]])
            path.reverse()
            if best is None or len(path) < len(best):
                best = path
        return [(v, self.edges[v][best[(i + 1) % len(best)]]) for i, v in enumerate(best)]

    def findings(self):
        return ["cycle: " + " → ".join(f"{op!r} -{why}" for op, why in c) for c in self.cycles()]


def add_promised_order(graph, writers, everybody):
    for a, b in real_time_edges(writers):
        graph.add(a, b, "real time")
    for a, b in process_edges(everybody):
        graph.add(a, b, "same client and node")


def check_log_order(ops):
    """HA-Seq: an acknowledged write stands in the log behind all that were acknowledged before it began."""
    writes = [o for o in ops if o.ok and o.seq]
    return shown([f"log order: {a!r} returned before {b!r} began" for a, b in real_time_edges(writes) if a.seq > b.seq])


# ---- lists -----------------------------------------------------------------------------------------------------


def check_append(ops, finals):
    """ops: transactions whose value is [["append", k, v] | ["r", k, None], …], and whose result is the same with the
    lists that were read. finals: {node: {k: list}} at the end, of nodes that hold the whole log."""
    found = []
    writer = {}  # (k, v): op
    for o in ops:
        for f, k, v in o.value:
            if f == "append":
                writer[k, v] = o
    reads = [(o, k, v) for o in ops if o.ok for f, k, v in o.result if f == "r"]
    found += _internal(ops)

    # The order of the versions: the longest list, of which all others must be prefixes.
    order = defaultdict(list)
    for _, k, v in reads:
        if len(v) > len(order[k]):
            order[k] = v
    for lists in finals.values():
        for k, v in lists.items():
            if len(v) > len(order[k]):
                order[k] = v
    for who, k, v in reads + [(f"the end at {n}", k, v) for n, lists in finals.items() for k, v in lists.items()]:
        if v != order[k][: len(v)]:
            found.append(f"incompatible order: list {k} is {v[-8:]} for {who!r}, elsewhere {order[k][:len(v)][-8:]}")
    for k, v in order.items():
        found += [f"duplicate: {x} stands {n} times in list {k}" for x, n in Tally(v).items() if n > 1]
        for x in v:
            if (k, x) not in writer:
                found.append(f"invented: {x} in list {k}")
            elif not writer[k, x].may_have_happened:
                found.append(f"aborted but there: {x} in list {k}, {writer[k, x]!r}")
    for node, lists in finals.items():
        for (k, v), o in writer.items():
            if o.ok and v not in lists.get(k, []):
                found.append(f"lost: {v} is not in list {k} at {node}, {o!r}")

    graph = Graph()
    for k, versions in order.items():
        for x, y in zip(versions, versions[1:]):
            if (k, x) in writer and (k, y) in writer:
                graph.add(writer[k, x], writer[k, y], f"appended {x} before {y} to {k}")
    for o, k, v in reads:
        own = {x for f, kk, x in o.value if f == "append" and kk == k}
        seen = [x for x in v if x not in own]
        if seen and (k, seen[-1]) in writer:
            graph.add(writer[k, seen[-1]], o, f"wrote {seen[-1]} of {k}, which the next one read")
        if len(v) < len(order[k]) and (k, order[k][len(v)]) in writer:
            graph.add(o, writer[k, order[k][len(v)]], f"read {k} without {order[k][len(v)]}, which the next one wrote")
    observed = {id(writer[k, x]) for k, versions in order.items() for x in versions if (k, x) in writer}
    writers = [o for o in ops if any(f == "append" for f, _, _ in o.value) and (o.ok or id(o) in observed)]
    add_promised_order(graph, writers, [o for o in ops if o.ok or id(o) in observed])
    found += graph.findings()

    seqs = {(k, v): o.seq for (k, v), o in writer.items() if o.ok and o.seq}
    for o, k, v in reads:
        if not o.position:
            continue
        have = set(v)
        missing = [x for x in order[k] if x not in have and seqs.get((k, x), o.position + 1) <= o.position]
        if missing:
            found.append(f"older than HA-Position: list {k} lacks {missing[:3]} in {o!r}")
    return shown(found)


def _internal(ops):
    """A transaction sees its own appends, and one list for all its reads."""
    found = []
    for o in ops:
        if not o.ok:
            continue
        expected = {}  # k: list as this transaction knows it
        appended = defaultdict(list)
        for f, k, v in o.result:
            if f == "append":
                appended[k].append(v)
                if k in expected:
                    expected[k] = expected[k] + [v]
            else:
                if k in expected and v != expected[k]:
                    found.append(f"internal: list {k} changed inside {o!r}")
                if appended[k] and v[-len(appended[k]):] != appended[k]:
                    found.append(f"internal: list {k} lacks the transaction's own appends in {o!r}")
                expected[k] = v
    return found


# ---- registers -------------------------------------------------------------------------------------------------


def check_register(ops, finals, initial=0):
    """ops: "read" k (the result is the value), "cas" (k, old, new) (the result is whether it did). Every new value is
    written once, so what succeeded must be one chain from the initial value. finals: {node: {k: value}}."""
    found, effective = [], []
    graph = Graph()
    for k in {o.value if o.f == "read" else o.value[0] for o in ops}:
        mine = [o for o in ops if (o.value if o.f == "read" else o.value[0]) == k]
        swaps = {o.value[2]: o for o in mine if o.f == "cas"}
        did = [o for o in mine if o.f == "cas" and o.ok and o.result]
        # Backwards from what is there at the end, through writes of known or unknown outcome.
        ends = {lists.get(k, initial) for lists in finals.values()}
        if len(ends) != 1:
            found.append(f"different ends: register {k} is {sorted(ends)}")
            continue
        chain, at = [], ends.pop()
        while at != initial and len(chain) <= len(swaps):
            o = swaps.get(at)
            if o is None:
                found.append(f"invented: {at} in register {k}")
                break
            if o.failed or (o.ok and not o.result):
                found.append(f"failed but there: {at} in register {k}, {o!r}")
            chain.append(o)
            at = o.value[1]
        chain.reverse()
        effective += chain
        place = {initial: 0}
        place.update({o.value[2]: i + 1 for i, o in enumerate(chain)})
        for o in did:
            if o.value[2] not in place or chain[place[o.value[2]] - 1] is not o:
                found.append(f"lost: {o!r} is not among the versions of register {k}")
        for a, b in zip(chain, chain[1:]):
            graph.add(a, b, f"set {k} to {a.value[2]}, from which the next one set it")
        for o in mine:
            if o.f != "read" or not o.ok:
                continue
            if o.result not in place:
                found.append(f"read of nothing: {o!r}")
                continue
            at = place[o.result]
            if at > 0:
                graph.add(chain[at - 1], o, f"set {k} to {o.result}, which the next one read")
            if at < len(chain):
                graph.add(o, chain[at], f"read {k} before the next one set it")
            if o.position:
                later = [c for c in chain[at:] if c.ok and c.seq and c.seq <= o.position]
                if later:
                    found.append(f"older than HA-Position: {o!r} lacks {later[0]!r}")
    add_promised_order(graph, effective, effective + [o for o in ops if o.f == "read" and o.ok])
    return shown(found + graph.findings())


# ---- sets, sums, counters --------------------------------------------------------------------------------------


def check_set(ops, finals):
    """ops: "add" (the value is a list of ids that are added together), "read" (the result is a list of ids).
    finals: {node: list}."""
    found = []
    add_of = {i: o for o in ops if o.f == "add" for i in o.value}
    for node, ids in finals.items():
        count = Tally(ids)
        found += [f"duplicate: {i} is there {n} times at {node}" for i, n in count.items() if n > 1]
        found += [f"invented: {i} at {node}" for i in count if i not in add_of]
        for o in ops:
            if o.f != "add":
                continue
            there = [i in count for i in o.value]
            if o.ok and not all(there):
                found.append(f"lost: at {node}, {o!r}")
            elif not o.may_have_happened and any(there):
                found.append(f"failed but there: at {node}, {o!r}")
            elif any(there) and not all(there):
                found.append(f"half a transaction: at {node}, {o!r}")
    # At one node a set only grows, and a client finds its own additions.
    added, grown = defaultdict(set), {}
    for o in sorted((o for o in ops if o.ok), key=lambda o: o.returned):
        key = (o.process, o.node)
        if o.f == "add":
            added[key] |= set() if o.late else set(o.value)
            continue
        have = set(o.result)
        found += [f"duplicate: in {o!r}"] if len(have) != len(o.result) else []
        for what, before in (("own additions", added[key]), ("earlier ones", grown.get(key, set()))):
            if before - have:
                found.append(f"went back: {o.process} at {o.node} misses {sorted(before - have)[:5]} of {what}")
        strange = [i for i in have if i not in add_of or not add_of[i].may_have_happened]
        if strange:
            found.append(f"read of nothing: {strange[:5]} by {o.process} at {o.node}")
        if o.position:
            late = [i for i, a in add_of.items() if a.ok and a.seq and a.seq <= o.position and i not in have]
            if late:
                found.append(f"older than HA-Position: {o.process} at {o.node} lacks {late[:5]} at {o.position}")
        grown[key] = have
    return shown(found)


def check_bank(ops, finals, accounts, total):
    """ops: "transfer" (from, to, amount), "read" (the result is {account: balance}). Money is neither made nor lost, in
    no read of any node, and at the end every balance is explained by the transfers that (may) have happened."""
    found = []
    reads = [(repr(o), o.result) for o in ops if o.f == "read" and o.ok] + [(f"the end at {n}", b) for n, b in finals.items()]
    for who, balances in reads:
        if len(balances) != accounts or sum(balances.values()) != total:
            found.append(f"wrong sum: {sum(balances.values())} of {total} in {len(balances)} accounts: {who}")
        if any(b < 0 for b in balances.values()):
            found.append(f"overdrawn: {who}")
    known, unknown = defaultdict(int), defaultdict(lambda: [0, 0])
    for o in ops:
        if o.f != "transfer" or not o.may_have_happened or (o.ok and not o.result):
            continue
        source, target, amount = o.value
        if o.ok:
            known[source] -= amount
            known[target] += amount
        else:
            unknown[source][0] -= amount
            unknown[target][1] += amount
    for node, balances in finals.items():
        for a, b in balances.items():
            low, high = (total // accounts + known[a] + u for u in unknown[a])
            if not low <= b <= high:
                found.append(f"lost or invented transfers: account {a} at {node} has {b}, not {low}..{high}")
    return shown(found)


def check_counter(ops, finals):
    """ops: "add" n (n > 0), "read" (the result is the count)."""
    found = []
    low = sum(o.value for o in ops if o.f == "add" and o.ok)
    high = sum(o.value for o in ops if o.f == "add" and o.may_have_happened)
    for node, n in finals.items():
        if not low <= n <= high:
            found.append(f"lost or invented: the counter at {node} is {n}, not {low}..{high}")
    own, last = defaultdict(int), {}
    done = sorted((o for o in ops if o.f == "add" and o.may_have_happened), key=lambda o: o.invoked)
    reads = sorted((o for o in ops if o.f == "read" and o.ok), key=lambda o: o.returned)
    begun = at = 0
    for o in reads:
        while at < len(done) and done[at].invoked < o.returned:
            begun += done[at].value
            at += 1
        if o.result > begun:
            found.append(f"invented: {o!r}, but only {begun} were added until then")
    for o in sorted((o for o in ops if o.ok), key=lambda o: o.returned):
        key = (o.process, o.node)
        if o.f == "add":
            own[key] += 0 if o.late else o.value
            continue
        if o.result < own[key]:
            found.append(f"went back: {o!r} is less than the client's own {own[key]}")
        if o.result < last.get(key, 0):
            found.append(f"went back: {o!r} behind a read of {last[key]}")
        last[key] = o.result
    return shown(found)


# ---- last writer wins ------------------------------------------------------------------------------------------


def check_last_writer(ops, finals, same_node=False):
    """lww: ops are "write" (k, v). What stands at the end was written, and by nobody that another's acknowledged write
    followed in time (same_node: that one of his own followed). finals: {node: {k: v}}."""
    found = []
    writes = defaultdict(dict)
    for o in ops:
        writes[o.value[0]][o.value[1]] = o
    for node, values in finals.items():
        for k, mine in writes.items():
            if k not in values:
                if any(o.ok for o in mine.values()):
                    found.append(f"lost: nothing in {k} at {node}")
                continue
            last = mine.get(values[k])
            if last is None:
                found.append(f"invented: {values[k]} in {k} at {node}")
            elif not last.may_have_happened:
                found.append(f"failed but there: at {node}, {last!r}")
            elif last.ok:
                # One of unknown outcome may have happened at any time after it began.
                found += [f"overwritten by an older one: {k} at {node} is {last!r}, after which came {o!r}"
                          for o in mine.values()
                          if o.ok and last.before(o) and (o.node == last.node or not same_node)][:1]
    return shown(found)


def check_equal(finals):
    """Every node gives the same at the end."""
    nodes = list(finals)
    return [f"different ends: {n} and {nodes[0]}" for n in nodes[1:] if finals[n] != finals[nodes[0]]]
