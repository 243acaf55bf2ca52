// Where the scripts of ORMs connect: to PostgreSQL's port of a node, or to MySQL's, as the environment says.
'use strict';
const env = process.env;
const mysql = Boolean(env.MYSQL_HOST);
module.exports = {
  mysql,
  // What is written differently for the two.
  either: (postgres, other) => (mysql ? other : postgres),
  host: mysql ? env.MYSQL_HOST : env.PGHOST,
  port: Number(mysql ? env.MYSQL_TCP_PORT : env.PGPORT),
  user: mysql ? env.MYSQL_TEST_USER : env.PGUSER,
  password: mysql ? env.MYSQL_PWD : env.PGPASSWORD,
  database: mysql ? env.MYSQL_DATABASE : env.PGDATABASE,
};
