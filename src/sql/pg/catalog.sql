-- The system catalogs, as tables and views over what pg/catalog_fill.c has read of the schema:
--   rel    tables, views and indexes      col   their columns      idx, idxcol   indexes
--   con    constraints                    trg   triggers           type, proc    what is always there
--   enum   labels of enumerated types
-- Loaded into a database in memory, one for each connection that has asked for a catalog. Columns that
-- clients ask for are there; what this server does not have is empty, NULL or PostgreSQL's default.

CREATE TABLE rel(oid INTEGER PRIMARY KEY, name TEXT, kind TEXT, sql TEXT, natts INTEGER, has_index INTEGER, has_key INTEGER);
CREATE TABLE col(relid INTEGER, num INTEGER, name TEXT, typid INTEGER, typmod INTEGER, nonnull INTEGER, dflt TEXT, generated TEXT, pk INTEGER, PRIMARY KEY (relid, num)) WITHOUT ROWID;
CREATE TABLE idx(oid INTEGER PRIMARY KEY, relid INTEGER, uniq INTEGER, pk INTEGER, def TEXT, pred TEXT, keys TEXT, opts TEXT, btree TEXT);
CREATE TABLE idxcol(idxid INTEGER, num INTEGER, attnum INTEGER, def TEXT, PRIMARY KEY (idxid, num)) WITHOUT ROWID;
CREATE TABLE con(oid INTEGER PRIMARY KEY, name TEXT, relid INTEGER, type TEXT, idxid INTEGER, frelid INTEGER, upd TEXT, del TEXT, keys TEXT, fkeys TEXT, def TEXT);
CREATE TABLE trg(oid INTEGER PRIMARY KEY, relid INTEGER, name TEXT, def TEXT);
CREATE TABLE type(oid INTEGER PRIMARY KEY, name TEXT, len INTEGER, category TEXT, elem INTEGER, array INTEGER, input INTEGER);
CREATE TABLE enum(oid INTEGER PRIMARY KEY, typid INTEGER, place REAL, label TEXT);
CREATE TABLE proc(oid INTEGER PRIMARY KEY, name TEXT, nargs INTEGER, rettype INTEGER, kind TEXT);
INSERT INTO type VALUES (2249, 'record', -1, 'P', 0, 2287, 0), (2276, 'any', 4, 'P', 0, 0, 0), (2277, 'anyarray', -1, 'P', 0, 0, 0),
  (2278, 'void', 4, 'P', 0, 0, 0), (2279, 'trigger', 4, 'P', 0, 0, 0), (2281, 'internal', 8, 'P', 0, 0, 0),
  (3838, 'event_trigger', 4, 'P', 0, 0, 0);
CREATE INDEX rel_name ON rel(name);
CREATE INDEX idx_relid ON idx(relid);
CREATE INDEX con_relid ON con(relid);

-- The types of columns that are expressions, for which SQLite has none.
CREATE TABLE column_types(name TEXT PRIMARY KEY, type TEXT);
INSERT INTO column_types VALUES
  ('aggfinalextra', 'BOOLEAN'), ('aggmfinalextra', 'BOOLEAN'), ('applied', 'BOOLEAN'), ('encrypted', 'BOOLEAN'),
  ('gss_authenticated', 'BOOLEAN'), ('installed', 'BOOLEAN'), ('relocatable', 'BOOLEAN'), ('ssl', 'BOOLEAN'),
  ('stainherit', 'BOOLEAN'), ('stxdinherit', 'BOOLEAN'), ('subbinary', 'BOOLEAN'), ('subdisableonerr', 'BOOLEAN'),
  ('substream', 'BOOLEAN'), ('superuser', 'BOOLEAN'), ('temporary', 'BOOLEAN'), ('trusted', 'BOOLEAN'),
  ('two_phase', 'BOOLEAN'),
  ('attbyval', 'BOOLEAN'), ('attnotnull', 'BOOLEAN'), ('atthasdef', 'BOOLEAN'), ('atthasmissing', 'BOOLEAN'), ('attisdropped', 'BOOLEAN'),
  ('attislocal', 'BOOLEAN'), ('conislocal', 'BOOLEAN'), ('connoinherit', 'BOOLEAN'), ('condeferrable', 'BOOLEAN'),
  ('condeferred', 'BOOLEAN'), ('convalidated', 'BOOLEAN'), ('datistemplate', 'BOOLEAN'), ('datallowconn', 'BOOLEAN'),
  ('indisunique', 'BOOLEAN'), ('indnullsnotdistinct', 'BOOLEAN'), ('indisprimary', 'BOOLEAN'), ('indisexclusion', 'BOOLEAN'),
  ('indimmediate', 'BOOLEAN'), ('indisclustered', 'BOOLEAN'), ('indisvalid', 'BOOLEAN'), ('indcheckxmin', 'BOOLEAN'),
  ('indisready', 'BOOLEAN'), ('indislive', 'BOOLEAN'), ('indisreplident', 'BOOLEAN'), ('relhasindex', 'BOOLEAN'),
  ('relisshared', 'BOOLEAN'), ('relhasrules', 'BOOLEAN'), ('relhastriggers', 'BOOLEAN'), ('relhassubclass', 'BOOLEAN'),
  ('relrowsecurity', 'BOOLEAN'), ('relforcerowsecurity', 'BOOLEAN'), ('relispopulated', 'BOOLEAN'), ('relispartition', 'BOOLEAN'),
  ('relhasoids', 'BOOLEAN'), ('typbyval', 'BOOLEAN'), ('typispreferred', 'BOOLEAN'), ('typisdefined', 'BOOLEAN'),
  ('typnotnull', 'BOOLEAN'), ('prosecdef', 'BOOLEAN'), ('proleakproof', 'BOOLEAN'), ('proisstrict', 'BOOLEAN'), ('proretset', 'BOOLEAN'),
  ('proisagg', 'BOOLEAN'), ('rolsuper', 'BOOLEAN'), ('rolinherit', 'BOOLEAN'), ('rolcreaterole', 'BOOLEAN'), ('rolcreatedb', 'BOOLEAN'),
  ('rolcanlogin', 'BOOLEAN'), ('rolreplication', 'BOOLEAN'), ('rolbypassrls', 'BOOLEAN'), ('usecreatedb', 'BOOLEAN'),
  ('usesuper', 'BOOLEAN'), ('userepl', 'BOOLEAN'), ('usebypassrls', 'BOOLEAN'), ('pending_restart', 'BOOLEAN'), ('hasindexes', 'BOOLEAN'),
  ('hasrules', 'BOOLEAN'), ('hastriggers', 'BOOLEAN'), ('rowsecurity', 'BOOLEAN'), ('collisdeterministic', 'BOOLEAN'),
  ('lanispl', 'BOOLEAN'), ('lanpltrusted', 'BOOLEAN'), ('tgisinternal', 'BOOLEAN'), ('tgdeferrable', 'BOOLEAN'),
  ('tginitdeferred', 'BOOLEAN'), ('seqcycle', 'BOOLEAN'), ('polpermissive', 'BOOLEAN'), ('puballtables', 'BOOLEAN'),
  ('pubinsert', 'BOOLEAN'), ('pubupdate', 'BOOLEAN'), ('pubdelete', 'BOOLEAN'), ('pubtruncate', 'BOOLEAN'), ('pubviaroot', 'BOOLEAN'),
  ('extrelocatable', 'BOOLEAN'), ('opcdefault', 'BOOLEAN'), ('condefault', 'BOOLEAN'), ('admin_option', 'BOOLEAN'), ('granted', 'BOOLEAN'),
  ('fastpath', 'BOOLEAN'), ('ispopulated', 'BOOLEAN'), ('is_holdable', 'BOOLEAN'), ('is_binary', 'BOOLEAN'), ('is_scrollable', 'BOOLEAN'),
  ('from_sql', 'BOOLEAN'), ('is_dst', 'BOOLEAN'), ('is_instead', 'BOOLEAN'), ('subenabled', 'BOOLEAN'), ('inhdetachpending', 'BOOLEAN'),
  ('active', 'BOOLEAN'), ('inherited', 'BOOLEAN'), ('barelabel', 'BOOLEAN'), ('attcacheoff', 'INT4'), ('attcollation', 'INT4'),
  ('attinhcount', 'INT4'), ('attlen', 'INT4'), ('attndims', 'INT4'), ('attstattarget', 'INT4'), ('character_maximum_length', 'INT4'),
  ('character_octet_length', 'INT4'), ('coninhcount', 'INT4'), ('connamespace', 'INT4'), ('conparentid', 'INT4'), ('contypid', 'INT4'),
  ('datconnlimit', 'INT4'), ('datdba', 'INT4'), ('datetime_precision', 'INT4'), ('datfrozenxid', 'INT4'), ('datid', 'INT4'),
  ('datlastsysoid', 'INT4'), ('datminmxid', 'INT4'), ('dattablespace', 'INT4'), ('encoding', 'INT4'), ('heap_blks_hit', 'INT4'),
  ('heap_blks_read', 'INT4'), ('idx_blks_hit', 'INT4'), ('idx_blks_read', 'INT4'), ('idx_scan', 'INT4'), ('idx_tup_fetch', 'INT4'),
  ('idx_tup_read', 'INT4'), ('indnatts', 'INT4'), ('indnkeyatts', 'INT4'), ('interval_precision', 'INT4'), ('maximum_cardinality', 'INT4'),
  ('n_dead_tup', 'INT4'), ('n_live_tup', 'INT4'), ('n_tup_del', 'INT4'), ('n_tup_hot_upd', 'INT4'), ('n_tup_ins', 'INT4'),
  ('n_tup_upd', 'INT4'), ('numeric_precision', 'INT4'), ('numeric_precision_radix', 'INT4'), ('numeric_scale', 'INT4'), ('oid', 'INT4'),
  ('ordinal_position', 'INT4'), ('pid', 'INT4'), ('position_in_unique_constraint', 'INT4'), ('prolang', 'INT4'), ('pronamespace', 'INT4'),
  ('pronargdefaults', 'INT4'), ('proowner', 'INT4'), ('prosupport', 'INT4'), ('provariadic', 'INT4'), ('relallvisible', 'INT4'),
  ('relam', 'INT4'), ('relchecks', 'INT4'), ('relfrozenxid', 'INT4'), ('relminmxid', 'INT4'), ('relnamespace', 'INT4'),
  ('reloftype', 'INT4'), ('relowner', 'INT4'), ('relpages', 'INT4'), ('relrewrite', 'INT4'), ('reltablespace', 'INT4'),
  ('reltoastrelid', 'INT4'), ('reltype', 'INT4'), ('rolconnlimit', 'INT4'), ('seq_scan', 'INT4'), ('seq_tup_read', 'INT4'),
  ('tableoid', 'INT4'), ('tgconstraint', 'INT4'), ('tgconstrindid', 'INT4'), ('tgconstrrelid', 'INT4'), ('tgfoid', 'INT4'),
  ('tgnargs', 'INT4'), ('tgparentid', 'INT4'), ('tgtype', 'INT4'), ('tidx_blks_hit', 'INT4'), ('tidx_blks_read', 'INT4'),
  ('toast_blks_hit', 'INT4'), ('toast_blks_read', 'INT4'), ('typanalyze', 'INT4'), ('typbasetype', 'INT4'), ('typcollation', 'INT4'),
  ('typmodin', 'INT4'), ('typmodout', 'INT4'), ('typnamespace', 'INT4'), ('typndims', 'INT4'), ('typoutput', 'INT4'), ('typowner', 'INT4'),
  ('typreceive', 'INT4'), ('typrelid', 'INT4'), ('typsend', 'INT4'), ('typsubscript', 'INT4'), ('typtypmod', 'INT4'), ('usesysid', 'INT4'),
  ('xmin', 'INT4'), ('conkey', '_INT2'), ('confkey', '_INT2');

