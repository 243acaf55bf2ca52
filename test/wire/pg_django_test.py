"""Django: its own applications migrated, then a project's models through several migrations, and its ORM."""

import os
import re
import textwrap

import pytest

import pg as pg_module

SETTINGS = """
import os
SECRET_KEY = "not secret"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "django.contrib.admin",
                  "django.contrib.messages", "shop"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates",
              "OPTIONS": {"context_processors": ["django.contrib.auth.context_processors.auth",
                                                 "django.template.context_processors.request",
                                                 "django.contrib.messages.context_processors.messages"]}}]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware",
              "django.contrib.messages.middleware.MessageMiddleware"]
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"], "USER": os.environ["PGUSER"],
                         "PASSWORD": os.environ["PGPASSWORD"], "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"]}}
"""

FIRST = """
from django.db import models

class Author(models.Model):
    name = models.CharField(max_length=50)
    email = models.EmailField(unique=True)
    born = models.DateField(null=True)

class Book(models.Model):
    title = models.CharField(max_length=100, db_index=True)
    author = models.ForeignKey(Author, on_delete=models.CASCADE, related_name="books")
    price = models.DecimalField(max_digits=8, decimal_places=2, default=0)
    data = models.JSONField(default=dict)
    cover = models.BinaryField(null=True)
    added = models.DateTimeField(auto_now_add=True)
    rating = models.IntegerField(default=3)
"""

SECOND = """
from django.db import models

class Publisher(models.Model):
    name = models.CharField(max_length=30, primary_key=True)

class Author(models.Model):
    full_name = models.CharField(max_length=200)
    email = models.EmailField(unique=True)
    active = models.BooleanField(default=True)

class Book(models.Model):
    title = models.TextField()
    author = models.ForeignKey(Author, on_delete=models.CASCADE, related_name="books")
    publisher = models.ForeignKey(Publisher, on_delete=models.SET_NULL, null=True)
    price = models.DecimalField(max_digits=10, decimal_places=2, null=True)
    data = models.JSONField(default=dict)
    cover = models.BinaryField(null=True)
    added = models.DateTimeField(auto_now_add=True)
    rating = models.BigIntegerField(default=4)
    isbn = models.CharField(max_length=13, unique=True, null=True)
    tags = models.ManyToManyField("Tag")

    class Meta:
        unique_together = [("title", "author")]
        constraints = [models.CheckConstraint(check=models.Q(rating__gte=0), name="rating_not_negative"),
                       models.UniqueConstraint(fields=["isbn"], condition=models.Q(rating__gt=1), name="isbn_of_rated")]
        indexes = [models.Index(fields=["rating", "-added"], name="book_rating")]

class Tag(models.Model):
    label = models.SlugField(unique=True)
"""

