"""The database: tables, migrations, reading the actual state, applying a plan, audit, outbox."""
