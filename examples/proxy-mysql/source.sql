-- What the source gets: a database with a table, and a user for the nodes. As root.
CREATE USER 'rep_user'@'%' IDENTIFIED BY 'secret';
GRANT REPLICATION SLAVE, REPLICATION CLIENT, RELOAD ON *.* TO 'rep_user'@'%';

CREATE DATABASE shop;
CREATE TABLE shop.users (
    id bigint PRIMARY KEY AUTO_INCREMENT,
    name varchar(100) NOT NULL,
    email varchar(100) NOT NULL UNIQUE,
    age int,
    details json
);
INSERT INTO shop.users(name, email, age) VALUES ('First User', 'first@user', 30);

GRANT SELECT, INSERT, UPDATE, DELETE ON shop.* TO 'rep_user'@'%';
