-- Files during whose parsing minuted died. One that has done so too often is set aside.
CREATE TABLE crash (
    folder   TEXT NOT NULL,
    path     BLOB NOT NULL,             -- relative to the folder
    size     INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode    INTEGER NOT NULL,
    times    INTEGER NOT NULL CHECK (times >= 1),
    mark     TEXT NOT NULL,             -- the mark that was charged last: each is charged once
    at_ms    INTEGER NOT NULL,
    PRIMARY KEY (folder, path)
) STRICT, WITHOUT ROWID;
