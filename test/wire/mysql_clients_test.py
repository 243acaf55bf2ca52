"""Programs of other languages' drivers, each with checks of its own: node mysql2 and Sequelize, Knex and TypeORM on top of it,
Go's driver, the JDBC drivers of MySQL (Connector/J) and of MariaDB, PHP's mysqli and PDO, mysql-connector-python (its C extension, too)."""

import os
import shutil

import pytest

import mysql_target as target


def client(name):
    return os.path.join(target.CLIENTS, name)


@pytest.mark.parametrize("script,checks", [("mysql2.js", 6), ("sequelize.js", 4), ("knex.js", 1), ("typeorm.js", 1)])
def test_node_client(my, script, checks):
    assert os.path.isdir(target.NODE_MODULES), f"{target.NODE_MODULES} is missing: `make node-clients`"
    assert my.passed("node", client(script)) == checks


@pytest.mark.skipif(not shutil.which("go"), reason="no Go compiler here")
def test_go_driver(my):
    assert os.path.exists(target.GO_CLIENTS), f"{target.GO_CLIENTS} is missing: `make go-clients`"
    assert my.passed(target.GO_CLIENTS) == 18


@pytest.mark.parametrize("driver,path,options", [
    ("mariadb", target.MARIADB_JDBC, {}),
    ("mysql", target.CONNECTOR_J, {}),
    ("mysql", target.CONNECTOR_J, {"rewriteBatchedStatements": "true", "useInformationSchema": "false", "nullDatabaseMeansCurrent": "true"}),
    ("mysql", target.CONNECTOR_J, {"useCursorFetch": "true", "defaultFetchSize": "2", "useCompression": "true"}),
], ids=("mariadb", "mysql", "mysql-batches", "mysql-cursors"))
def test_jdbc(my, driver, path, options):
    assert driver == "mariadb" or os.path.isdir(os.path.dirname(path)), f"{path} is missing: `make java-clients`"
    assert my.passed("java", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8", "-cp", path, client("MysqlJdbc.java"),
                     env={"MYSQL_JDBC": my.jdbc(driver, **options)}) == 40


def test_php(my):
    assert my.passed("php", client("mysql.php")) == 23


def test_connector_python(my):
    assert os.path.isdir(target.PYTHON_CLIENTS), f"{target.PYTHON_CLIENTS} is missing: `make python-clients`"
    assert my.passed("/usr/bin/python3", client("connector_client.py"),
                     env={"PYTHONPATH": target.PYTHON_CLIENTS}) == 18
