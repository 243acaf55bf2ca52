"""Random SQL: statements of every kind that replication promises, from a seed.

    world = World(); setup = world.setup(clients)        # statements to run once
    g = Generator(world, random.Random(seed), client=0)
    t = g.transaction()                                  # one Transaction
    outcome = t.run(node)                                # "committed" | "failed" | "unknown"

All clients share a World, which is what they believe the schema to be: it follows what was committed, so most
statements meet the tables that they expect, and some, because of the others, do not. Failing statements belong to the
workload. No statement's effect depends on anything but the database: no random(), no time, no order that is not
determined, so that the same transactions run in the same order on another database give the same.
"""

import json
import threading

from ha import ConnectionLost, HttpError, quoted
from sqlparts import COLUMN_NAMES, NAMES, STRICT_TYPES, TYPES, Column, Table, Values, literal, parameter, plain_text

COMMITTED, FAILED, UNKNOWN = "committed", "failed", "unknown"

MAX_TABLES = 14  # of those that come and go
MIN_TABLES = 7
MAX_COLUMNS = 9
TRIES = 40  # of a transaction that lost against others


# ---- the schema that is believed in ----------------------------------------------------------------------------


class World:
    def __init__(self, owner_of_virtual=None, ddl=True, analyze=True):
        self.lock = threading.Lock()
        self.tables = {}  # name: Table
        self.views = {}  # name: (table, columns)
        self.triggers = {}  # name: (table, event, other table or None)
        self.indexes = {}  # name: table
        self.serial = 0
        self.next_marker = 0
        self.statements = 0
        self.failures = {}  # SQLSTATE: count of statements
        self.owner_of_virtual = owner_of_virtual  # the only client that writes FTS and RTREE tables; None: all do
        self.ddl = ddl
        self.analyze = analyze  # samples of it hold rowids that no column shows

    def marker(self):
        with self.lock:
            self.next_marker += 1
            return self.next_marker

    def number(self):
        with self.lock:
            self.serial += 1
            return self.serial

    def count(self, n, sqlstate=None):
        with self.lock:
            self.statements += n
            if sqlstate:
                self.failures[sqlstate] = self.failures.get(sqlstate, 0) + 1

    def apply(self, effects):
        with self.lock:
            for f in effects:
                f(self)

    def setup(self, clients, rnd):
        """The tables that stay: markers, an audit for triggers, one of each kind, one of each client's own."""
        statements = ["CREATE TABLE markers (n INTEGER PRIMARY KEY AUTOINCREMENT, id INTEGER UNIQUE)",
                      "CREATE TABLE audit (n INTEGER PRIMARY KEY AUTOINCREMENT, tab TEXT, what TEXT, v)",
                      "CREATE TABLE parent (id INTEGER PRIMARY KEY, k TEXT UNIQUE, v)",
                      "CREATE TABLE child (id INTEGER PRIMARY KEY AUTOINCREMENT, p INTEGER REFERENCES parent(id)"
                      " ON DELETE CASCADE ON UPDATE CASCADE, pk TEXT REFERENCES parent(k) ON DELETE SET NULL ON UPDATE"
                      " CASCADE, v)",
                      "CREATE TABLE late (a INTEGER REFERENCES parent(id) DEFERRABLE INITIALLY DEFERRED, b)",
                      "INSERT INTO parent(id, k) VALUES (1, 'k1'), (2, 'k2'), (3, 'k3')",
                      "CREATE VIRTUAL TABLE docs USING fts5(title, body)",
                      "CREATE VIRTUAL TABLE spots USING rtree(id, x0, x1, y0, y1, +label)"]
        for c in range(clients):
            statements.append(f"CREATE TABLE own{c} (id INTEGER PRIMARY KEY AUTOINCREMENT, k TEXT UNIQUE, v, CHECK (v IS NOT 13))")
        g = Generator(self, rnd, 0)
        made = []
        for kind in Generator.KINDS:
            s = g.create_table(kind)
            made.append(s)
            self.apply(s.effects)
        return statements + [s.text for s in made]


# ---- statements ------------------------------------------------------------------------------------------------


class Statement:
    """Text with parameters, and what it changes in the World once it is committed."""

    def __init__(self, literals=True):
        self.parts, self.params, self.literals, self.effects = [], [], literals, []

    def add(self, *texts):
        self.parts.extend(texts)
        return self

    def value(self, v):
        if self.literals and not (isinstance(v, str) and not plain_text(v)):
            self.parts.append(literal(v))
        elif self.literals:
            self.parts.append(f"CAST({literal(v.encode())} AS TEXT)")
        else:
            self.parts.append("?")
            self.params.append(parameter(v))
        return self

    def effect(self, f):
        self.effects.append(f)
        return self

    @property
    def text(self):
        return "".join(self.parts)

    def json(self):
        return {"sql": self.text, "params": self.params} if self.params else {"sql": self.text}


