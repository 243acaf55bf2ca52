CREATE TABLE artist (id serial PRIMARY KEY, name varchar(120) NOT NULL)
--;
CREATE TABLE album (id serial PRIMARY KEY, title varchar(160) NOT NULL DEFAULT 'x', artist_id integer NOT NULL REFERENCES artist(id) ON DELETE CASCADE, price numeric(10,2) CHECK (price >= 0), released timestamp DEFAULT now())
--;
CREATE INDEX album_artist ON album(artist_id)
--;
CREATE UNIQUE INDEX album_title ON album(title, artist_id DESC) WHERE price > 0
--;
CREATE TABLE playlist_track (playlist_id integer, track_id integer, PRIMARY KEY (playlist_id, track_id), UNIQUE (track_id, playlist_id))
--;
CREATE VIEW albums AS SELECT a.title, r.name FROM album a JOIN artist r ON r.id = a.artist_id