CREATE TABLE pg_namespace(oid INTEGER, nspname TEXT, nspowner INTEGER, nspacl TEXT);
INSERT INTO pg_namespace VALUES (11, 'pg_catalog', 10, NULL), (2200, 'public', 10, NULL), (13000, 'information_schema', 10, NULL);

CREATE VIEW pg_class AS SELECT oid, name AS relname, 2200 AS relnamespace, 0 AS reltype, 0 AS reloftype, 10 AS relowner,
  CASE kind WHEN 'r' THEN 2 WHEN 'i' THEN 403 ELSE 0 END AS relam, oid AS relfilenode, 0 AS reltablespace, 0 AS relpages, -1.0 AS reltuples,
  0 AS relallvisible, 0 AS reltoastrelid, has_index AS relhasindex, 0 AS relisshared, 'p' AS relpersistence, kind AS relkind,
  natts AS relnatts, (SELECT count(*) FROM con WHERE relid = rel.oid AND type = 'c') AS relchecks, 0 AS relhasrules,
  (EXISTS (SELECT 1 FROM trg WHERE relid = rel.oid)
  OR EXISTS (SELECT 1 FROM con WHERE type = 'f' AND (relid = rel.oid OR frelid = rel.oid))) AS relhastriggers, 0 AS relhassubclass, 0 AS relrowsecurity,
  0 AS relforcerowsecurity, 1 AS relispopulated, CASE kind WHEN 'r' THEN 'd' ELSE 'n' END AS relreplident, 0 AS relispartition,
  0 AS relrewrite, 0 AS relfrozenxid, 0 AS relminmxid, NULL AS relacl, NULL AS reloptions, NULL AS relpartbound, 0 AS relhasoids
  FROM rel;
CREATE VIEW pg_attribute AS SELECT relid AS attrelid, name AS attname, typid AS atttypid, -1 AS attstattarget,
  coalesce((SELECT len FROM type WHERE oid = typid), -1) AS attlen, num AS attnum, 0 AS attndims, -1 AS attcacheoff, typmod AS atttypmod,
  0 AS attbyval, 'p' AS attstorage, 'i' AS attalign, '' AS attcompression, nonnull AS attnotnull, dflt IS NOT NULL AS atthasdef,
  0 AS atthasmissing, '' AS attidentity, generated AS attgenerated, 0 AS attisdropped, 1 AS attislocal, 0 AS attinhcount,
  CASE WHEN (SELECT category FROM type WHERE oid = typid) = 'S' THEN 100 ELSE 0 END AS attcollation,
  NULL AS attacl, NULL AS attoptions, NULL AS attfdwoptions, NULL AS attmissingval FROM (SELECT * FROM col UNION ALL
  SELECT x.idxid, x.num, CASE WHEN x.attnum = 0 THEN 'expr' ELSE c.name END, coalesce(c.typid, 25), coalesce(c.typmod, -1), 0, NULL, '', 0
  FROM idxcol x JOIN idx i ON i.oid = x.idxid LEFT JOIN col c ON c.relid = i.relid AND c.num = x.attnum);
