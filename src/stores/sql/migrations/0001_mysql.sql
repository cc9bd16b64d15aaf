-- Times are microseconds since 1970, in UTC.
CREATE TABLE IF NOT EXISTS {tasks} (
    task_key BIGINT PRIMARY KEY AUTO_INCREMENT,
    id LONGTEXT NOT NULL,
    -- Ids are told apart by it: a collation that MySQL and MariaDB have in common takes no heed of spaces at the end, and an
    -- index has no room for long ones.
    id_digest BINARY(32) AS (UNHEX(SHA2(id, 256))) STORED UNIQUE,
    handler VARCHAR(700) NOT NULL,
    envelope LONGTEXT NOT NULL,
    edited BIGINT NOT NULL,
    version BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    running BIGINT NOT NULL,
    next_run_time BIGINT,
    watermark BIGINT,
    paused BIGINT NOT NULL,
    ended BIGINT NOT NULL,
    waiting LONGTEXT,
    max_instances BIGINT NOT NULL,
    due_at BIGINT,
    -- Deleted: it stays until its history has gone.
    deleted BIGINT NOT NULL DEFAULT 0,
    INDEX {prefix}tasks_due (due_at, task_key),
    INDEX {prefix}tasks_deleted (deleted)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS {runs} (
    seq BIGINT PRIMARY KEY AUTO_INCREMENT,
    id VARCHAR(32) NOT NULL UNIQUE,
    task_key BIGINT NOT NULL,
    -- The task among whose runs it stands; 0: its task was deleted meanwhile; null: it has ended.
    place BIGINT,
    due BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    -- 1: late, after time without decisions; 2: by hand; 4: more occurrences than were counted.
    flags BIGINT NOT NULL,
    occurrences BIGINT NOT NULL,
    status VARCHAR(16) NOT NULL,
    node VARCHAR(16),
    starts_at BIGINT,
    decided_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT,
    value LONGTEXT,
    error LONGTEXT,
    INDEX {prefix}runs_task (task_key, seq),
    INDEX {prefix}runs_open (place)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS {nodes} (
    id VARCHAR(16) PRIMARY KEY,
    record LONGTEXT NOT NULL,
    renewed_at BIGINT NOT NULL,
    leased_until BIGINT NOT NULL
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS {cancels} (
    run_id VARCHAR(32) PRIMARY KEY
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- The handlers that there are tasks of, or were.
CREATE TABLE IF NOT EXISTS {handlers} (
    handler VARCHAR(700) PRIMARY KEY
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