class Transaction:
    """What one client does at once: a request, or several in an interactive transaction.

    form "array": one body of statements · "text": one text with BEGIN … COMMIT · "interactive": a request each ·
    "own": statements outside any transaction, on a table that nobody else writes; these have no marker.
    `results` is what the last run was answered.
    """

    def __init__(self, form, statements, marker=None, client=0):
        self.form, self.statements, self.marker, self.client = form, statements, marker, client
        self.results = None
        self.note = ""

    def body(self):
        if self.form == "array":
            return [s.json() for s in self.statements]
        if self.form == "own" and len(self.statements) == 1:
            return self.statements[0].json()
        return {"sql": "; ".join(s.text for s in self.statements)}

    def show(self):
        return json.dumps([self.form, [s.json() for s in self.statements]], ensure_ascii=False)

    def effects(self):
        """Of the statements that succeeded."""
        done = [True] * len(self.statements)
        if self.form == "interactive":
            done = [status < 400 for status, _ in self.results[1]]
        return [f for s, d in zip(self.statements, done) if d for f in s.effects]

    # -- running

    def _ask(self, node, path, body, headers=None):
        """(status, what there is to compare)."""
        r = node.http.request("POST", path, body, headers)
        if 200 <= r.status < 300:
            return r.status, json.loads(r.body) if r.body else None
        problem = json.loads(r.body)
        return r.status, {k: problem.get(k) for k in ("code", "sqlstate", "statement", "detail")}

    def _interactive(self, node):
        status, answer = self._ask(node, "/transactions", b"")
        if status != 201:
            return status, answer, []
        token = answer["transaction"]
        steps = []
        for s in self.statements:
            status, answer = self._ask(node, "/query", s.json(), {"HA-Transaction": token})
            steps.append((status, answer))
            if status >= 400 and (answer["code"] in ("CONFLICT", "TX_ABORTED", "TX_IDLE", "NOT_FOUND") or status == 503):
                node.http.request("POST", f"/transactions/{token}/rollback", b"")
                return status, answer, steps
        status, answer = self._ask(node, f"/transactions/{token}/commit", b"")
        if status >= 400:
            node.http.request("POST", f"/transactions/{token}/rollback", b"")
        return status, answer if status >= 400 else None, steps

    def once(self, node):
        """(status, answer); self.results holds all that was answered."""
        if self.form == "interactive":
            status, answer, steps = self._interactive(node)
            self.results = [status, steps]
        else:
            status, answer = self._ask(node, "/query", self.body())
            self.results = [status, answer]
        return status, answer

    def run(self, node, world):
        """Runs it, again where it lost against another node."""
        for _ in range(TRIES):
            try:
                status, answer = self.once(node)
            except ConnectionLost as e:
                self.note = str(e)
                return UNKNOWN
            if status < 400:
                world.count(len(self.statements))
                world.apply(self.effects())
                return COMMITTED
            self.note = str(answer)
            if answer["code"] == "UNKNOWN_OUTCOME":
                return UNKNOWN
            if answer["sqlstate"] not in ("40001", "55P03"):
                break
        world.count(len(self.statements), answer["sqlstate"])
        if status >= 500:
            raise HttpError(node.name, status, {}, json.dumps(answer).encode())
        return FAILED


# ---- the generator ---------------------------------------------------------------------------------------------


