"""The command line of MariaDB's client package: mysql and mysqldump."""

SCHEMA = b"""
CREATE TABLE `parent` (
  `id` int(11) unsigned NOT NULL AUTO_INCREMENT COMMENT 'the key',
  `name` varchar(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `name_u` (`name`(20))
) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4 COMMENT='parents';
CREATE TABLE `child` (
  `id` bigint NOT NULL AUTO_INCREMENT,
  `parent_id` int NOT NULL,
  `amount` decimal(8,2) DEFAULT '0.00',
  `made` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `kind` enum('a','b') NOT NULL DEFAULT 'a',
  `raw` varbinary(20) DEFAULT NULL,
  `note` text,
  PRIMARY KEY (`id`),
  KEY `k` (`parent_id`),
  CONSTRAINT `child_fk` FOREIGN KEY (`parent_id`) REFERENCES `parent` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB;
# a comment of one line
INSERT INTO parent (name) VALUES ('one'), ("two");  -- and another one
/*!40000 ALTER TABLE `child` DISABLE KEYS */;
INSERT INTO child (parent_id, amount, raw, note) VALUES (1, 5.5, 0x00ff, 'it\\'s "q" \\\\ back\\nnl'), (2, -1, NULL, NULL);
CREATE OR REPLACE VIEW v AS SELECT p.name, c.amount FROM parent p JOIN child c ON c.parent_id = p.id;
"""


def test_statements(my):
    out = my.mysql("-N", "-e", "SELECT @@version_comment LIKE 'ha,%', VERSION(), DATABASE(), 5 / 2, \"it's\"; SHOW TABLES")
    assert out == f"1\t8.0.36-ha\t{my.database}\t2.5\tit's\n"
    assert my.database in my.mysql("-N", "-e", "SHOW DATABASES").split()


def test_batch_with_columns(my):
    assert my.mysql("-e", "SELECT CONCAT('a', 'b'), COUNT(*), NOW() > '2020-01-01' AS later, @a := 1", check=False).returncode == 1
    assert my.mysql("-e", "SELECT CONCAT('a', 'b'), COUNT(*), NOW() > '2020-01-01' AS later") == \
        "CONCAT('a', 'b')\tCOUNT(*)\tlater\nab\t1\t1\n"


def test_errors_have_numbers(my):
    p = my.mysql("-e", "SELECT * FROM missing", check=False)
    assert p.returncode == 1 and f"ERROR 1146 (42S02) at line 1: Table '{my.database}.missing' doesn't exist" in p.stderr.decode()
    p = my.mysql("-e", "SELEC", check=False)
    assert "ERROR 1064 (42000)" in p.stderr.decode()
    p = my.but(password="wrong").mysql("-e", "SELECT 1", check=False)
    assert "ERROR 1045 (28000)" in p.stderr.decode()
    p = my.but(database="nowhere").mysql("-e", "SELECT 1", check=False)
    assert "ERROR 1049 (42000): Unknown database 'nowhere'" in p.stderr.decode()


def test_status_and_auto_rehash(my):
    my.mysql(stdin=SCHEMA)
    # With --auto-rehash it asks for every table's fields when it starts; \s asks for the statistics.
    out = my.mysql("--auto-rehash", "-t", stdin=b"\\s\nUSE " + my.database.encode() + b"\nSELECT name FROM parent;\n")
    assert "Uptime:" in out and "| two  |" in out


def test_schema_as_mysql_writes_it(my):
    my.mysql(stdin=SCHEMA)
    assert my.mysql("-N", "-e", "SELECT * FROM v ORDER BY name") == "one\t5.50\ntwo\t-1.00\n"
    out = my.mysql("-N", "-r", "-e", "SHOW CREATE TABLE child")
    for line in ("`id` bigint NOT NULL AUTO_INCREMENT", "`amount` decimal(8,2) DEFAULT '0.00'",
                 "`made` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP", "KEY `k` (`parent_id`)",
                 "CONSTRAINT `child_fk` FOREIGN KEY (`parent_id`) REFERENCES `parent` (`id`) ON DELETE CASCADE"):
        assert line in out, out
    assert my.mysql("-N", "-e", "DESCRIBE parent") == "id\tint\tNO\tPRI\tNULL\tauto_increment\nname\tvarchar(40)\tNO\tUNI\tNULL\t\n"
    assert my.mysql("-N", "-e", "SHOW INDEX FROM parent WHERE Key_name <> 'PRIMARY'").startswith("parent\t0\tname_u\t1\tname\tA")
    # What another protocol sees is SQLite, and nothing of MySQL's.
    sql = my.node.query("SELECT sql FROM sqlite_schema WHERE name = 'child'", db=my.database).value
    assert "ENGINE" not in sql and "mysql_" not in sql


def test_dump_and_restore(my, mysql_server):
    import mysql_target  # the fixture's module, for a second database
    my.mysql(stdin=SCHEMA)
    dump = my.mysql(my.database, program="mysqldump", check=False)
    assert dump.returncode == 0, dump.stderr
    other = mysql_target.fresh_database(mysql_server)
    # A table's foreign key may come before the table that it refers to: without enforcement, as SQLite has it by default.
    other.node.post("/databases", {"dsn": other.database + "x"})
    other = other.but(database=other.database + "x")
    other.mysql(stdin=dump.stdout)
    again = other.mysql(other.database, program="mysqldump", check=False)

    def contents(text):
        return [line for line in text.splitlines() if not line.startswith(b"--")]

    assert contents(dump.stdout) == contents(again.stdout)
    assert my.mysql("-N", "-e", "SELECT HEX(raw), note FROM child ORDER BY id") == \
        other.mysql("-N", "-e", "SELECT HEX(raw), note FROM child ORDER BY id")