USE = """
import datetime, decimal
import django
django.setup()
from django.contrib.auth.models import Group, User
from django.db import IntegrityError, connection, transaction
from django.db.models import Avg, Count, F, Q, Sum
from shop.models import Author, Book, Publisher, Tag

ann = Author.objects.get(email="ann@example.com")
assert ann.full_name == "Ann" and ann.active is True, ann.__dict__
old, = ann.books.all()
assert (old.rating, old.price, old.data, bytes(old.cover)) == (3, decimal.Decimal("9.50"), {"a": [1, 2]}, b"\\x00\\x01\\xff"), old.__dict__
p = Publisher.objects.create(name="press")
b = Book.objects.create(title="second", author=ann, publisher=p, price="1.25", isbn="1", data={"k": "v"})
assert b.rating == 4 and b.pk > old.pk
b.tags.add(*Tag.objects.bulk_create([Tag(label="x"), Tag(label="y")]))
assert Book.objects.filter(tags__label="x").values_list("title", flat=True).get() == "second"
assert Author.objects.annotate(n=Count("books"), s=Sum("books__price")).values("n", "s").get() == {"n": 2, "s": decimal.Decimal("10.75")}
assert Book.objects.filter(Q(title__icontains="SEC") | Q(title__startswith="zzz")).count() == 1
assert Book.objects.filter(data__k="v").count() == 1
assert Book.objects.filter(added__year=datetime.datetime.now(datetime.timezone.utc).year).count() == 2
assert Book.objects.update(rating=F("rating") + 1) == 2
assert Book.objects.aggregate(a=Avg("rating"))["a"] == 4.5
assert [x.title for x in Book.objects.order_by("-rating").select_related("author")[:1]] == ["second"]
assert Book.objects.filter(title__regex="^f.rst$").exists() and Book.objects.in_bulk([b.pk])[b.pk] == b
Book.objects.bulk_update([b], ["title"])
obj, created = Author.objects.update_or_create(email="bob@example.com", defaults={"full_name": "Bob"})
assert created and Author.objects.get_or_create(email="bob@example.com")[1] is False
for bad in (lambda: Book.objects.create(title="second", author=ann), lambda: Book.objects.create(title="z", author=ann, rating=-1),
            lambda: Author.objects.create(full_name="x", email="ann@example.com")):
    try:
        with transaction.atomic():
            bad()
    except IntegrityError:
        pass
    else:
        raise AssertionError("no IntegrityError")
try:
    with transaction.atomic():
        Book.objects.create(title="orphan", author_id=999)
except IntegrityError:
    pass
else:
    raise AssertionError("no IntegrityError at the commit")
with transaction.atomic():
    assert Book.objects.select_for_update().get(pk=b.pk).title == "second"
    sid = transaction.savepoint()
    Book.objects.all().delete()
    transaction.savepoint_rollback(sid)
assert Book.objects.count() == 2
p.delete()
assert Book.objects.get(pk=b.pk).publisher is None
ann.delete()
assert Book.objects.count() == 0 and Tag.objects.count() == 2
user = User.objects.create_superuser("admin", "admin@example.com", "secret")
user.groups.add(Group.objects.create(name="staff"))
assert User.objects.get(username="admin").check_password("secret") and user.has_perm("shop.add_book")
from django.test import Client
c = Client(SERVER_NAME="localhost")
c.force_login(user)
with connection.cursor() as cursor:
    names = {t.name for t in connection.introspection.get_table_list(cursor)}
    assert {"shop_book", "auth_user", "django_session"} <= names, names
    constraints = connection.introspection.get_constraints(cursor, "shop_book")
    assert constraints["rating_not_negative"]["check"] and constraints["book_rating"]["index"], constraints
    assert any(k["foreign_key"] == ("shop_author", "id") for k in constraints.values()), constraints
    assert [k["columns"] for k in constraints.values() if k["primary_key"]] == [["id"]], constraints
    described = {d.name: d for d in connection.introspection.get_table_description(cursor, "shop_book")}
    assert described["price"].null_ok and not described["title"].null_ok
print("used")
"""

BEFORE = """
import django
django.setup()
from shop.models import Author, Book
a = Author.objects.create(name="Ann", email="ann@example.com")
Book.objects.create(title="first", author=a, price="9.50", data={"a": [1, 2]}, cover=b"\\x00\\x01\\xff")
"""

RENAME = """
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [migrations.RenameField("author", "name", "full_name")]
"""


def make_project(directory, settings, run):
    """Runs Django's commands, or a script, in a project of its own; run(*argv, env=) answers what was printed."""
    files = {"settings.py": settings, "shop/__init__.py": "", "shop/models.py": FIRST, "shop/migrations/__init__.py": "",
             "urls.py": "urlpatterns = []\n"}
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    env = {"DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": str(directory), "PYTHONWARNINGS": "ignore"}

    class Project:
        def __init__(self):
            self.directory = directory

        def manage(self, *argv):
            return run("/usr/bin/python3", "-m", "django", *argv, env=env)

        def script(self, text):
            path = directory / "script.py"
            path.write_text(text)
            return run("/usr/bin/python3", str(path), env=env)

    return Project()


@pytest.fixture
def project(pg, tmp_path):
    return make_project(tmp_path, SETTINGS, lambda *argv, env: pg.run(*argv, env=env).stdout)


def test_migrations_and_orm(project):
    project.manage("makemigrations", "shop")
    project.manage("migrate")
    assert "No migrations to apply" in project.manage("migrate")
    project.script(BEFORE)

    (project.directory / "shop/migrations/0002_rename.py").write_text(RENAME)
    (project.directory / "shop/models.py").write_text(SECOND)
    project.manage("makemigrations", "shop", "--no-input")
    project.manage("migrate")
    assert "No changes detected" in project.manage("makemigrations", "--check", "--dry-run")
    assert "used" in project.script(USE)

    inspected = project.manage("inspectdb", "shop_book")
    assert re.search(r"title = models\.TextField\(\)", inspected) and re.search(r"author = models\.ForeignKey\(", inspected)
    project.manage("migrate", "shop", "zero")
    project.manage("flush", "--no-input")
