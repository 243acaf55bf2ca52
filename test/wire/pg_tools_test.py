"""What tools ask when they connect and when their users look around: Grafana's PostgreSQL data source, DBeaver. The
statements are of the shape that these send (their sources are public); they are run as prepared statements in both formats."""

import os

import psycopg
import pytest

import pg as pg_module

SCHEMA = os.path.join(pg_module.CLIENTS, "music.sql")

SEARCH_PATH = """quote_ident(table_schema) IN (SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END FROM
 generate_series(array_lower(string_to_array(current_setting('search_path'), ','), 1),
 array_upper(string_to_array(current_setting('search_path'), ','), 1)) AS i,
 string_to_array(current_setting('search_path'), ',') s)"""

GRAFANA = {
    "version": "SELECT current_setting('server_version_num')::int/100 as version",
    "timescaledb": "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'",
    "ping": "SELECT 1",
    "tables": "select quote_ident(table_name) as \"table\" from information_schema.tables where quote_ident(table_schema) not in"
              " ('information_schema', 'pg_catalog', '_timescaledb_cache', 'timescaledb_experimental') and " + SEARCH_PATH +
              " order by 1",
    "columns": "select quote_ident(column_name) as \"column\", data_type as \"type\" from information_schema.columns"
               " where quote_ident(table_name) = 'track'",
    "time series": "SELECT floor(extract(epoch from invoice_date)/86400)*86400 AS \"time\", sum(total) AS \"value\" FROM invoice"
                   " WHERE invoice_date BETWEEN '2000-01-01T00:00:00Z' AND '2030-01-01T00:00:00Z' GROUP BY 1 ORDER BY 1",
}

DESCRIPTION = "LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=%s.oid AND d.objsubid=0 AND d.classoid='%s'::regclass"
DBEAVER = {
    "context": "SELECT current_schema(), session_user",
    "search path": "SHOW search_path",
    "databases": "SELECT db.oid, db.* FROM pg_catalog.pg_database db WHERE datallowconn AND NOT datistemplate ORDER BY db.datname",
    "settings": "select * from pg_catalog.pg_settings where name='standard_conforming_strings'",
    "keywords": "select string_agg(word, ',') from pg_catalog.pg_get_keywords() where word <> ALL ('{a,abs,zone}'::text[])",
    "probe type": "SELECT typcategory FROM pg_catalog.pg_type WHERE 1<>1 LIMIT 1",
    "probe class": "SELECT relacl FROM pg_catalog.pg_class WHERE 1<>1 LIMIT 1",
    "schemas": "SELECT n.oid, n.*, d.description FROM pg_catalog.pg_namespace n " + DESCRIPTION % ("n", "pg_namespace") +
               " ORDER BY nspname",
    "types": "SELECT t.oid, t.*, c.relkind, format_type(nullif(t.typbasetype, 0), t.typtypmod) as base_type_name, d.description"
             " FROM pg_catalog.pg_type t LEFT OUTER JOIN pg_catalog.pg_type et ON et.oid=t.typelem"
             " LEFT OUTER JOIN pg_catalog.pg_class c ON c.oid=t.typrelid LEFT OUTER JOIN pg_catalog.pg_description d ON"
             " t.oid=d.objoid WHERE t.typname IS NOT NULL AND (c.relkind IS NULL OR c.relkind = 'c') AND"
             " (et.typcategory IS NULL OR et.typcategory <> 'C')",
    "enums": "SELECT e.oid, e.* FROM pg_catalog.pg_enum e ORDER BY e.enumtypid, e.enumsortorder",
    "roles": "SELECT a.oid, a.*, pd.description FROM pg_catalog.pg_roles a left join pg_catalog.pg_shdescription pd on"
             " a.oid = pd.objoid ORDER BY a.rolname",
    "tablespaces": "SELECT t.oid, t.*, pg_tablespace_location(t.oid) loc FROM pg_catalog.pg_tablespace t ORDER BY t.oid",
    "extensions": "SELECT e.oid, n.nspname as schema_name, e.* FROM pg_catalog.pg_extension e join pg_namespace n on"
                  " n.oid = e.extnamespace ORDER BY e.oid",
    "available extensions": "SELECT name, default_version, installed_version, comment FROM pg_catalog.pg_available_extensions"
                            " ORDER BY name",
    "access methods": "SELECT a.oid, a.* FROM pg_catalog.pg_am a ORDER BY a.oid",
    "languages": "SELECT l.oid, l.* FROM pg_catalog.pg_language l ORDER BY l.oid",
    "foreign servers": "SELECT l.oid, l.*, p.proname as handler_name FROM pg_catalog.pg_foreign_data_wrapper l LEFT OUTER JOIN"
                       " pg_catalog.pg_proc p ON p.oid=l.fdwhandler ORDER BY l.fdwname",
    "event triggers": "SELECT pet.oid, pet.*, p.proname FROM pg_catalog.pg_event_trigger pet LEFT JOIN pg_catalog.pg_proc p ON"
                      " p.oid = pet.evtfoid",
    "sessions": "SELECT sa.* FROM pg_catalog.pg_stat_activity sa",
    "isolation": "SHOW TRANSACTION ISOLATION LEVEL",
}