class Generator:
    KINDS = ("plain", "intpk", "autoinc", "composite", "nullable", "without_rowid", "without_rowid2", "strict", "generated",
             "unique", "replace", "check", "desc")

    def __init__(self, world, rnd, client, literals=None):
        self.world, self.rnd, self.client = world, rnd, client
        self.values = Values(rnd)
        self.literals = literals

    # -- choosing

    def statement(self):
        literals = self.rnd.random() < 0.4 if self.literals is None else self.literals
        return Statement(literals)

    def may_write_virtual(self):
        return self.world.owner_of_virtual in (None, self.client)

    def table(self, *kinds):
        with self.world.lock:
            tables = [t for t in self.world.tables.values() if not kinds or t.kind in kinds]
        return self.rnd.choice(tables) if tables else None

    def free_name(self, taken):
        for _ in range(20):
            name = self.rnd.choice(NAMES)
            if self.rnd.random() < 0.5:
                name += str(self.rnd.randrange(9))
            if name.lower() not in {n.lower() for n in taken}:
                return name
        return f"n{self.world.number()}"

    # -- schema

    def columns(self, count, strict=False):
        names = self.rnd.sample(COLUMN_NAMES, count)
        return [Column(n, self.rnd.choice(STRICT_TYPES if strict else TYPES), strict=strict) for n in names]

    def default(self, column):
        r = self.rnd
        if r.random() < 0.7:
            return ""
        v = self.values.of(column)
        if v is None or (isinstance(v, str) and not plain_text(v)):
            return ""
        return f" DEFAULT ({literal(v)})" if r.random() < 0.5 else f" DEFAULT {literal(v)}" if not literal(v).startswith("(") else ""

    def create_table(self, kind=None):
        r = self.rnd
        kind = kind or r.choice(self.KINDS)
        with self.world.lock:
            name = self.free_name(self.world.tables)
        s = Statement()
        strict = kind == "strict"
        cols = self.columns(r.randint(2, 5), strict)
        defs, tail, options = [], [], []
        without = kind.startswith("without")
        if kind in ("intpk", "autoinc", "generated", "check", "strict", "desc"):
            key = Column("id", "INTEGER", pk=True, rowid=True, strict=strict)
            auto = " AUTOINCREMENT" if kind == "autoinc" else ""
            defs.append(f"id INTEGER PRIMARY KEY{auto}")
        else:
            key = None
        if kind in ("composite", "without_rowid2"):
            cols[0].pk = cols[1].pk = True
            for c in cols[:2]:
                c.notnull = without
                c.type = r.choice(["INTEGER", "TEXT", "BLOB", ""])
            tail.append(f"PRIMARY KEY ({cols[1].q}, {cols[0].q} {r.choice(['', 'DESC', 'COLLATE NOCASE'])})")
        if kind in ("nullable", "without_rowid"):
            cols[0].pk, cols[0].notnull = True, without
            cols[0].type = "TEXT" if kind == "nullable" else r.choice(["TEXT", "INT", "BLOB"])
            tail.append(f"PRIMARY KEY ({cols[0].q})")
        if kind == "unique":
            cols[0].unique = True
            tail.append(f"UNIQUE ({cols[0].q})")
            tail.append(f"UNIQUE ({cols[1].q}, {cols[0].q})")
        if kind == "replace":
            cols[0].unique = cols[1].unique = True
            tail.append(f"UNIQUE ({cols[0].q}) ON CONFLICT {r.choice(['REPLACE', 'IGNORE'])}")
            tail.append(f"UNIQUE ({cols[1].q}) ON CONFLICT {r.choice(['REPLACE', 'ABORT', 'ROLLBACK', 'FAIL'])}")
        if kind == "check":
            tail.append(f"CHECK ({cols[0].q} IS NOT 13 AND length({cols[1].q}) < 5000)")
        for c in cols:
            defs.append(f"{c.q} {c.type}{self.default(c)}{' NOT NULL' if c.notnull and not without else ''}")
        made = []
        if kind == "generated":
            for i, how in enumerate(r.sample(["VIRTUAL", "STORED", "VIRTUAL"], r.randint(1, 2))):
                g = Column(f"g{i}", "", generated=True)
                base = r.choice(cols)
                e = r.choice([f"{base.q} || '-'", f"length({base.q})", f"coalesce({base.q}, 0) + 1", f"typeof({base.q})"])
                defs.append(f"g{i} GENERATED ALWAYS AS ({e}) {how}")
                made.append(g)
        if without:
            options.append("WITHOUT ROWID")
        if strict:
            options.append("STRICT")
        s.add(r.choice(["CREATE TABLE ", "create  table ", "CREATE TABLE IF NOT EXISTS ", "/* new */ CREATE TABLE -- now\n"]),
              quoted(name), " (", ", ".join(defs + tail), ") ", ", ".join(options))
        t = Table(name, ([key] if key else []) + cols + made, kind, without)
        return s.effect(lambda w: w.tables.__setitem__(name, t))

    def create_as(self):
        t = self.table()
        with self.world.lock:
            name = self.free_name(self.world.tables)
        cols = self.rnd.sample(t.columns, min(len(t.columns), self.rnd.randint(1, 4)))
        names = [f"s{i}" for i in range(len(cols))]
        s = Statement().add("CREATE TABLE ", quoted(name), " AS SELECT ",
                            ", ".join(f"{c.q} AS {n}" for c, n in zip(cols, names)), f" FROM {t.q}",
                            " ORDER BY ", ", ".join(str(i + 1) for i in range(len(cols))), f" LIMIT {self.rnd.randint(0, 20)}")
        new = Table(name, [Column(n, "") for n in names], "plain")
        return [s.effect(lambda w: w.tables.__setitem__(name, new))]

    def drop_table(self):
        t = self.table()
        with self.world.lock:
            if len(self.world.tables) < MIN_TABLES:
                return self.ddl()
            views = [v for v, (table, _) in self.world.views.items() if table == t.name]
            triggers = [n for n, (table, _, other) in self.world.triggers.items() if other == t.name and table != t.name]
            gone = [n for n, (table, _, _) in self.world.triggers.items() if table == t.name or table in views]
        out = [Statement().add(f"DROP TRIGGER IF EXISTS {quoted(n)}").effect(lambda w, n=n: w.triggers.pop(n, None))
               for n in triggers]
        out += [Statement().add(f"DROP VIEW IF EXISTS {quoted(v)}").effect(lambda w, v=v: w.views.pop(v, None))
                for v in views]
        s = Statement().add(self.rnd.choice(["DROP TABLE ", "DROP TABLE IF EXISTS "]), t.q)

        def forget(w):
            w.tables.pop(t.name, None)
            for n in gone:
                w.triggers.pop(n, None)
            for n in [n for n, table in w.indexes.items() if table == t.name]:
                w.indexes.pop(n)

        return out + [s.effect(forget)]

    def alter(self):
        r = self.rnd
        t = self.table()
        kind = r.choice(["rename", "add", "add", "add", "drop", "column", "generated"])
        if kind == "rename":
            with self.world.lock:
                name = self.free_name(self.world.tables)

            def renamed(w):
                if t.name in w.tables:
                    old, t.name = t.name, name
                    w.tables[name] = w.tables.pop(old)
                    for v, (table, cols) in list(w.views.items()):
                        if table == old:
                            w.views[v] = (name, cols)
                    for n, (table, event, other) in list(w.triggers.items()):
                        w.triggers[n] = (name if table == old else table, event, name if other == old else other)
                    for i, table in list(w.indexes.items()):
                        if table == old:
                            w.indexes[i] = name

            return [Statement().add(f"ALTER TABLE {t.q} RENAME TO {quoted(name)}").effect(renamed)]
        if kind in ("add", "generated"):
            if len(t.columns) >= MAX_COLUMNS:
                return self.ddl()
            c = Column(f"n{self.world.number()}", r.choice(STRICT_TYPES if t.kind == "strict" else TYPES),
                       strict=t.kind == "strict", generated=kind == "generated")
            if kind == "generated":
                c.type = "ANY" if t.kind == "strict" else ""
                e = f" AS (coalesce({r.choice(t.columns).q}, '-'))"
                return [Statement().add(f"ALTER TABLE {t.q} ADD COLUMN {c.q} {c.type}{e}").effect(lambda w: t.columns.append(c))]
            text = f"{c.q} {c.type}{self.default(c)}"
            if "DEFAULT (" in text:  # not constant enough for ADD COLUMN
                text = f"{c.q} {c.type}"
            return [Statement().add(f"ALTER TABLE {t.q} ADD {r.choice(['', 'COLUMN '])}{text}").effect(lambda w: t.columns.append(c))]
        free = [c for c in t.columns if not c.pk and not c.generated]
        if not free:
            return self.ddl()
        c = r.choice(free)
        if kind == "drop":
            return [Statement().add(f"ALTER TABLE {t.q} DROP COLUMN {c.q}")
                    .effect(lambda w: t.columns.remove(c) if c in t.columns else None)]
        name = f"r{self.world.number()}"
        return [Statement().add(f"ALTER TABLE {t.q} RENAME COLUMN {c.q} TO {name}").effect(lambda w: setattr(c, "name", name))]

    def index(self):
        r = self.rnd
        with self.world.lock:
            indexes = list(self.world.indexes)
        if len(indexes) > 8 or (indexes and r.random() < 0.3):
            name = r.choice(indexes)
            return [Statement().add(f"DROP INDEX {r.choice(['', 'IF EXISTS '])}{quoted(name)}")
                    .effect(lambda w: w.indexes.pop(name, None))]
        t = self.table()
        name = f"i {self.world.number()}"
        cols = r.sample(t.columns, min(len(t.columns), r.randint(1, 2)))
        what = ", ".join(r.choice([c.q, f"{c.q} DESC", f"{c.q} COLLATE NOCASE", f"lower({c.q})"]) for c in cols)
        where = f" WHERE {r.choice(t.columns).q} IS NOT NULL" if r.random() < 0.2 else ""
        unique = "UNIQUE " if r.random() < 0.1 else ""
        return [Statement().add(f"CREATE {unique}INDEX {quoted(name)} ON {t.q} ({what}){where}")
                .effect(lambda w: w.indexes.__setitem__(name, t.name))]

    def view(self):
        r = self.rnd
        with self.world.lock:
            views = list(self.world.views)
        if len(views) > 4 or (views and r.random() < 0.3):
            name = r.choice(views)

            def forget(w):
                w.views.pop(name, None)
                for n in [n for n, (table, _, _) in w.triggers.items() if table == name]:
                    w.triggers.pop(n)

            return [Statement().add(f"DROP VIEW {quoted(name)}").effect(forget)]
        t = self.table()
        name = f"view {self.world.number()}"
        cols = r.sample(t.columns, min(len(t.columns), 2))
        s = Statement().add(f"CREATE VIEW {quoted(name)} AS SELECT {', '.join(c.q for c in cols)} FROM {t.q}")
        names = [c.name for c in cols]
        return [s.effect(lambda w: w.views.__setitem__(name, (t.name, names)))]

    def trigger(self):
        r = self.rnd
        with self.world.lock:
            triggers = dict(self.world.triggers)
            views = dict(self.world.views)
        if len(triggers) > 6 or (triggers and r.random() < 0.4):
            name = r.choice(list(triggers))
            return [Statement().add(f"DROP TRIGGER IF EXISTS {quoted(name)}").effect(lambda w: w.triggers.pop(name, None))]
        name = f"tr{self.world.number()}"
        if views and r.random() < 0.2:
            view = r.choice(list(views))
            table, cols = views[view]
            if not any(x[0] == view for x in triggers.values()):
                s = Statement().add(f"CREATE TRIGGER {name} INSTEAD OF INSERT ON {quoted(view)} BEGIN INSERT INTO audit(tab, what, v)"
                                    f" VALUES ({literal(view)}, 'view', new.{quoted(cols[0])}); END")
                return [s.effect(lambda w: w.triggers.__setitem__(name, (view, "view", None)))]
        t = self.table()
        event = r.choice(["INSERT", "UPDATE", "DELETE"])
        time = r.choice(["BEFORE", "AFTER"])
        if any(x[:2] == (t.name, time + event) for x in triggers.values()):
            return self.ddl()  # the order of two triggers is SQLite's secret
        row = "old" if event == "DELETE" else "new"
        c = r.choice(t.columns)
        other = self.table("plain", "intpk", "autoinc")
        used = None
        body = r.choice(["audit", "audit", "update", "delete", "insert", "raise"])
        if body == "audit":
            act = f"INSERT INTO audit(tab, what, v) VALUES ({literal(t.name[:5])}, '{event}', {row}.{c.q})"
        elif body == "update":
            act = f"UPDATE parent SET v = coalesce(v, 0) + 1 WHERE id = abs(length({row}.{c.q})) % 5"
        elif body == "delete":
            act = f"DELETE FROM audit WHERE n % 11 = length({row}.{c.q}) % 11 AND tab = {literal(t.name[:5])}"
        elif body == "insert" and other and other is not t:
            used = other.name
            w = [x for x in other.writable if not x.rowid]
            act = f"INSERT OR IGNORE INTO {other.q} ({w[0].q}) VALUES ({row}.{c.q})" if w else "SELECT 1"
        else:
            how = r.choice(["ABORT, 'no'", "FAIL, 'no'", "IGNORE", "IGNORE", "ROLLBACK, 'no'"])
            act = f"SELECT RAISE({how}) WHERE {row}.{c.q} = 7"
        s = Statement().add(f"CREATE TRIGGER {name} {time} {event} ON {t.q} FOR EACH ROW BEGIN {act}; END")
        return [s.effect(lambda w: w.triggers.__setitem__(name, (t.name, time + event, used)))]

    def odd(self):
        r = self.rnd
        if self.world.analyze and r.random() < 0.3:
            return [Statement().add(r.choice(["ANALYZE", f"ANALYZE {self.table().q}"]))]
        return [Statement().add(r.choice([
            "REINDEX", f"REINDEX {self.table().q}", f"PRAGMA user_version = {r.randrange(1000)}",
            f"PRAGMA application_id = {r.randrange(1000)}", "REINDEX NOCASE"]))]

    def ddl(self):
        r = self.rnd
        with self.world.lock:
            n = len(self.world.tables)
        if n < MIN_TABLES:
            return [self.create_table()]
        kinds = [self.alter, self.index, self.view, self.trigger, self.odd]
        weights = [8, 5, 2, 5, 2]
        if n < MAX_TABLES:
            kinds += [lambda: [self.create_table()], self.create_as]
            weights += [3, 2]
        if n > MIN_TABLES:
            kinds.append(self.drop_table)
            weights.append(3)
        return r.choices(kinds, weights)[0]()

    # -- rows

    def where(self, s, t):
        r = self.rnd
        c = r.choice(t.columns)
        s.add(" WHERE ")
        kind = r.randrange(7)
        if kind == 0:
            s.add(f"{c.q} BETWEEN ").value(r.randint(-2, 20)).add(" AND ").value(r.randint(5, 60))
        elif kind == 1:
            s.add(f"{c.q} IS NULL")
        elif kind == 2 and not t.without_rowid:
            s.add(f"rowid % {r.choice([3, 7, 11])} = ").value(r.randrange(3))
        elif kind == 3:
            s.add(f"typeof({c.q}) = '{r.choice(['text', 'integer', 'real', 'blob'])}' AND length({c.q}) % 5 = ").value(r.randrange(5))
        elif kind == 4:
            s.add(f"{t.key} IN (").value(self.values.of(t.columns[0])).add(", ").value(self.values.integer()).add(")")
        else:
            s.add(f"{c.q} = ").value(self.values.of(c))
        return s

    def expression(self, s, t, c):
        r = self.rnd
        o = r.choice(t.columns)
        kind = r.randrange(8)
        if c.strict or kind < 4:
            s.value(self.values.of(c))
        elif kind == 4:
            s.add(f"substr({o.q} || 'x', 1, 30)")
        elif kind == 5:
            s.add(f"coalesce({o.q}, 0) + 1")
        elif kind == 6:
            s.add(f"CASE WHEN {o.q} > 10 THEN {o.q} ELSE ").value(self.values.any()).add(" END")
        else:
            s.add(o.q)
        return s

    def insert(self):
        r = self.rnd
        t = self.table()
        s = self.statement()
        cols = [c for c in t.writable if c.notnull or c.pk or r.random() < 0.85] or t.writable
        if not cols or r.random() < 0.02:
            return s.add(f"INSERT INTO {t.q} DEFAULT VALUES")
        s.add(r.choice(["INSERT INTO ", "INSERT INTO ", "INSERT INTO ", "INSERT OR REPLACE INTO ", "REPLACE INTO ", "INSERT OR IGNORE INTO ",
                        "INSERT OR ABORT INTO ", "INSERT OR FAIL INTO ", "INSERT OR ROLLBACK INTO " if r.random() < 0.1 else "INSERT INTO "]))
        s.add(t.q, " (", ", ".join(c.q for c in cols), ")")
        if r.random() < 0.12:
            self.select(s, cols)
        else:
            s.add(" VALUES ")
            for i in range(r.choice([1, 1, 1, 2, 3, 8])):
                s.add(", (" if i else "(")
                for j, c in enumerate(cols):
                    s.add(", " if j else "").value(self.values.of(c))
                s.add(")")
        if r.random() < 0.2:
            self.upsert(s, t)
        if r.random() < 0.2:
            s.add(" RETURNING ", ", ".join(c.q for c in r.sample(t.columns, min(2, len(t.columns)))))
        return s

    def select(self, s, cols):
        """Rows of another table, in an order that is determined: by every column that is read."""
        r = self.rnd
        o = self.table()
        picked = [r.choice(o.columns) for _ in cols]
        s.add(" SELECT ", ", ".join("NULL" if c.rowid else p.q for c, p in zip(cols, picked)), f" FROM {o.q}")
        s.add(" WHERE true ORDER BY ", ", ".join(str(i + 1) for i in range(len(cols))), f" LIMIT {r.randint(1, 5)}")

    def upsert(self, s, t):
        r = self.rnd
        key = [c for c in t.columns if c.pk] or [c for c in t.columns if c.unique][:1]
        free = [c for c in t.writable if not c.pk]
        if not key or not free or r.random() < 0.3:
            s.add(" ON CONFLICT DO NOTHING")
            return
        if t.kind in ("composite", "without_rowid2"):
            key = [key[1], key[0]]
        c = r.choice(free)
        s.add(" ON CONFLICT (", ", ".join(k.q for k in key), f") DO UPDATE SET {c.q} = excluded.{r.choice(free).q if not c.strict else c.q}")
        if r.random() < 0.3:
            s.add(f" WHERE {t.q}.{c.q} IS NOT excluded.{c.q}")

    def update(self):
        r = self.rnd
        t = self.table()
        s = self.statement()
        cols = r.sample(t.writable, min(len(t.writable), r.randint(1, 2)))
        if not cols:
            return s.add("SELECT 1")
        # A conflict's outcome depends on the order of the rows: that of the table, not that of an index.
        s.add("UPDATE ", r.choice(["", "", "", "OR REPLACE ", "OR IGNORE ", "OR FAIL "]), t.q, " NOT INDEXED SET ")
        for i, c in enumerate(cols):
            s.add(", " if i else "", f"{c.q} = ")
            self.expression(s, t, c)
        self.where(s, t)
        if r.random() < 0.15:
            s.add(" RETURNING ", r.choice(t.columns).q)
            if not t.without_rowid:
                s.add(", rowid")
        return s

    def delete(self):
        t = self.table()
        s = self.statement().add(f"DELETE FROM {t.q}")
        if self.rnd.random() < 0.03:
            return s
        return self.where(s, t)

    def relatives(self):
        """Parent and child: cascades, deferred keys."""
        r = self.rnd
        s = self.statement()
        kind = r.randrange(8)
        if kind == 0:
            return s.add("INSERT INTO parent(id, k, v) VALUES (").value(r.randint(1, 30)).add(", ").value(f"k{r.randrange(30)}").add(
                ", ").value(self.values.any()).add(")", r.choice(["", " ON CONFLICT DO NOTHING", " ON CONFLICT(id) DO UPDATE SET v = excluded.v"]))
        if kind == 1:
            return s.add("INSERT OR REPLACE INTO parent(id, k) VALUES (").value(r.randint(1, 30)).add(", ").value(f"k{r.randrange(30)}").add(")")
        if kind == 2:
            return s.add("DELETE FROM parent WHERE id = ").value(r.randint(1, 30))
        if kind == 3:
            return s.add("UPDATE parent SET id = ").value(r.randint(1, 30)).add(", k = ").value(f"k{r.randrange(30)}").add(
                " WHERE id = ").value(r.randint(1, 30))
        if kind == 4:
            return s.add("INSERT INTO late VALUES (").value(r.randint(1, 40)).add(", ").value(self.values.text()).add(")")
        if kind == 5:
            return s.add("DELETE FROM late WHERE a % 3 = ").value(r.randrange(3))
        return s.add("INSERT INTO child(p, pk, v) VALUES (").value(r.choice([None, r.randint(1, 30)])).add(", ").value(
            r.choice([None, f"k{r.randrange(30)}"])).add(", ").value(self.values.any()).add(")")

    def words(self):
        return " ".join(self.rnd.choice(["alpha", "beta", "gamma", "fox", "dog", "\u0434\u043e\u043c", "\u4e2d\u6587", "zebra"]) for _ in range(self.rnd.randint(1, 8)))

    def virtual(self):
        r = self.rnd
        if not self.may_write_virtual():
            return self.insert()
        s = self.statement()
        kind = r.randrange(9)
        if kind < 3:
            return s.add("INSERT INTO docs VALUES (").value(self.words()).add(", ").value(self.words()).add(")")
        if kind == 3:
            return s.add("DELETE FROM docs WHERE rowid % 7 = ").value(r.randrange(7))
        if kind == 4:
            return s.add("UPDATE docs SET body = ").value(self.words()).add(" WHERE rowid % 5 = ").value(r.randrange(5))
        if kind == 5:
            return s.add("INSERT INTO docs(docs) VALUES ('optimize')")
        if kind == 6:
            return s.add("DELETE FROM spots WHERE id = ").value(r.randint(1, 50))
        if kind == 7:
            return s.add("UPDATE spots SET x1 = x1 + 1, label = ").value(self.values.text()).add(" WHERE id = ").value(r.randint(1, 50))
        x, y = r.randint(0, 100), r.randint(0, 100)
        return s.add("INSERT OR REPLACE INTO spots VALUES (").value(r.randint(1, 50)).add(f", {x}, {x + r.randint(0, 9)}, {y}, {y + 3}, ").value(
            self.values.text()).add(")")

    def view_insert(self):
        with self.world.lock:
            views = [(table, self.world.views[table][1]) for _, (table, event, _) in self.world.triggers.items()
                     if event == "view" and table in self.world.views]
        if not views:
            return self.insert()
        view, cols = self.rnd.choice(views)
        return self.statement().add(f"INSERT INTO {quoted(view)} ({quoted(cols[0])}) VALUES (").value(self.values.text()).add(")")

    def recursive(self):
        t = self.table("plain", "intpk", "autoinc")
        cols = [c for c in t.writable if not c.rowid] if t else []
        if not cols:
            return self.insert()
        n = self.rnd.choice([3, 10, 50])
        return Statement().add(f"WITH RECURSIVE i(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM i WHERE x < {n})"
                               f" INSERT INTO {t.q} ({cols[0].q}) SELECT x FROM i")

    def wrong(self):
        """Fails, or nearly always does."""
        r = self.rnd
        return Statement().add(r.choice([
            "INSERT INTO nonesuch VALUES (1)", "SELEC 1", "INSERT INTO parent(id, k) VALUES (1, 'k2'), (1, 'k2')",
            "INSERT INTO child(p) VALUES (999999)", "INSERT INTO parent(nocolumn) VALUES (1)", "DROP TABLE nonesuch",
            "INSERT INTO markers(n, id) VALUES (1, 1)", "UPDATE parent SET id = 'text'", "CREATE TABLE parent (x)",
            "SELECT abs(-9223372036854775807 - 1)", "INSERT INTO parent VALUES (1)"]))

    def read(self):
        t = self.table()
        c = self.rnd.choice(t.columns)
        return self.rnd.choice([
            Statement().add(f"SELECT count(*), min({c.q}), max({c.q}) FROM {t.q}"),
            Statement().add("SELECT count(*) FROM docs WHERE docs MATCH 'fox'"),
            Statement().add("SELECT count(*), max(n) FROM audit")])

    def dml(self):
        kinds = [self.insert, self.update, self.delete, self.relatives, self.virtual, self.view_insert, self.recursive, self.read]
        return self.rnd.choices(kinds, [40, 22, 8, 10, 8, 2, 1, 4])[0]()

    # -- transactions

    def mark(self, literals):
        marker = self.world.marker()
        return marker, Statement(literals).add("INSERT INTO markers(id) VALUES (").value(marker).add(")")

    def own(self):
        """One or several autocommit statements on the client's own table."""
        r = self.rnd
        table = f"own{self.client}"
        several = r.random() < 0.3
        out = []
        for _ in range(r.randint(2, 5) if several else 1):
            s = Statement(several or r.random() < 0.5)
            kind = r.randrange(6)
            if kind < 3:
                s.add(r.choice(["INSERT INTO", "INSERT OR REPLACE INTO", "INSERT OR IGNORE INTO"]), f" {table}(k, v) VALUES (").value(
                    f"k{r.randrange(20)}").add(", ").value(self.values.any()).add(")", r.choice(["", " RETURNING id, v"]))
            elif kind == 3:
                s.add(f"UPDATE {table} SET v = ").value(self.values.any()).add(" WHERE id % 4 = ").value(r.randrange(4))
            elif kind == 4:
                s.add(f"DELETE FROM {table} WHERE k = ").value(f"k{r.randrange(20)}")
            else:
                s.add(f"UPDATE OR REPLACE {table} SET k = ").value(f"k{r.randrange(20)}").add(" WHERE k = ").value(f"k{r.randrange(20)}")
            out.append(s)
        return Transaction("own", out, client=self.client)

    def array(self):
        r = self.rnd
        statements = []
        for _ in range(r.choice([1, 1, 2, 3, 5, 9])):
            if self.world.ddl and r.random() < 0.07:
                statements += self.ddl()
            else:
                statements.append(self.dml())
        if r.random() < 0.05:
            statements += [Statement().add("CREATE TEMP TABLE scratch (a, b)"),
                           Statement().add("INSERT INTO temp.scratch SELECT id, k FROM parent ORDER BY id"),
                           Statement().add("INSERT INTO audit(tab, what, v) SELECT 'temp', b, a FROM temp.scratch ORDER BY a LIMIT 2")]
        if r.random() < 0.04:
            statements.insert(r.randrange(len(statements) + 1), self.wrong())
        marker, mark = self.mark(False)
        statements.insert(r.choice([0, len(statements)]), mark)
        return Transaction("array", statements, marker, self.client)

    def text(self):
        """One text with BEGIN and COMMIT in it, savepoints, some rolled back."""
        r = self.rnd
        before, self.literals = self.literals, True
        marker, mark = self.mark(True)
        out = [Statement().add(r.choice(["BEGIN IMMEDIATE", "BEGIN", "begin transaction"])), mark]
        out += self.with_savepoints(lambda: [self.dml()])
        out.append(Statement().add(r.choice(["COMMIT", "END", "commit transaction"])))
        self.literals = before
        return Transaction("text", out, marker, self.client)

    def with_savepoints(self, make):
        r = self.rnd
        out = []
        for i in range(r.randint(1, 4)):
            kind = r.randrange(4)
            if kind == 0:
                out += make()
                continue
            name = r.choice([f"s{i}", quoted("save point"), "S"])
            out.append(Statement().add(f"SAVEPOINT {name}"))
            inner = make() + (make() if r.random() < 0.5 else [])
            if kind == 2:
                inner += [Statement().add("SAVEPOINT inner")] + make() + [Statement().add("RELEASE SAVEPOINT inner")]
            rolled_back = kind != 1
            if rolled_back:
                for s in inner:
                    s.effects = []
            out += inner
            if rolled_back:
                out.append(Statement().add(f"ROLLBACK TO {r.choice(['', 'SAVEPOINT '])}{name}"))
            out.append(Statement().add(f"RELEASE {name}"))
        return out

    def interactive(self):
        """A request each; statements that fail fail alone."""
        r = self.rnd
        marker, mark = self.mark(False)

        def make():
            if r.random() < 0.15:
                return [self.wrong()]
            if self.world.ddl and r.random() < 0.05:
                return self.ddl()
            return [self.dml()]

        return Transaction("interactive", [mark] + self.with_savepoints(make), marker, self.client)

    def transaction(self):
        return self.rnd.choices([self.array, self.own, self.text, self.interactive], [70, 14, 10, 4])[0]()
