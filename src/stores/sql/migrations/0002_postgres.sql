-- Small texts about the store as a whole, by their names.
CREATE TABLE {marks} (
    name TEXT PRIMARY KEY,
    mark TEXT NOT NULL
);
