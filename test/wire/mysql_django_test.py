"""Django over PyMySQL: the same project as over PostgreSQL, through the same migrations."""

import re

import pytest

import mysql_target as target
import pg_django_test as project_of

SETTINGS = re.sub(r"DATABASES = .*", '''
import pymysql
pymysql.version_info = (1, 4, 6, "final", 0)  # of mysqlclient, whose place it takes
pymysql.install_as_MySQLdb()
DATABASES = {"default": {"ENGINE": "django.db.backends.mysql", "NAME": os.environ["MYSQL_DATABASE"], "USER": os.environ["MYSQL_TEST_USER"],
                         "PASSWORD": os.environ["MYSQL_PWD"], "HOST": os.environ["MYSQL_HOST"], "PORT": os.environ["MYSQL_TCP_PORT"]}}
''', project_of.SETTINGS, flags=re.S)


@pytest.fixture
def project(cluster, tmp_path):
    # PyMySQL sends a password that is a text as latin1.
    t = target.start_node(cluster, password="secret", files=[f"file:{cluster.directory}/ha.db?_foreign_keys=1"])
    return project_of.make_project(tmp_path, SETTINGS, lambda *argv, env: t.run(*argv, env=env).stdout.decode())


def test_migrations_and_orm(project):
    project.manage("makemigrations", "shop")
    project.manage("migrate")
    assert "No migrations to apply" in project.manage("migrate")
    project.script(project_of.BEFORE)

    (project.directory / "shop/migrations/0002_rename.py").write_text(project_of.RENAME)
    # MySQL has no partial indexes, and no keys on texts without a length.
    models = project_of.SECOND.replace("title = models.TextField()", "title = models.CharField(max_length=120)")
    (project.directory / "shop/models.py").write_text(re.sub(r",\s*models.UniqueConstraint\(.*?name=\"isbn_of_rated\"\)", "", models, flags=re.S))
    project.manage("makemigrations", "shop", "--no-input")
    project.manage("migrate")
    assert "No changes detected" in project.manage("makemigrations", "--check", "--dry-run")
    # Nor does it return what bulk_create() has made.
    use = project_of.USE.replace('Tag.objects.bulk_create([Tag(label="x"), Tag(label="y")])', '[Tag.objects.create(label=x) for x in "xy"]')
    # Column definitions do not tell what may be NULL.
    use = use.replace(' and not described["title"].null_ok', "")
    assert use.count("null_ok") == 1 and "bulk_create" not in use
    assert "used" in project.script(use)

    inspected = project.manage("inspectdb", "shop_book")
    assert re.search(r"title = models\.CharField\(max_length=120", inspected) and re.search(r"author = models\.ForeignKey\(", inspected)
    project.manage("migrate", "shop", "zero")