CREATE VIEW pg_attrdef AS SELECT relid * 1000 + num AS oid, relid AS adrelid, num AS adnum, dflt AS adbin, dflt AS adsrc FROM col
  WHERE dflt IS NOT NULL;
CREATE VIEW pg_index AS SELECT oid AS indexrelid, relid AS indrelid,
  (SELECT count(*) FROM idxcol WHERE idxid = idx.oid) AS indnatts, (SELECT count(*) FROM idxcol WHERE idxid = idx.oid) AS indnkeyatts,
  uniq AS indisunique, 0 AS indnullsnotdistinct, pk AS indisprimary, 0 AS indisexclusion, 1 AS indimmediate, 0 AS indisclustered,
  1 AS indisvalid, 0 AS indcheckxmin, 1 AS indisready, 1 AS indislive, 0 AS indisreplident, keys AS indkey, '' AS indcollation,
  '' AS indclass, opts AS indoption, (SELECT group_concat(def, ', ') FROM idxcol WHERE idxid = idx.oid AND attnum = 0) AS indexprs,
  pred AS indpred FROM idx;
CREATE VIEW pg_constraint AS SELECT oid, name AS conname, 2200 AS connamespace, type AS contype, 0 AS condeferrable, 0 AS condeferred,
  1 AS convalidated, relid AS conrelid, 0 AS contypid, idxid AS conindid, 0 AS conparentid, frelid AS confrelid, upd AS confupdtype,
  del AS confdeltype, NULL AS confdelsetcols, CASE type WHEN 'f' THEN 's' ELSE ' ' END AS confmatchtype, 1 AS conislocal, 0 AS coninhcount, 1 AS connoinherit,
  keys AS conkey, fkeys AS confkey, NULL AS conpfeqop, NULL AS conppeqop, NULL AS conffeqop, NULL AS conexclop,
  CASE type WHEN 'c' THEN def END AS conbin, CASE type WHEN 'c' THEN def END AS consrc FROM con;
CREATE VIEW pg_enum AS SELECT oid, typid AS enumtypid, place AS enumsortorder, label AS enumlabel FROM enum;
CREATE VIEW pg_type AS SELECT oid, name AS typname, iif(category = 'E', 2200, 11) AS typnamespace, 10 AS typowner, len AS typlen,
  0 AS typbyval, CASE category WHEN 'E' THEN 'e' WHEN 'P' THEN 'p' ELSE 'b' END AS typtype,
  category AS typcategory, 0 AS typispreferred, 1 AS typisdefined, ',' AS typdelim, 0 AS typrelid, 0 AS typsubscript, elem AS typelem,
  array AS typarray, input AS typinput, 0 AS typoutput, 0 AS typreceive, 0 AS typsend, 0 AS typmodin, 0 AS typmodout, 0 AS typanalyze,
  'i' AS typalign, 'p' AS typstorage, 0 AS typnotnull, 0 AS typbasetype, -1 AS typtypmod, 0 AS typndims,
  CASE category WHEN 'S' THEN 100 ELSE 0 END AS typcollation, NULL AS typdefaultbin, NULL AS typdefault, NULL AS typacl FROM type;
CREATE VIEW pg_database AS SELECT value ->> 'oid' AS oid, value ->> 'name' AS datname, 10 AS datdba, 6 AS encoding, 'c' AS datlocprovider,
  0 AS datistemplate, 1 AS datallowconn, -1 AS datconnlimit, 0 AS datfrozenxid, 1 AS datminmxid, 1663 AS dattablespace, 'C' AS datcollate,
  'C' AS datctype, NULL AS daticulocale, NULL AS datcollversion, NULL AS datacl, 0 AS datlastsysoid FROM json_each(ha_databases());
CREATE TABLE pg_am(oid INTEGER, amname TEXT, amhandler INTEGER, amtype TEXT);
INSERT INTO pg_am VALUES (2, 'heap', 3, 't'), (403, 'btree', 330, 'i');
CREATE VIEW pg_proc AS SELECT oid, name AS proname, 11 AS pronamespace, 10 AS proowner, 12 AS prolang, 1.0 AS procost, 0.0 AS prorows,
  0 AS provariadic, 0 AS prosupport, kind AS prokind, 0 AS prosecdef, 0 AS proleakproof, 1 AS proisstrict, 0 AS proretset, 'i' AS provolatile,
  's' AS proparallel, nargs AS pronargs, 0 AS pronargdefaults, rettype AS prorettype, '' AS proargtypes, NULL AS proallargtypes,
  NULL AS proargmodes, NULL AS proargnames, NULL AS proargdefaults, NULL AS protrftypes, name AS prosrc, NULL AS probin,
  NULL AS prosqlbody, NULL AS proconfig, NULL AS proacl, kind = 'a' AS proisagg FROM proc;
CREATE VIEW pg_roles AS SELECT current_user() AS rolname, pg_may_write() AS rolsuper, 1 AS rolinherit, 0 AS rolcreaterole, pg_may_write() AS rolcreatedb,
  1 AS rolcanlogin, 0 AS rolreplication, -1 AS rolconnlimit, '********' AS rolpassword, NULL AS rolvaliduntil, 0 AS rolbypassrls,
  NULL AS rolconfig, 10 AS oid;
CREATE VIEW pg_authid AS SELECT * FROM pg_roles;
CREATE VIEW pg_user AS SELECT rolname AS usename, oid AS usesysid, rolcreatedb AS usecreatedb, rolsuper AS usesuper, 0 AS userepl,
  0 AS usebypassrls, rolpassword AS passwd, NULL AS valuntil, NULL AS useconfig FROM pg_roles;
CREATE TABLE pg_setting_names(name TEXT);
CREATE VIEW pg_settings AS SELECT name, current_setting(name) AS setting, NULL AS unit, 'Preset Options' AS category, name AS short_desc,
  NULL AS extra_desc, 'user' AS context, 'string' AS vartype, 'default' AS source, NULL AS min_val, NULL AS max_val, NULL AS enumvals,
  current_setting(name) AS boot_val, current_setting(name) AS reset_val, NULL AS sourcefile, NULL AS sourceline, 0 AS pending_restart
  FROM pg_setting_names;
CREATE VIEW pg_tables AS SELECT 'public' AS schemaname, name AS tablename, current_user() AS tableowner, NULL AS tablespace,
  has_index AS hasindexes, 0 AS hasrules, 0 AS hastriggers, 0 AS rowsecurity FROM rel WHERE kind = 'r';
CREATE VIEW pg_views AS SELECT 'public' AS schemaname, name AS viewname, current_user() AS viewowner, sql AS definition FROM rel
  WHERE kind = 'v';
CREATE VIEW pg_indexes AS SELECT 'public' AS schemaname, t.name AS tablename, r.name AS indexname, NULL AS tablespace, i.def AS indexdef
  FROM idx i JOIN rel r ON r.oid = i.oid JOIN rel t ON t.oid = i.relid;
CREATE TABLE pg_collation(oid INTEGER, collname TEXT, collnamespace INTEGER, collowner INTEGER, collprovider TEXT, collisdeterministic INTEGER,
  collencoding INTEGER, collcollate TEXT, collctype TEXT, colliculocale TEXT, collversion TEXT);
