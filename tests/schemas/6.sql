-- A store as Lazu's schema 6 left it; its one blob is b'hello'. Never change this file.
PRAGMA user_version = 6;
BEGIN TRANSACTION;
CREATE TABLE file (
            id TEXT PRIMARY KEY,
            key_id INTEGER NOT NULL REFERENCES key (id),
            sha256 TEXT NOT NULL,
            bytes INTEGER NOT NULL,
            filename TEXT NOT NULL,
            purpose TEXT NOT NULL,
            content_type TEXT NOT NULL,
            created_at INTEGER NOT NULL,
            expires_at INTEGER NOT NULL
        ) STRICT;
INSERT INTO "file" VALUES('file-lazu-01KSBV4MC6THZ9TCZEM38KPYR0',1,'2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824',5,'a.txt','user_data','text/plain',1779587764,4102444800);
INSERT INTO "file" VALUES('file-lazu-01KSBV4MC6THZ9TCZEM38KPYR1',1,'2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824',5,'again.txt','user_data','text/plain',1779587764,4102444800);
INSERT INTO "file" VALUES('file-lazu-01KSBV4MC6THZ9TCZEM38KPYR2',2,'2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824',5,'b.txt','user_data','text/plain',1779587764,4102444800);
CREATE TABLE holding (
            key_id INTEGER PRIMARY KEY,
            files INTEGER NOT NULL,
            bytes INTEGER NOT NULL
        ) STRICT;
INSERT INTO "holding" VALUES(1,2,10);
INSERT INTO "holding" VALUES(2,1,5);
CREATE TABLE key (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            secret_sha256 TEXT UNIQUE,
            created_at INTEGER NOT NULL,
            revoked_at INTEGER,
            last_used_at INTEGER,
            quota_bytes INTEGER
        ) STRICT;
INSERT INTO "key" VALUES(1,'alice','ab23d71a7b1ac25f23ed3da67b2b7a581998300add47f83402f29aa15efa0236',1779587000,NULL,NULL,NULL);
INSERT INTO "key" VALUES(2,'bob','bc83559c0309c1be36d26baadf48f71d1511d6bfb11861924fd42f04c185571a',1779587001,1779587900,NULL,1000);
CREATE TABLE purge (
            id INTEGER PRIMARY KEY,
            started_at INTEGER NOT NULL,
            finished_at INTEGER NOT NULL,
            files INTEGER NOT NULL,
            blobs INTEGER NOT NULL,
            bytes INTEGER NOT NULL
        ) STRICT;
INSERT INTO "purge" VALUES(1,1779480000,1779480001,3,2,100);
CREATE TABLE total (
            blobs INTEGER NOT NULL,
            blob_bytes INTEGER NOT NULL,
            part_bytes INTEGER NOT NULL
        ) STRICT;
INSERT INTO "total" VALUES(1,5,5);
CREATE TABLE upload (
            id TEXT PRIMARY KEY,
            key_id INTEGER NOT NULL REFERENCES key (id),
            bytes INTEGER NOT NULL,
            filename TEXT NOT NULL,
            purpose TEXT NOT NULL,
            lifetime INTEGER,
            created_at INTEGER NOT NULL,
            expires_at INTEGER NOT NULL,
            cancelled_at INTEGER,
            file_id TEXT,
            completion TEXT
        ) STRICT;
INSERT INTO "upload" VALUES('upload_01KSBV4MC6THZ9TCZEM38KPYR0',1,10,'c.txt','user_data',NULL,1779587764,4102444800,NULL,NULL,NULL);
CREATE TABLE upload_part (
            id TEXT PRIMARY KEY,
            upload_id TEXT NOT NULL REFERENCES upload (id),
            sha256 TEXT NOT NULL,
            bytes INTEGER NOT NULL,
            created_at INTEGER NOT NULL
        ) STRICT;
