"""What the database holds, as requests read it: the access snapshot, accounts, policies, what is declared."""