INSERT INTO pg_collation VALUES (100, 'default', 11, 10, 'd', 1, -1, NULL, NULL, NULL, NULL), (950, 'C', 11, 10, 'c', 1, -1, 'C', 'C', NULL, NULL);
CREATE TABLE pg_tablespace(oid INTEGER, spcname TEXT, spcowner INTEGER, spcacl TEXT, spcoptions TEXT);
INSERT INTO pg_tablespace VALUES (1663, 'pg_default', 10, NULL, NULL), (1664, 'pg_global', 10, NULL, NULL);
CREATE TABLE pg_language(oid INTEGER, lanname TEXT, lanowner INTEGER, lanispl INTEGER, lanpltrusted INTEGER, lanplcallfoid INTEGER,
  laninline INTEGER, lanvalidator INTEGER, lanacl TEXT);
INSERT INTO pg_language VALUES (12, 'internal', 10, 0, 0, 0, 0, 0, NULL), (14, 'sql', 10, 0, 1, 0, 0, 0, NULL);
CREATE VIEW pg_trigger AS SELECT oid, relid AS tgrelid, 0 AS tgparentid, name AS tgname, 0 AS tgfoid, 0 AS tgtype, 'O' AS tgenabled,
  0 AS tgisinternal, 0 AS tgconstrrelid, 0 AS tgconstrindid, 0 AS tgconstraint, 0 AS tgdeferrable, 0 AS tginitdeferred, 0 AS tgnargs,
  '' AS tgattr, '' AS tgargs, NULL AS tgqual, NULL AS tgoldtable, NULL AS tgnewtable FROM trg;
CREATE VIEW pg_stat_activity AS SELECT (SELECT oid FROM pg_database WHERE datname = current_database()) AS datid, current_database() AS datname, pg_backend_pid() AS pid, NULL AS leader_pid,
  10 AS usesysid, current_user() AS usename, current_setting('application_name') AS application_name, NULL AS client_addr,
  NULL AS client_hostname, NULL AS client_port, NULL AS backend_start, NULL AS xact_start, NULL AS query_start, NULL AS state_change,
  NULL AS wait_event_type, NULL AS wait_event, 'active' AS state, NULL AS backend_xid, NULL AS backend_xmin, NULL AS query_id,
  '' AS query, 'client backend' AS backend_type;
CREATE VIEW pg_stat_user_tables AS SELECT oid AS relid, 'public' AS schemaname, name AS relname, 0 AS seq_scan, 0 AS seq_tup_read,
  0 AS idx_scan, 0 AS idx_tup_fetch, 0 AS n_tup_ins, 0 AS n_tup_upd, 0 AS n_tup_del, 0 AS n_tup_hot_upd, 0 AS n_live_tup,
  0 AS n_dead_tup, 0 AS n_mod_since_analyze, 0 AS n_ins_since_vacuum, NULL AS last_vacuum, NULL AS last_autovacuum, NULL AS last_analyze, NULL AS last_autoanalyze, 0 AS vacuum_count,
  0 AS autovacuum_count, 0 AS analyze_count, 0 AS autoanalyze_count FROM rel WHERE kind = 'r';
CREATE VIEW pg_stat_all_tables AS SELECT * FROM pg_stat_user_tables;
CREATE VIEW pg_statio_user_tables AS SELECT oid AS relid, 'public' AS schemaname, name AS relname, 0 AS heap_blks_read, 0 AS heap_blks_hit,
  0 AS idx_blks_read, 0 AS idx_blks_hit, 0 AS toast_blks_read, 0 AS toast_blks_hit, 0 AS tidx_blks_read, 0 AS tidx_blks_hit
  FROM rel WHERE kind = 'r';
CREATE VIEW pg_statio_all_tables AS SELECT * FROM pg_statio_user_tables;
CREATE VIEW pg_stat_user_indexes AS SELECT i.relid, i.oid AS indexrelid, 'public' AS schemaname, t.name AS relname, r.name AS indexrelname,
  0 AS idx_scan, 0 AS idx_tup_read, 0 AS idx_tup_fetch FROM idx i JOIN rel r ON r.oid = i.oid JOIN rel t ON t.oid = i.relid;
CREATE VIEW pg_stat_all_indexes AS SELECT * FROM pg_stat_user_indexes;