# %s: the OID of the schema, or of the table.
DBEAVER_SCHEMA = {
    "relations": "SELECT c.oid, c.*, d.description, pg_catalog.pg_get_expr(c.relpartbound, c.oid) as partition_expr,"
                 " pg_catalog.pg_get_partkeydef(c.oid) as partition_key FROM pg_catalog.pg_class c " +
                 DESCRIPTION % ("c", "pg_class") + " WHERE c.relnamespace=%s AND c.relkind not in ('i','I','c')",
    "functions": "SELECT p.oid, p.*, pg_get_expr(p.proargdefaults, 0) as arg_defaults, d.description FROM pg_catalog.pg_proc p"
                 " LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=p.oid AND d.objsubid = 0"
                 " WHERE p.prokind <> 'a' AND p.pronamespace=%s ORDER BY p.proname",
    "sizes": "SELECT c.oid, pg_catalog.pg_total_relation_size(c.oid) as total_rel_size, pg_catalog.pg_relation_size(c.oid) as"
             " rel_size FROM pg_catalog.pg_class c WHERE c.relnamespace=%s",
    "aggregates": "SELECT p.oid, p.proname, d.description FROM pg_catalog.pg_proc p LEFT OUTER JOIN pg_catalog.pg_description d ON"
                  " p.oid=d.objoid WHERE p.prokind='a' AND p.pronamespace=%s ORDER BY p.proname",
    "collations": "SELECT c.oid, c.* FROM pg_catalog.pg_collation c WHERE c.collnamespace=%s ORDER BY c.oid",
}
DBEAVER_TABLE = {
    "columns": "SELECT c.relname, a.*, pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) as def_value, dsc.description, dep.objid"
               " FROM pg_catalog.pg_attribute a INNER JOIN pg_catalog.pg_class c ON (a.attrelid=c.oid) LEFT OUTER JOIN"
               " pg_catalog.pg_attrdef ad ON (a.attrelid=ad.adrelid AND a.attnum = ad.adnum) LEFT OUTER JOIN"
               " pg_catalog.pg_description dsc ON (c.oid=dsc.objoid AND a.attnum = dsc.objsubid) LEFT OUTER JOIN"
               " pg_catalog.pg_depend dep on dep.refobjid = a.attrelid AND dep.deptype = 'i' and dep.refobjsubid = a.attnum and"
               " dep.classid = dep.refclassid WHERE NOT a.attisdropped AND c.oid=%s ORDER BY a.attnum",
    "constraints": "SELECT c.oid, c.*, t.relname as tabrelname, rt.relnamespace as refnamespace, d.description,"
                   " case when c.contype='c' then \"substring\"(pg_get_constraintdef(c.oid), 7) else null end consrc_copy FROM"
                   " pg_catalog.pg_constraint c INNER JOIN pg_catalog.pg_class t ON t.oid=c.conrelid LEFT OUTER JOIN"
                   " pg_catalog.pg_class rt ON rt.oid=c.confrelid " + DESCRIPTION % ("c", "pg_constraint") +
                   " WHERE c.conrelid=%s ORDER BY c.oid",
    "indexes": "SELECT i.*, i.indkey as keys, c.relname, c.relnamespace, c.relam, c.reltablespace, tc.relname as tabrelname,"
               " dsc.description, pg_catalog.pg_get_expr(i.indpred, i.indrelid) as pred_expr,"
               " pg_catalog.pg_get_expr(i.indexprs, i.indrelid, true) as expr, pg_catalog.pg_relation_size(i.indexrelid) as"
               " index_rel_size, pg_catalog.pg_stat_get_numscans(i.indexrelid) as index_num_scans FROM pg_catalog.pg_index i"
               " INNER JOIN pg_catalog.pg_class c ON c.oid=i.indexrelid INNER JOIN pg_catalog.pg_class tc ON tc.oid=i.indrelid"
               " LEFT OUTER JOIN pg_catalog.pg_description dsc ON i.indexrelid=dsc.objoid WHERE i.indrelid=%s"
               " ORDER BY tabrelname, c.relname",
    "triggers": "SELECT x.oid, x.*, p.pronamespace as func_schema_id, d.description FROM pg_catalog.pg_trigger x LEFT OUTER JOIN"
                " pg_catalog.pg_proc p ON p.oid=x.tgfoid LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=x.oid AND"
                " d.objsubid=0 WHERE x.tgrelid=%s AND NOT x.tgisinternal",
    "rules": "SELECT r.oid, r.*, pg_get_ruledef(r.oid) as definition FROM pg_catalog.pg_rewrite r WHERE r.ev_class=%s",
    "children": "SELECT i.*, c.relnamespace FROM pg_catalog.pg_inherits i, pg_catalog.pg_class c WHERE i.inhrelid=%s AND"
                " c.oid=i.inhparent ORDER BY i.inhseqno",
    "policies": "SELECT p.polname, p.polpermissive, p.polcmd FROM pg_catalog.pg_policy p WHERE p.polrelid=%s",
    "statistics": "SELECT relname, n_live_tup FROM pg_catalog.pg_stat_all_tables WHERE relid=%s",
}


