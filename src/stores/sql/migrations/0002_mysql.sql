-- Small texts about the store as a whole, by their names.
CREATE TABLE IF NOT EXISTS {marks} (
    name VARCHAR(100) PRIMARY KEY,
    mark LONGTEXT NOT NULL
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
