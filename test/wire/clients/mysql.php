<?php
// PHP's mysqli and PDO (mysqlnd), with prepared statements of the server's and of the client's own making.
mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
[$host, $port, $user, $password, $database] = array_map('getenv',
    ['MYSQL_HOST', 'MYSQL_TCP_PORT', 'MYSQL_TEST_USER', 'MYSQL_PWD', 'MYSQL_DATABASE']);
$passed = 0;

function check($ok, $what) {
    global $passed;
    if (!$ok) {
        fwrite(STDERR, "failed: $what\n");
        exit(1);
    }
    $passed++;
}

function code($run) {
    try {
        $run();
    } catch (mysqli_sql_exception $e) {
        return $e->getCode() . ' ' . $e->getSqlState();
    } catch (PDOException $e) {
        return $e->errorInfo[1] . ' ' . $e->getCode();
    }
    return 'none';
}

$m = new mysqli($host, $user, $password, $database, (int)$port);
$m->set_charset('utf8mb4');
check($m->server_version === 80036, $m->server_version);
$m->query('CREATE TABLE p (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20), f DOUBLE, d DATETIME, e DATETIME(6), b BLOB, n DECIMAL(8,2))');
$s = $m->prepare('INSERT INTO p (v, f, d, e, b, n) VALUES (?, ?, ?, ?, ?, ?)');
[$v, $f, $d, $e, $b, $n] = ["ä'\\", 1.5, '2024-02-29 12:00:00', '2024-02-29 12:00:00.250000', null, '12.30'];
$s->bind_param('sdssbs', $v, $f, $d, $e, $b, $n);
$s->send_long_data(4, "\0\xff");
$s->send_long_data(4, "\x01");
$s->execute();
check($s->insert_id === 1 && $s->affected_rows === 1, 'insert id');
$row = ['id' => 1, 'v' => $v, 'f' => 1.5, 'd' => $d, 'e' => $e, 'b' => "\0\xff\x01", 'n' => '12.30'];
$s = $m->prepare('SELECT * FROM p WHERE id = ?');
$id = 1;
$s->bind_param('i', $id);
foreach ([1, 2] as $again) {
    $s->execute();
    check($s->get_result()->fetch_assoc() === $row, 'prepared row');
}
$s->attr_set(MYSQLI_STMT_ATTR_CURSOR_TYPE, MYSQLI_CURSOR_TYPE_READ_ONLY);
$s->execute();
$s->bind_result($id, $v2, $f2, $d2, $e2, $b2, $n2);
check($s->fetch() && $v2 === $v && !$s->fetch(), 'cursor');
$s->close();
check($m->query('SELECT v, n, COUNT(*), NULL FROM p')->fetch_row() === [$v, '12.30', '1', null], 'text row');
check(code(fn() => $m->query('INSERT INTO p (id) VALUES (1)')) === '1062 23000', 'duplicate');
check(code(fn() => $m->query('SELECT * FROM missing')) === '1146 42S02', 'no table');
check(code(fn() => $m->prepare('SELEC')) === '1064 42000', 'syntax');
$m->multi_query('SELECT 1; INSERT INTO p (v) VALUES (2); SELECT v FROM p WHERE id = 2');
$results = [];
do {
    $r = $m->store_result();
    $results[] = $r ? $r->fetch_row()[0] : $m->affected_rows;
} while ($m->more_results() && $m->next_result());
check($results === ['1', 1, '2'], json_encode($results));
$m->begin_transaction();
$m->query("UPDATE p SET v = 'x'");
$m->rollback();
$m->autocommit(false);
$m->query('DELETE FROM p WHERE id = 2');
$m->commit();
$m->autocommit(true);
$r = $m->query('SELECT v FROM p', MYSQLI_USE_RESULT);
check($r->fetch_row()[0] === $v && $r->fetch_row() === null, 'unbuffered');
$r->close();
$fields = $m->query('SELECT id, v, d FROM p')->fetch_fields();
check([$fields[0]->name, $fields[0]->type, $fields[1]->type, $fields[2]->type] === ['id', MYSQLI_TYPE_LONG, MYSQLI_TYPE_VAR_STRING, MYSQLI_TYPE_DATETIME],
      'fields');
check($m->real_escape_string("a'\\\n") === "a\\'\\\\\\n", 'escape');
check(strpos($m->stat(), 'Uptime') === 0, 'stat');
check($m->change_user($user, $password, $database) && $m->select_db($database), 'change user');
$m->close();

foreach ([true, false] as $emulate) {
    $p = new PDO("mysql:host=$host;port=$port;dbname=$database;charset=utf8mb4", $user, $password,
                 [PDO::ATTR_EMULATE_PREPARES => $emulate, PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
    $q = $p->prepare('INSERT INTO p (v, n, b) VALUES (:v, :n, :b)');
    $q->execute(['v' => "a'b\\", 'n' => 3, 'b' => "\0\xff"]);
    $id = (int)$p->lastInsertId();
    $q = $p->prepare('SELECT id, v, n, b FROM p WHERE v = ? ORDER BY id DESC LIMIT ?');
    $q->bindValue(1, "a'b\\");
    $q->bindValue(2, 1, PDO::PARAM_INT);
    $q->execute();
    check($q->fetch(PDO::FETCH_NUM) === [$id, "a'b\\", '3.00', "\0\xff"], 'PDO row');
    $p->beginTransaction();
    $p->exec('DELETE FROM p');
    $p->rollBack();
    check((int)$p->query('SELECT COUNT(*) FROM p')->fetchColumn() === ($emulate ? 2 : 3), 'PDO rollback');
    check(code(fn() => $p->exec('INSERT INTO p (id) VALUES (1)')) === '1062 23000', 'PDO error');
    check($p->query('SHOW TABLES')->fetchAll(PDO::FETCH_COLUMN) === ['p'], 'PDO tables');
}
echo "passed $passed\n";
