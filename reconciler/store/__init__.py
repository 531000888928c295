"""The database: tables, migrations, reading the actual state, applying a plan, the audit log."""
