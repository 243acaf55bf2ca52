"""What random SQL (workload.py) is made of: names, types, values, and the columns and tables that clients believe in."""

import base64

from ha import quoted

NAMES = ["t1", "Orders", "select", "a b", "semi;colon--", 'quo"te', "\u0434\u0430", "\u8868", "x.y", "[br]", "UPPER", "_u", "group",
         "it's", "e\u0301", "tab\tle", "t-2", "0day", "%like_", "order by"]
COLUMN_NAMES = ["a", "b", "c", "d e", "select", 'q"q', "\u00fc", "Key", "x;y", "v1", "v2", "v3", "from", "\u503c"]
TYPES = ["INTEGER", "INT", "TEXT", "REAL", "NUMERIC", "BLOB", "", "VARCHAR(10)", "BOOLEAN", "DOUBLE PRECISION"]
STRICT_TYPES = ["INT", "INTEGER", "REAL", "TEXT", "BLOB", "ANY"]


# ---- values ----------------------------------------------------------------------------------------------------


def literal(v):
    """The value as SQL text."""
    if v is None:
        return "NULL"
    if isinstance(v, int):
        return str(v) if v > -(1 << 63) else "(-9223372036854775807 - 1)"
    if isinstance(v, float):
        if v in (float("inf"), float("-inf")):
            return "9e999" if v > 0 else "-9e999"
        return repr(v)
    if isinstance(v, bytes):
        return f"x'{v.hex()}'"
    return "'" + v.replace("'", "''") + "'"


def parameter(v):
    """The value as a parameter in JSON."""
    if isinstance(v, float):
        return {"type": "real", "value": {float("inf"): "inf", float("-inf"): "-inf"}.get(v, v)}
    if isinstance(v, bytes):
        return {"type": "blob", "base64": base64.b64encode(v).decode()}
    return v


def plain_text(v):
    return isinstance(v, str) and "\0" not in v


class Values:
    """Values from small pools, so that rows meet, and now and then an extreme."""

    def __init__(self, rnd):
        self.rnd = rnd

    def integer(self):
        r = self.rnd
        if r.random() < 0.9:
            return r.randint(-3, 40)
        return r.choice([0, -1, 255, 65536, -(1 << 31), 1 << 40, (1 << 62) - 1, -(1 << 63), (1 << 63) - 1])

    def rowid(self):
        r = self.rnd
        # Never the greatest: behind it SQLite chooses rowids at random.
        return r.randint(1, 60) if r.random() < 0.95 else r.choice([-5, 0, 100000, 1 << 40])

    def real(self):
        r = self.rnd
        if r.random() < 0.7:
            return r.choice([0.5, 1.0, 2.25, -7.0, 0.1, 3.141592653589793, 100.0, r.random()])
        return r.choice([1e308, -1e308, 5e-324, 1e-7, 123456789012345.678, float("inf"), float("-inf"), 1e15, 9007199254740993.0])

    def text(self):
        r = self.rnd
        p = r.random()
        if p < 0.6:
            return f"k{r.randrange(25)}"
        if p < 0.97:
            return r.choice(["", "Hello", "it's", '"q"', "\u05d0\u05d1", "\u4e2d\u6587", "\U0001f600", "line\nline", "12", "1.5", "-7", "0x10", "NULL", "a;b",
                             "nul\0nul", "  ", "caf\u00e9", "1e3", "%", "\\"])
        return r.choice("xyz") * r.randint(100, 6000)

    def blob(self):
        r = self.rnd
        if r.random() < 0.9:
            return r.choice([b"", b"\0", b"abc", b"\xff\xfe", bytes(range(16)), r.randbytes(8)])
        return r.randbytes(r.randint(100, 4000))

    def any(self):
        return self.rnd.choices([self.integer, self.real, self.text, self.blob, lambda: None], [5, 2, 5, 2, 1])[0]()

    def of(self, column):
        """One that fits, mostly."""
        r = self.rnd
        if column.rowid:
            return None if r.random() < 0.5 else self.rowid()
        if column.notnull is False and r.random() < 0.08:
            return None
        kind = column.type.split("(")[0]
        if not column.strict and r.random() < 0.1:
            return self.any()
        return {"INTEGER": self.integer, "INT": self.integer, "BOOLEAN": lambda: r.randint(0, 1), "REAL": self.real,
                "DOUBLE PRECISION": self.real, "NUMERIC": r.choice([self.integer, self.real]), "TEXT": self.text,
                "VARCHAR": self.text, "BLOB": self.blob}.get(kind, self.any)()


# ---- the schema that is believed in ----------------------------------------------------------------------------


class Column:
    def __init__(self, name, type_, pk=False, notnull=False, generated=False, rowid=False, strict=False, unique=False):
        self.name, self.type, self.pk, self.notnull = name, type_, pk, notnull
        self.generated, self.rowid, self.strict, self.unique = generated, rowid, strict, unique

    @property
    def q(self):
        return quoted(self.name)


class Table:
    def __init__(self, name, columns, kind, without_rowid=False):
        self.name, self.columns, self.kind, self.without_rowid = name, columns, kind, without_rowid
        self.serial = 0

    @property
    def q(self):
        return quoted(self.name)

    @property
    def writable(self):
        return [c for c in self.columns if not c.generated]

    @property
    def key(self):
        """What stands for one row in a WHERE."""
        pk = [c for c in self.columns if c.pk]
        return pk[0].q if pk else "rowid"