-- Always empty: PostgreSQL has them, this server has not what they list.
CREATE TABLE pg_description(objoid INTEGER, classoid INTEGER, objsubid INTEGER, description TEXT);
CREATE TABLE pg_shdescription(objoid INTEGER, classoid INTEGER, description TEXT);
CREATE TABLE pg_range(rngtypid INTEGER, rngsubtype INTEGER, rngmultitypid INTEGER, rngcollation INTEGER, rngsubopc INTEGER, rngcanonical INTEGER, rngsubdiff INTEGER);
CREATE TABLE pg_sequence(seqrelid INTEGER, seqtypid INTEGER, seqstart INTEGER, seqincrement INTEGER, seqmax INTEGER, seqmin INTEGER, seqcache INTEGER, seqcycle INTEGER);
CREATE TABLE pg_sequences(schemaname TEXT, sequencename TEXT, sequenceowner TEXT, data_type TEXT, start_value INTEGER, min_value INTEGER, max_value INTEGER, increment_by INTEGER, cycle INTEGER, cache_size INTEGER, last_value INTEGER);
CREATE TABLE pg_policy(oid INTEGER, polname TEXT, polrelid INTEGER, polcmd TEXT, polpermissive INTEGER, polroles TEXT, polqual TEXT, polwithcheck TEXT);
CREATE TABLE pg_policies(schemaname TEXT, tablename TEXT, policyname TEXT, permissive TEXT, roles TEXT, cmd TEXT, qual TEXT, with_check TEXT);
CREATE TABLE pg_statistic_ext(oid INTEGER, stxrelid INTEGER, stxname TEXT, stxnamespace INTEGER, stxowner INTEGER, stxstattarget INTEGER, stxkeys TEXT, stxkind TEXT, stxexprs TEXT);
CREATE TABLE pg_publication(oid INTEGER, pubname TEXT, pubowner INTEGER, puballtables INTEGER, pubinsert INTEGER, pubupdate INTEGER, pubdelete INTEGER, pubtruncate INTEGER, pubviaroot INTEGER);
CREATE TABLE pg_publication_rel(oid INTEGER, prpubid INTEGER, prrelid INTEGER, prqual TEXT, prattrs TEXT);
CREATE TABLE pg_publication_namespace(oid INTEGER, pnpubid INTEGER, pnnspid INTEGER);
CREATE TABLE pg_publication_tables(pubname TEXT, schemaname TEXT, tablename TEXT, attnames TEXT, rowfilter TEXT);
CREATE TABLE pg_subscription(oid INTEGER, subdbid INTEGER, subname TEXT, subowner INTEGER, subenabled INTEGER, subconninfo TEXT, subslotname TEXT, subsynccommit TEXT, subpublications TEXT, subskiplsn TEXT, subbinary INTEGER, substream INTEGER, subtwophasestate TEXT, subdisableonerr INTEGER);
CREATE TABLE pg_inherits(inhrelid INTEGER, inhparent INTEGER, inhseqno INTEGER, inhdetachpending INTEGER);
CREATE TABLE pg_partitioned_table(partrelid INTEGER, partstrat TEXT, partnatts INTEGER, partdefid INTEGER, partattrs TEXT, partclass TEXT, partcollation TEXT, partexprs TEXT);
CREATE TABLE pg_extension(oid INTEGER, extname TEXT, extowner INTEGER, extnamespace INTEGER, extrelocatable INTEGER, extversion TEXT, extconfig TEXT, extcondition TEXT);
CREATE TABLE pg_available_extensions(name TEXT, default_version TEXT, installed_version TEXT, comment TEXT);
CREATE TABLE pg_foreign_table(ftrelid INTEGER, ftserver INTEGER, ftoptions TEXT);
CREATE TABLE pg_foreign_server(oid INTEGER, srvname TEXT, srvowner INTEGER, srvfdw INTEGER, srvtype TEXT, srvversion TEXT, srvacl TEXT, srvoptions TEXT);
CREATE TABLE pg_foreign_data_wrapper(oid INTEGER, fdwname TEXT, fdwowner INTEGER, fdwhandler INTEGER, fdwvalidator INTEGER, fdwacl TEXT, fdwoptions TEXT);
CREATE TABLE pg_user_mapping(oid INTEGER, umuser INTEGER, umserver INTEGER, umoptions TEXT);
CREATE TABLE pg_event_trigger(oid INTEGER, evtname TEXT, evtevent TEXT, evtowner INTEGER, evtfoid INTEGER, evtenabled TEXT, evttags TEXT);
CREATE TABLE pg_rewrite(oid INTEGER, rulename TEXT, ev_class INTEGER, ev_type TEXT, ev_enabled TEXT, is_instead INTEGER, ev_qual TEXT, ev_action TEXT);
CREATE TABLE pg_rules(schemaname TEXT, tablename TEXT, rulename TEXT, definition TEXT);
CREATE TABLE pg_depend(classid INTEGER, objid INTEGER, objsubid INTEGER, refclassid INTEGER, refobjid INTEGER, refobjsubid INTEGER, deptype TEXT);
CREATE TABLE pg_shdepend(dbid INTEGER, classid INTEGER, objid INTEGER, objsubid INTEGER, refclassid INTEGER, refobjid INTEGER, deptype TEXT);
CREATE TABLE pg_operator(oid INTEGER, oprname TEXT, oprnamespace INTEGER, oprowner INTEGER, oprkind TEXT, oprcanmerge INTEGER, oprcanhash INTEGER, oprleft INTEGER, oprright INTEGER, oprresult INTEGER, oprcom INTEGER, oprnegate INTEGER, oprcode INTEGER, oprrest INTEGER, oprjoin INTEGER);
CREATE TABLE pg_opclass(oid INTEGER, opcmethod INTEGER, opcname TEXT, opcnamespace INTEGER, opcowner INTEGER, opcfamily INTEGER, opcintype INTEGER, opcdefault INTEGER, opckeytype INTEGER);
CREATE TABLE pg_opfamily(oid INTEGER, opfmethod INTEGER, opfname TEXT, opfnamespace INTEGER, opfowner INTEGER);
CREATE TABLE pg_amop(oid INTEGER, amopfamily INTEGER, amoplefttype INTEGER, amoprighttype INTEGER, amopstrategy INTEGER, amoppurpose TEXT, amopopr INTEGER, amopmethod INTEGER, amopsortfamily INTEGER);
CREATE TABLE pg_aggregate(aggfnoid INTEGER, aggkind TEXT, aggnumdirectargs INTEGER, aggtransfn INTEGER, aggfinalfn INTEGER, aggsortop INTEGER, aggtranstype INTEGER, agginitval TEXT, aggcombinefn INTEGER, aggserialfn INTEGER, aggdeserialfn INTEGER, aggmtransfn INTEGER, aggminvtransfn INTEGER, aggmfinalfn INTEGER, aggfinalextra INTEGER, aggmfinalextra INTEGER, aggfinalmodify TEXT, aggmfinalmodify TEXT, aggtransspace INTEGER, aggmtranstype INTEGER, aggmtransspace INTEGER, aggminitval TEXT);
CREATE TABLE pg_cast(oid INTEGER, castsource INTEGER, casttarget INTEGER, castfunc INTEGER, castcontext TEXT, castmethod TEXT);
CREATE TABLE pg_conversion(oid INTEGER, conname TEXT, connamespace INTEGER, conowner INTEGER, conforencoding INTEGER, contoencoding INTEGER, conproc INTEGER, condefault INTEGER);
CREATE TABLE pg_auth_members(roleid INTEGER, member INTEGER, grantor INTEGER, admin_option INTEGER);
CREATE TABLE pg_group(groname TEXT, grosysid INTEGER, grolist TEXT);
CREATE TABLE pg_shadow(usename TEXT, usesysid INTEGER, usecreatedb INTEGER, usesuper INTEGER, passwd TEXT, userepl INTEGER, usebypassrls INTEGER, valuntil TEXT, useconfig TEXT);
CREATE TABLE pg_default_acl(oid INTEGER, defaclrole INTEGER, defaclnamespace INTEGER, defaclobjtype TEXT, defaclacl TEXT);
CREATE TABLE pg_db_role_setting(setdatabase INTEGER, setrole INTEGER, setconfig TEXT);
CREATE TABLE pg_seclabel(objoid INTEGER, classoid INTEGER, objsubid INTEGER, provider TEXT, label TEXT);
CREATE TABLE pg_seclabels(objoid INTEGER, classoid INTEGER, objsubid INTEGER, objtype TEXT, objnamespace INTEGER, objname TEXT, provider TEXT, label TEXT);
CREATE TABLE pg_largeobject_metadata(oid INTEGER, lomowner INTEGER, lomacl TEXT);
CREATE TABLE pg_locks(locktype TEXT, database INTEGER, relation INTEGER, page INTEGER, tuple INTEGER, virtualxid TEXT, transactionid INTEGER, classid INTEGER, objid INTEGER, objsubid INTEGER, virtualtransaction TEXT, pid INTEGER, mode TEXT, granted INTEGER, fastpath INTEGER, waitstart TEXT);
CREATE TABLE pg_matviews(schemaname TEXT, matviewname TEXT, matviewowner TEXT, tablespace TEXT, hasindexes INTEGER, ispopulated INTEGER, definition TEXT);
CREATE TABLE pg_prepared_xacts("transaction" INTEGER, gid TEXT, prepared TEXT, owner TEXT, database TEXT);
CREATE TABLE pg_prepared_statements(name TEXT, statement TEXT, prepare_time TEXT, parameter_types TEXT, from_sql INTEGER, generic_plans INTEGER, custom_plans INTEGER);
CREATE TABLE pg_cursors(name TEXT, statement TEXT, is_holdable INTEGER, is_binary INTEGER, is_scrollable INTEGER, creation_time TEXT);
CREATE TABLE pg_stats(schemaname TEXT, tablename TEXT, attname TEXT, inherited INTEGER, null_frac REAL, avg_width INTEGER, n_distinct REAL, most_common_vals TEXT, most_common_freqs TEXT, histogram_bounds TEXT, correlation REAL, most_common_elems TEXT, most_common_elem_freqs TEXT, elem_count_histogram TEXT);
CREATE TABLE pg_stat_replication(pid INTEGER, usesysid INTEGER, usename TEXT, application_name TEXT, client_addr TEXT, state TEXT, sent_lsn TEXT, write_lsn TEXT, flush_lsn TEXT, replay_lsn TEXT, sync_state TEXT, client_hostname TEXT, client_port INTEGER, backend_start TEXT, backend_xmin INTEGER, write_lag TEXT, flush_lag TEXT, replay_lag TEXT, sync_priority INTEGER, reply_time TEXT);
CREATE TABLE pg_stat_database(datid INTEGER, datname TEXT, numbackends INTEGER, xact_commit INTEGER, xact_rollback INTEGER, blks_read INTEGER, blks_hit INTEGER, tup_returned INTEGER, tup_fetched INTEGER, tup_inserted INTEGER, tup_updated INTEGER, tup_deleted INTEGER, conflicts INTEGER, temp_files INTEGER, temp_bytes INTEGER, deadlocks INTEGER, stats_reset TEXT, checksum_failures INTEGER, checksum_last_failure TEXT, blk_read_time REAL, blk_write_time REAL, session_time REAL, active_time REAL, idle_in_transaction_time REAL, sessions INTEGER, sessions_abandoned INTEGER, sessions_fatal INTEGER, sessions_killed INTEGER);
CREATE TABLE pg_replication_slots(slot_name TEXT, plugin TEXT, slot_type TEXT, datoid INTEGER, database TEXT, active INTEGER, active_pid INTEGER, xmin INTEGER, restart_lsn TEXT, temporary INTEGER, catalog_xmin INTEGER, confirmed_flush_lsn TEXT, wal_status TEXT, safe_wal_size INTEGER, two_phase INTEGER);
CREATE TABLE pg_amproc(oid INTEGER, amprocfamily INTEGER, amproclefttype INTEGER, amprocrighttype INTEGER, amprocnum INTEGER, amproc INTEGER);
CREATE TABLE pg_available_extension_versions(name TEXT, version TEXT, installed INTEGER, superuser INTEGER, trusted INTEGER, relocatable INTEGER, schema TEXT, requires TEXT, comment TEXT);
CREATE TABLE pg_config(name TEXT, setting TEXT);
CREATE TABLE pg_file_settings(sourcefile TEXT, sourceline INTEGER, seqno INTEGER, name TEXT, setting TEXT, applied INTEGER, error TEXT);
CREATE TABLE pg_hba_file_rules(line_number INTEGER, type TEXT, database TEXT, user_name TEXT, address TEXT, netmask TEXT, auth_method TEXT, options TEXT, error TEXT);
CREATE TABLE pg_init_privs(objoid INTEGER, classoid INTEGER, objsubid INTEGER, privtype TEXT, initprivs TEXT);
CREATE TABLE pg_largeobject(loid INTEGER, pageno INTEGER, data TEXT);
CREATE TABLE pg_parameter_acl(oid INTEGER, parname TEXT, paracl TEXT);
CREATE TABLE pg_replication_origin(roident INTEGER, roname TEXT);
CREATE TABLE pg_shseclabel(objoid INTEGER, classoid INTEGER, provider TEXT, label TEXT);
CREATE TABLE pg_stat_archiver(archived_count INTEGER, last_archived_wal TEXT, last_archived_time TEXT, failed_count INTEGER, last_failed_wal TEXT, last_failed_time TEXT, stats_reset TEXT);
CREATE TABLE pg_stat_bgwriter(checkpoints_timed INTEGER, checkpoints_req INTEGER, checkpoint_write_time REAL, checkpoint_sync_time REAL, buffers_checkpoint INTEGER, buffers_clean INTEGER, maxwritten_clean INTEGER, buffers_backend INTEGER, buffers_backend_fsync INTEGER, buffers_alloc INTEGER, stats_reset TEXT);
CREATE TABLE pg_stat_database_conflicts(datid INTEGER, datname TEXT, confl_tablespace INTEGER, confl_lock INTEGER, confl_snapshot INTEGER, confl_bufferpin INTEGER, confl_deadlock INTEGER);
CREATE TABLE pg_stat_gssapi(pid INTEGER, gss_authenticated INTEGER, principal TEXT, encrypted INTEGER);
CREATE TABLE pg_stat_progress_analyze(pid INTEGER, datid INTEGER, datname TEXT, relid INTEGER, phase TEXT, sample_blks_total INTEGER, sample_blks_scanned INTEGER, ext_stats_total INTEGER, ext_stats_computed INTEGER, child_tables_total INTEGER, child_tables_done INTEGER, current_child_table_relid INTEGER);
CREATE TABLE pg_stat_progress_basebackup(pid INTEGER, phase TEXT, backup_total INTEGER, backup_streamed INTEGER, tablespaces_total INTEGER, tablespaces_streamed INTEGER);
CREATE TABLE pg_stat_progress_cluster(pid INTEGER, datid INTEGER, datname TEXT, relid INTEGER, command TEXT, phase TEXT, cluster_index_relid INTEGER, heap_tuples_scanned INTEGER, heap_tuples_written INTEGER, heap_blks_total INTEGER, heap_blks_scanned INTEGER, index_rebuild_count INTEGER);
CREATE TABLE pg_stat_progress_copy(pid INTEGER, datid INTEGER, datname TEXT, relid INTEGER, command TEXT, type TEXT, bytes_processed INTEGER, bytes_total INTEGER, tuples_processed INTEGER, tuples_excluded INTEGER);
CREATE TABLE pg_stat_progress_create_index(pid INTEGER, datid INTEGER, datname TEXT, relid INTEGER, index_relid INTEGER, command TEXT, phase TEXT, lockers_total INTEGER, lockers_done INTEGER, current_locker_pid INTEGER, blocks_total INTEGER, blocks_done INTEGER, tuples_total INTEGER, tuples_done INTEGER, partitions_total INTEGER, partitions_done INTEGER);
CREATE TABLE pg_stat_progress_vacuum(pid INTEGER, datid INTEGER, datname TEXT, relid INTEGER, phase TEXT, heap_blks_total INTEGER, heap_blks_scanned INTEGER, heap_blks_vacuumed INTEGER, index_vacuum_count INTEGER, max_dead_tuples INTEGER, num_dead_tuples INTEGER);
CREATE TABLE pg_stat_replication_slots(slot_name TEXT, spill_txns INTEGER, spill_count INTEGER, spill_bytes INTEGER, stream_txns INTEGER, stream_count INTEGER, stream_bytes INTEGER, total_txns INTEGER, total_bytes INTEGER, stats_reset TEXT);
CREATE TABLE pg_stat_ssl(pid INTEGER, ssl INTEGER, version TEXT, cipher TEXT, bits INTEGER, client_dn TEXT, client_serial TEXT, issuer_dn TEXT);
CREATE TABLE pg_stat_subscription(subid INTEGER, subname TEXT, pid INTEGER, relid INTEGER, received_lsn TEXT, last_msg_send_time TEXT, last_msg_receipt_time TEXT, latest_end_lsn TEXT, latest_end_time TEXT);
CREATE TABLE pg_stat_user_functions(funcid INTEGER, schemaname TEXT, funcname TEXT, calls INTEGER, total_time REAL, self_time REAL);
CREATE TABLE pg_stat_wal(wal_records INTEGER, wal_fpi INTEGER, wal_bytes TEXT, wal_buffers_full INTEGER, wal_write INTEGER, wal_sync INTEGER, wal_write_time REAL, wal_sync_time REAL, stats_reset TEXT);
CREATE TABLE pg_stat_wal_receiver(pid INTEGER, status TEXT, receive_start_lsn TEXT, receive_start_tli INTEGER, written_lsn TEXT, flushed_lsn TEXT, received_tli INTEGER, last_msg_send_time TEXT, last_msg_receipt_time TEXT, latest_end_lsn TEXT, latest_end_time TEXT, slot_name TEXT, sender_host TEXT, sender_port INTEGER, conninfo TEXT);
CREATE TABLE pg_statio_user_indexes(relid INTEGER, indexrelid INTEGER, schemaname TEXT, relname TEXT, indexrelname TEXT, idx_blks_read INTEGER, idx_blks_hit INTEGER);
CREATE TABLE pg_statio_user_sequences(relid INTEGER, schemaname TEXT, relname TEXT, blks_read INTEGER, blks_hit INTEGER);
CREATE TABLE pg_statistic(starelid INTEGER, staattnum INTEGER, stainherit INTEGER, stanullfrac REAL, stawidth INTEGER, stadistinct REAL, stakind1 INTEGER, stakind2 INTEGER, stakind3 INTEGER, stakind4 INTEGER, stakind5 INTEGER, staop1 INTEGER, staop2 INTEGER, staop3 INTEGER, staop4 INTEGER, staop5 INTEGER, stacoll1 INTEGER, stacoll2 INTEGER, stacoll3 INTEGER, stacoll4 INTEGER, stacoll5 INTEGER, stanumbers1 TEXT, stanumbers2 TEXT, stanumbers3 TEXT, stanumbers4 TEXT, stanumbers5 TEXT, stavalues1 TEXT, stavalues2 TEXT, stavalues3 TEXT, stavalues4 TEXT, stavalues5 TEXT);
CREATE TABLE pg_statistic_ext_data(stxoid INTEGER, stxdinherit INTEGER, stxdndistinct TEXT, stxddependencies TEXT, stxdmcv TEXT, stxdexpr TEXT);
CREATE TABLE pg_stats_ext(schemaname TEXT, tablename TEXT, statistics_schemaname TEXT, statistics_name TEXT, statistics_owner TEXT, attnames TEXT, exprs TEXT, kinds TEXT, inherited INTEGER, n_distinct TEXT, dependencies TEXT, most_common_vals TEXT, most_common_val_nulls TEXT, most_common_freqs TEXT, most_common_base_freqs TEXT);
CREATE TABLE pg_subscription_rel(srsubid INTEGER, srrelid INTEGER, srsubstate TEXT, srsublsn TEXT);
CREATE TABLE pg_timezone_abbrevs(abbrev TEXT, utc_offset TEXT, is_dst INTEGER);
CREATE TABLE pg_transform(oid INTEGER, trftype INTEGER, trflang INTEGER, trffromsql INTEGER, trftosql INTEGER);
CREATE TABLE pg_ts_config(oid INTEGER, cfgname TEXT, cfgnamespace INTEGER, cfgowner INTEGER, cfgparser INTEGER);
CREATE TABLE pg_ts_config_map(mapcfg INTEGER, maptokentype INTEGER, mapseqno INTEGER, mapdict INTEGER);
CREATE TABLE pg_ts_dict(oid INTEGER, dictname TEXT, dictnamespace INTEGER, dictowner INTEGER, dicttemplate INTEGER, dictinitoption TEXT);
CREATE TABLE pg_ts_parser(oid INTEGER, prsname TEXT, prsnamespace INTEGER, prsstart INTEGER, prstoken INTEGER, prsend INTEGER, prsheadline INTEGER, prslextype INTEGER);
CREATE TABLE pg_ts_template(oid INTEGER, tmplname TEXT, tmplnamespace INTEGER, tmplinit INTEGER, tmpllexize INTEGER);
CREATE TABLE pg_user_mappings(umid INTEGER, srvid INTEGER, srvname TEXT, umuser INTEGER, usename TEXT, umoptions TEXT);
CREATE TABLE pg_listening_channels(channel TEXT);
CREATE TABLE pg_options_to_table(option_name TEXT, option_value TEXT);
CREATE TABLE pg_timezone_names(name TEXT, abbrev TEXT, utc_offset TEXT, is_dst INTEGER);
INSERT INTO pg_timezone_names VALUES ('UTC', 'UTC', '00:00:00', 0);

