"""All of them, by name, in the order in which they are measured."""

from embedded import LiteFs, Marmot, Sqlite
from neighbours import Dqlite, LitesqlHa, Rqlite
from ours import Ha, HaInterval, HaPg
from relational import MariaDb, Postgres


SYSTEMS = {s.name: s for s in (Ha, HaInterval, HaPg, LitesqlHa, Rqlite, Dqlite, LiteFs, Marmot, Postgres, MariaDb, Sqlite)}
