-- What the source gets: a table, a publication, and a user for the nodes. As a superuser.
CREATE ROLE rep_user LOGIN REPLICATION PASSWORD 'secret';

CREATE TABLE users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name varchar(100) NOT NULL,
    email varchar(100) NOT NULL UNIQUE,
    age int,
    details jsonb
);
INSERT INTO users(name, email, age) VALUES ('First User', 'first@user', 30);

GRANT SELECT, INSERT, UPDATE, DELETE ON users TO rep_user;

CREATE PUBLICATION my_publication FOR TABLE users;