CREATE VIEW information_schema_schemata AS SELECT current_database() AS catalog_name, nspname AS schema_name, current_user() AS schema_owner,
  NULL AS default_character_set_catalog, NULL AS default_character_set_schema, NULL AS default_character_set_name, NULL AS sql_path
  FROM pg_namespace;
CREATE VIEW information_schema_tables AS SELECT current_database() AS table_catalog, 'public' AS table_schema, name AS table_name,
  CASE kind WHEN 'v' THEN 'VIEW' ELSE 'BASE TABLE' END AS table_type, NULL AS self_referencing_column_name, NULL AS reference_generation,
  NULL AS user_defined_type_catalog, NULL AS user_defined_type_schema, NULL AS user_defined_type_name,
  CASE kind WHEN 'v' THEN 'NO' ELSE 'YES' END AS is_insertable_into, 'NO' AS is_typed, NULL AS commit_action FROM rel WHERE kind IN ('r', 'v');
CREATE VIEW information_schema_views AS SELECT current_database() AS table_catalog, 'public' AS table_schema, name AS table_name,
  sql AS view_definition, 'NONE' AS check_option, 'NO' AS is_updatable, 'NO' AS is_insertable_into, 'NO' AS is_trigger_updatable,
  'NO' AS is_trigger_deletable, 'NO' AS is_trigger_insertable_into FROM rel WHERE kind = 'v';
