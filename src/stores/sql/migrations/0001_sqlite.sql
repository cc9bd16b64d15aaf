-- Times are microseconds since 1970, in UTC.
CREATE TABLE {tasks} (
    task_key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    handler TEXT NOT NULL,
    envelope TEXT NOT NULL,
    edited INTEGER NOT NULL,
    version INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    running INTEGER NOT NULL,
    next_run_time INTEGER,
    watermark INTEGER,
    paused INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    waiting TEXT,
    max_instances INTEGER NOT NULL,
    due_at INTEGER,
    -- Deleted: it stays until its history has gone.
    deleted INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX {prefix}tasks_due ON {tasks} (due_at, task_key) WHERE due_at IS NOT NULL;
CREATE INDEX {prefix}tasks_deleted ON {tasks} (task_key) WHERE deleted = 1;
CREATE TABLE {runs} (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    task_key INTEGER NOT NULL,
    -- The task among whose runs it stands; 0: its task was deleted meanwhile; null: it has ended.
    place INTEGER,
    due INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    -- 1: late, after time without decisions; 2: by hand; 4: more occurrences than were counted.
    flags INTEGER NOT NULL,
    occurrences INTEGER NOT NULL,
    status TEXT NOT NULL,
    node TEXT,
    starts_at INTEGER,
    decided_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    value TEXT,
    error TEXT
);
CREATE INDEX {prefix}runs_task ON {runs} (task_key, seq);
CREATE INDEX {prefix}runs_open ON {runs} (place) WHERE place IS NOT NULL;
CREATE TABLE {nodes} (
    id TEXT PRIMARY KEY,
    record TEXT NOT NULL,
    renewed_at INTEGER NOT NULL,
    leased_until INTEGER NOT NULL
);
CREATE TABLE {cancels} (
    run_id TEXT PRIMARY KEY
);
-- The handlers that there are tasks of, or were.
CREATE TABLE {handlers} (
    handler TEXT PRIMARY KEY
);
