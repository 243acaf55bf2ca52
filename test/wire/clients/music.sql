-- A shop of digital music: the size and the habits of the sample schemas that tools are tried with.
CREATE TABLE artist (
    artist_id INTEGER NOT NULL,
    name VARCHAR(120),
    CONSTRAINT artist_pkey PRIMARY KEY (artist_id)
);
CREATE TABLE album (
    album_id INTEGER NOT NULL PRIMARY KEY,
    title VARCHAR(160) NOT NULL,
    artist_id INTEGER NOT NULL,
    CONSTRAINT album_artist_id_fkey FOREIGN KEY (artist_id) REFERENCES artist (artist_id) ON DELETE NO ACTION
);
CREATE TABLE employee (
    employee_id INTEGER NOT NULL PRIMARY KEY,
    last_name VARCHAR(20) NOT NULL,
    first_name VARCHAR(20) NOT NULL,
    title VARCHAR(30),
    reports_to INTEGER REFERENCES employee (employee_id),
    birth_date TIMESTAMP,
    hire_date TIMESTAMP,
    address VARCHAR(70),
    email VARCHAR(60) UNIQUE
);
CREATE TABLE customer (
    customer_id INTEGER NOT NULL PRIMARY KEY,
    first_name VARCHAR(40) NOT NULL,
    last_name VARCHAR(20) NOT NULL,
    company VARCHAR(80),
    country VARCHAR(40) DEFAULT 'Norway',
    email VARCHAR(60) NOT NULL,
    active BOOLEAN NOT NULL DEFAULT TRUE,
    support_rep_id INTEGER REFERENCES employee (employee_id)
);
CREATE TABLE genre (genre_id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(120) UNIQUE);
CREATE TABLE media_type (media_type_id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(120));
CREATE TABLE track (
    track_id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(200) NOT NULL,
    album_id INTEGER REFERENCES album (album_id) ON DELETE CASCADE,
    media_type_id INTEGER NOT NULL REFERENCES media_type (media_type_id),
    genre_id INTEGER REFERENCES genre (genre_id),
    composer VARCHAR(220),
    milliseconds INTEGER NOT NULL CHECK (milliseconds > 0),
    bytes BIGINT,
    unit_price NUMERIC(10,2) NOT NULL,
    rating DOUBLE PRECISION,
    cover BYTEA
);
CREATE TABLE playlist (playlist_id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(120));
CREATE TABLE playlist_track (
    playlist_id INTEGER NOT NULL REFERENCES playlist (playlist_id),
    track_id INTEGER NOT NULL REFERENCES track (track_id),
    PRIMARY KEY (playlist_id, track_id)
);
CREATE TABLE invoice (
    invoice_id INTEGER NOT NULL PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customer (customer_id),
    invoice_date TIMESTAMP NOT NULL,
    billing_city VARCHAR(40),
    total NUMERIC(10,2) NOT NULL
);
CREATE TABLE invoice_line (
    invoice_line_id INTEGER NOT NULL PRIMARY KEY,
    invoice_id INTEGER NOT NULL REFERENCES invoice (invoice_id),
    track_id INTEGER NOT NULL REFERENCES track (track_id),
    unit_price NUMERIC(10,2) NOT NULL,
    quantity INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX album_artist ON album (artist_id);
CREATE INDEX track_album ON track (album_id);
CREATE INDEX track_genre_name ON track (genre_id, name);
CREATE INDEX customer_name ON customer (last_name, first_name);
CREATE UNIQUE INDEX playlist_name ON playlist (name);
CREATE INDEX invoice_customer ON invoice (customer_id);
CREATE VIEW long_tracks AS SELECT t.track_id, t.name, a.title FROM track t JOIN album a ON a.album_id = t.album_id
    WHERE t.milliseconds > 300000;

INSERT INTO artist VALUES (1, 'The Borders'), (2, 'Ann''s Quartet'), (3, 'Sigrún ☃');
INSERT INTO album VALUES (1, 'First', 1), (2, 'Second', 1), (3, 'Third', 1), (4, 'Strings', 2), (5, 'Ís', 3);
INSERT INTO employee VALUES (1, 'Adams', 'Andrew', 'General Manager', NULL, '1962-02-18 00:00:00', '2002-08-14 00:00:00',
    '11120 Jasper Ave', 'andrew@example.com'), (2, 'Edwards', 'Nancy', 'Sales Manager', 1, '1958-12-08 00:00:00',
    '2002-05-01 00:00:00', '825 8 Ave', 'nancy@example.com');
INSERT INTO customer (customer_id, first_name, last_name, email, support_rep_id) VALUES
    (1, 'Luís', 'Gonçalves', 'luisg@example.com', 2), (2, 'Leonie', 'Köhler', 'leonie@example.com', NULL);
INSERT INTO genre VALUES (1, 'Rock'), (2, 'Jazz');
INSERT INTO media_type VALUES (1, 'MPEG audio file');
INSERT INTO track VALUES
    (1, 'Opening', 1, 1, 1, NULL, 215000, 7000000, 0.99, 4.5, NULL),
    (2, 'The long one', 1, 1, 1, 'A. Border', 725000, 21000000, 1.98, NULL, NULL),
    (3, 'Blue', 4, 1, 2, 'Ann', 310000, 9000000, 0.99, 3, NULL),
    (4, 'Short', 5, 1, NULL, NULL, 61000, NULL, 0.99, 5, NULL);
INSERT INTO playlist VALUES (1, 'Morning'), (2, 'Evening');
INSERT INTO playlist_track VALUES (1, 1), (1, 4), (2, 2), (2, 3);
INSERT INTO invoice VALUES (1, 1, '2024-01-03 10:00:00', 'Oslo', 3.96), (2, 1, '2024-02-01 00:00:00', NULL, 0.99);
INSERT INTO invoice_line VALUES (1, 1, 1, 0.99, 2), (2, 1, 2, 1.98, 1), (3, 2, 3, 0.99, 1);