CREATE VIEW information_schema_columns AS SELECT current_database() AS table_catalog, 'public' AS table_schema, r.name AS table_name,
  c.name AS column_name, c.num AS ordinal_position, CASE WHEN c.generated = '' THEN c.dflt END AS column_default,
  CASE WHEN c.nonnull THEN 'NO' ELSE 'YES' END AS is_nullable, iif(t.category = 'E', 'USER-DEFINED', format_type(c.typid, NULL)) AS data_type,
  CASE WHEN c.typid IN (1042, 1043) AND c.typmod > 4 THEN c.typmod - 4 END AS character_maximum_length,
  CASE WHEN t.category = 'S' THEN 1073741824 END AS character_octet_length,
  CASE c.typid WHEN 20 THEN 64 WHEN 23 THEN 32 WHEN 21 THEN 16 WHEN 700 THEN 24 WHEN 701 THEN 53
    WHEN 1700 THEN CASE WHEN c.typmod > 4 THEN (c.typmod - 4) >> 16 END END AS numeric_precision,
  CASE WHEN c.typid IN (20, 21, 23, 700, 701) THEN 2 WHEN c.typid = 1700 THEN 10 END AS numeric_precision_radix,
  CASE WHEN c.typid IN (20, 21, 23) THEN 0 WHEN c.typid = 1700 AND c.typmod > 4 THEN (c.typmod - 4) & 65535 END AS numeric_scale,
  CASE WHEN c.typid IN (1083, 1114, 1184, 1266) THEN 6 WHEN c.typid = 1082 THEN 0 END AS datetime_precision, NULL AS interval_type,
  NULL AS interval_precision, NULL AS character_set_catalog, NULL AS character_set_schema, NULL AS character_set_name,
  NULL AS collation_catalog, NULL AS collation_schema, NULL AS collation_name, NULL AS domain_catalog, NULL AS domain_schema,
  NULL AS domain_name, current_database() AS udt_catalog, iif(t.category = 'E', 'public', 'pg_catalog') AS udt_schema, t.name AS udt_name, NULL AS scope_catalog,
  NULL AS scope_schema, NULL AS scope_name, NULL AS maximum_cardinality, CAST(c.num AS TEXT) AS dtd_identifier,
  'NO' AS is_self_referencing, 'NO' AS is_identity, NULL AS identity_generation, NULL AS identity_start, NULL AS identity_increment,
  NULL AS identity_maximum, NULL AS identity_minimum, 'NO' AS identity_cycle,
  CASE WHEN c.generated = '' THEN 'NEVER' ELSE 'ALWAYS' END AS is_generated,
  CASE WHEN c.generated <> '' THEN c.dflt END AS generation_expression, CASE r.kind WHEN 'r' THEN 'YES' ELSE 'NO' END AS is_updatable
  FROM rel r JOIN col c ON c.relid = r.oid LEFT JOIN type t ON t.oid = c.typid WHERE r.kind IN ('r', 'v');
