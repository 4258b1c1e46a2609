import GRDB

/// The operations service's tables. The audit only grows: the database itself refuses everything else.
enum OperationsSchema {
  static var migrations: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("operations-1") { database in
      // What is searched for is computed from the body, so that there is nothing beside the hashed text to be changed.
      try database.execute(
        sql: """
          CREATE TABLE audit (
            seq INTEGER PRIMARY KEY, body TEXT NOT NULL CHECK (json_valid(body)), hash TEXT NOT NULL,
            id TEXT GENERATED ALWAYS AS (json_extract(body, '$.id')) VIRTUAL,
            tenant TEXT GENERATED ALWAYS AS (json_extract(body, '$.tenant')) VIRTUAL);
          CREATE UNIQUE INDEX audit_id ON audit (id);
          CREATE INDEX audit_tenant ON audit (tenant, seq);
          CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
            BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
          CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
            BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
          CREATE TRIGGER audit_next_only BEFORE INSERT ON audit
            WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM audit)
            BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
          CREATE TABLE auditHead (id INTEGER PRIMARY KEY CHECK (id = 1), head TEXT NOT NULL);
          """)
    }
    return migrator
  }
}
