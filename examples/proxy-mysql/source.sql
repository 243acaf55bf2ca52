-- The source of examples/proxy-mysql: a table, and a user who may read the log and write.
CREATE DATABASE db;
CREATE TABLE db.users (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(50) NOT NULL,
    email VARCHAR(100) NOT NULL UNIQUE,
    age INT
);
CREATE USER rep_user IDENTIFIED BY 'secret';
GRANT REPLICATION SLAVE, REPLICATION CLIENT, RELOAD ON *.* TO rep_user;
GRANT ALL ON db.* TO rep_user;