INSERT INTO "upload_part" VALUES('part_01KSBV4MC6THZ9TCZEM38KPYR1','upload_01KSBV4MC6THZ9TCZEM38KPYR0','2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824',5,1779587764);
CREATE INDEX file_by_key ON file (key_id, id);
CREATE INDEX file_by_purpose ON file (key_id, purpose, id);
CREATE INDEX file_by_size ON file (key_id, expires_at, bytes);
CREATE INDEX upload_by_key ON upload (key_id, expires_at);
CREATE INDEX upload_by_expiry ON upload (expires_at);
CREATE INDEX upload_part_by_upload ON upload_part (upload_id, sha256, bytes);
CREATE INDEX upload_part_by_sha256 ON upload_part (sha256, upload_id);
CREATE INDEX file_by_sha256 ON file (sha256, bytes, expires_at);
CREATE INDEX file_by_expiry ON file (expires_at, bytes);
CREATE TRIGGER file_added AFTER INSERT ON file BEGIN
            INSERT INTO holding VALUES (NEW.key_id, 1, NEW.bytes)
                ON CONFLICT (key_id) DO UPDATE SET files = files + 1, bytes = bytes + NEW.bytes;
            UPDATE total SET blobs = blobs + 1, blob_bytes = blob_bytes + NEW.bytes
                WHERE NOT EXISTS (SELECT 1 FROM file WHERE sha256 = NEW.sha256 AND rowid <> NEW.rowid)
                AND NOT EXISTS (SELECT 1 FROM upload_part WHERE sha256 = NEW.sha256);
        END;
CREATE TRIGGER file_removed AFTER DELETE ON file BEGIN
            UPDATE holding SET files = files - 1, bytes = bytes - OLD.bytes WHERE key_id = OLD.key_id;
            DELETE FROM holding WHERE key_id = OLD.key_id AND files = 0;
            UPDATE total SET blobs = blobs - 1, blob_bytes = blob_bytes - OLD.bytes
                WHERE NOT EXISTS (SELECT 1 FROM file WHERE sha256 = OLD.sha256)
                AND NOT EXISTS (SELECT 1 FROM upload_part WHERE sha256 = OLD.sha256);
        END;
CREATE TRIGGER part_added AFTER INSERT ON upload_part BEGIN
            UPDATE total SET part_bytes = part_bytes + NEW.bytes;
            UPDATE total SET blobs = blobs + 1, blob_bytes = blob_bytes + NEW.bytes
                WHERE NOT EXISTS (SELECT 1 FROM file WHERE sha256 = NEW.sha256)
                AND NOT EXISTS (SELECT 1 FROM upload_part WHERE sha256 = NEW.sha256 AND rowid <> NEW.rowid);
        END;
CREATE TRIGGER part_removed AFTER DELETE ON upload_part BEGIN
            UPDATE total SET part_bytes = part_bytes - OLD.bytes;
            UPDATE total SET blobs = blobs - 1, blob_bytes = blob_bytes - OLD.bytes
                WHERE NOT EXISTS (SELECT 1 FROM file WHERE sha256 = OLD.sha256)
                AND NOT EXISTS (SELECT 1 FROM upload_part WHERE sha256 = OLD.sha256);
        END;
CREATE TRIGGER file_changed BEFORE UPDATE OF sha256, bytes ON file BEGIN
            SELECT RAISE(ABORT, 'the bytes of a file never change');
        END;
CREATE TRIGGER part_changed BEFORE UPDATE OF sha256, bytes ON upload_part BEGIN
            SELECT RAISE(ABORT, 'the bytes of a part never change');
        END;
CREATE TABLE journal (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            sha256 TEXT NOT NULL,
            bytes BLOB NOT NULL
        ) STRICT;
INSERT INTO journal (sha256, bytes) VALUES ('2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824', CAST('hello' AS BLOB));
CREATE TABLE retired (secret_sha256 TEXT PRIMARY KEY) STRICT;
INSERT INTO retired VALUES('a9791a21a8d2e6efe3aad76b1313ffbe1e5c624ab5823432742a7da38bd73c92');
COMMIT;