CREATE VIEW information_schema_table_constraints AS SELECT current_database() AS constraint_catalog, 'public' AS constraint_schema,
  k.name AS constraint_name, current_database() AS table_catalog, 'public' AS table_schema, r.name AS table_name,
  CASE k.type WHEN 'p' THEN 'PRIMARY KEY' WHEN 'u' THEN 'UNIQUE' WHEN 'f' THEN 'FOREIGN KEY' ELSE 'CHECK' END AS constraint_type,
  'NO' AS is_deferrable, 'NO' AS initially_deferred, 'YES' AS enforced, 'YES' AS nulls_distinct FROM con k JOIN rel r ON r.oid = k.relid;
CREATE VIEW information_schema_key_column_usage AS SELECT current_database() AS constraint_catalog, 'public' AS constraint_schema,
  k.name AS constraint_name, current_database() AS table_catalog, 'public' AS table_schema, r.name AS table_name, c.name AS column_name,
  u.ordinality AS ordinal_position, CASE k.type WHEN 'f' THEN u.ordinality END AS position_in_unique_constraint
  FROM con k JOIN rel r ON r.oid = k.relid JOIN unnest(k.keys) u JOIN col c ON c.relid = k.relid AND c.num = u.value
  WHERE k.type IN ('p', 'u', 'f');
CREATE VIEW information_schema_constraint_column_usage AS SELECT current_database() AS table_catalog, 'public' AS table_schema,
  r.name AS table_name, c.name AS column_name, current_database() AS constraint_catalog, 'public' AS constraint_schema,
  k.name AS constraint_name FROM con k JOIN rel r ON r.oid = CASE k.type WHEN 'f' THEN k.frelid ELSE k.relid END
  JOIN unnest(CASE k.type WHEN 'f' THEN k.fkeys ELSE k.keys END) u JOIN col c ON c.relid = r.oid AND c.num = u.value;
CREATE VIEW information_schema_constraint_table_usage AS SELECT current_database() AS table_catalog, 'public' AS table_schema,
  r.name AS table_name, current_database() AS constraint_catalog, 'public' AS constraint_schema, k.name AS constraint_name
  FROM con k JOIN rel r ON r.oid = CASE k.type WHEN 'f' THEN k.frelid ELSE k.relid END;
CREATE VIEW information_schema_referential_constraints AS SELECT current_database() AS constraint_catalog, 'public' AS constraint_schema,
  k.name AS constraint_name, current_database() AS unique_constraint_catalog, 'public' AS unique_constraint_schema,
  (SELECT name FROM con p WHERE p.relid = k.frelid AND p.type IN ('p', 'u') AND p.keys = k.fkeys ORDER BY p.type LIMIT 1)
  AS unique_constraint_name, 'NONE' AS match_option,
  CASE k.upd WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' WHEN 'r' THEN 'RESTRICT' ELSE 'NO ACTION' END AS update_rule,
  CASE k.del WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' WHEN 'r' THEN 'RESTRICT' ELSE 'NO ACTION' END AS delete_rule
  FROM con k WHERE k.type = 'f';
CREATE VIEW information_schema_check_constraints AS SELECT current_database() AS constraint_catalog, 'public' AS constraint_schema,
  name AS constraint_name, def AS check_clause FROM con WHERE type = 'c';
CREATE VIEW information_schema_triggers AS SELECT current_database() AS trigger_catalog, 'public' AS trigger_schema, g.name AS trigger_name,
  current_database() AS event_object_catalog, 'public' AS event_object_schema, r.name AS event_object_table, g.def AS action_statement
  FROM trg g JOIN rel r ON r.oid = g.relid;
CREATE VIEW information_schema_table_privileges AS SELECT current_user() AS grantor, current_user() AS grantee,
  current_database() AS table_catalog, 'public' AS table_schema, name AS table_name, p.column1 AS privilege_type, 'NO' AS is_grantable,
  iif(p.column1 = 'SELECT', 'YES', 'NO') AS with_hierarchy FROM rel JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE'), ('TRUNCATE'),
  ('REFERENCES'), ('TRIGGER')) p WHERE kind IN ('r', 'v') AND (p.column1 = 'SELECT' OR pg_may_write());
CREATE VIEW information_schema_information_schema_catalog_name AS SELECT current_database() AS catalog_name;
CREATE TABLE information_schema_routines(specific_catalog TEXT, specific_schema TEXT, specific_name TEXT, routine_catalog TEXT, routine_schema TEXT, routine_name TEXT, routine_type TEXT, data_type TEXT, routine_definition TEXT);
CREATE TABLE information_schema_parameters(specific_catalog TEXT, specific_schema TEXT, specific_name TEXT, ordinal_position INTEGER, parameter_mode TEXT, parameter_name TEXT, data_type TEXT);
CREATE TABLE information_schema_sequences(sequence_catalog TEXT, sequence_schema TEXT, sequence_name TEXT, data_type TEXT, numeric_precision INTEGER, numeric_precision_radix INTEGER, numeric_scale INTEGER, start_value TEXT, minimum_value TEXT, maximum_value TEXT, increment TEXT, cycle_option TEXT);
CREATE TABLE information_schema_element_types(object_catalog TEXT, object_schema TEXT, object_name TEXT, object_type TEXT, collection_type_identifier TEXT, data_type TEXT);
CREATE TABLE information_schema_domains(domain_catalog TEXT, domain_schema TEXT, domain_name TEXT, data_type TEXT, domain_default TEXT);
CREATE TABLE information_schema_role_table_grants(grantor TEXT, grantee TEXT, table_catalog TEXT, table_schema TEXT, table_name TEXT, privilege_type TEXT, is_grantable TEXT, with_hierarchy TEXT);
CREATE TABLE information_schema_column_privileges(grantor TEXT, grantee TEXT, table_catalog TEXT, table_schema TEXT, table_name TEXT, column_name TEXT, privilege_type TEXT, is_grantable TEXT);
CREATE TABLE information_schema_foreign_tables(foreign_table_catalog TEXT, foreign_table_schema TEXT, foreign_table_name TEXT, foreign_server_catalog TEXT, foreign_server_name TEXT);
CREATE TABLE information_schema_character_sets(character_set_catalog TEXT, character_set_schema TEXT, character_set_name TEXT, character_repertoire TEXT, form_of_use TEXT);
CREATE TABLE pg_get_keywords(word TEXT, catcode TEXT, barelabel INTEGER, catdesc TEXT, baredesc TEXT);
INSERT INTO pg_get_keywords(word, catcode) VALUES ('analyse', 'R'), ('analyze', 'R'), ('array', 'R'), ('concurrently', 'T'), ('ilike', 'T'),
  ('isnull', 'T'), ('lateral', 'R'), ('limit', 'R'), ('notnull', 'T'), ('offset', 'R'), ('placing', 'R'), ('returning', 'R'), ('verbose', 'T');