@pytest.fixture
def conn(pg):
    pg.run("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", SCHEMA)
    with psycopg.connect(**pg.keywords(), autocommit=True) as c:
        c.prepare_threshold = 0
        yield c


def ask(conn, sql, *args):
    """The rows in text; also asked for in binary, which has to describe as many columns and rows."""
    rows = conn.execute(sql, args or None)
    names, rows = [d.name for d in rows.description], rows.fetchall()
    result = conn.pgconn.exec_params(sql.replace("%s", "$1").encode(), [str(a).encode() for a in args], [26] * len(args))
    assert result.status == psycopg.pq.ExecStatus.TUPLES_OK and result.ntuples == len(rows), result.error_message
    return [dict(zip(names, r)) for r in rows]


def test_grafana(conn):
    answers = {name: ask(conn, sql) for name, sql in GRAFANA.items()}
    assert answers["version"][0]["version"] == 1500 and not answers["timescaledb"]
    assert {"album", "track"} <= {r["table"] for r in answers["tables"]}
    assert {r["column"] for r in answers["columns"]} >= {"track_id", "name", "unit_price"}
    assert answers["time series"] and all(r["value"] is not None for r in answers["time series"])


def test_dbeaver(conn):
    answers = {name: ask(conn, sql) for name, sql in DBEAVER.items()}
    assert conn.info.dbname in {r["datname"] for r in answers["databases"]}
    assert len(answers["settings"]) == 1 and answers["roles"] and answers["sessions"]
    public = next(r["oid"] for r in answers["schemas"] if r["nspname"] == "public")
    inside = {name: ask(conn, sql, public) for name, sql in DBEAVER_SCHEMA.items()}
    relations = {r["relname"]: r["oid"] for r in inside["relations"]}
    assert {"album", "track", "long_tracks"} <= set(relations)
    table = {name: ask(conn, sql, relations["track"]) for name, sql in DBEAVER_TABLE.items()}
    assert [r["attname"] for r in table["columns"] if r["attnum"] > 0][:2] == ["track_id", "name"]
    assert {r["contype"] for r in table["constraints"]} >= {"p", "f"}
    assert any(r["indisprimary"] for r in table["indexes"])
    # The data of a table, a page of it, as DBeaver's grid reads it.
    with conn.transaction(), conn.cursor(name="grid") as cursor:
        cursor.execute("SELECT x.* FROM public.track x")
        assert len(cursor.fetchmany(3)) == 3
    assert "SELECT" in conn.execute("SELECT pg_catalog.pg_get_viewdef(%s, true)", (relations["long_tracks"],)).fetchone()[0]
