"""What HTTP makes of it: operations, schemas, OpenAPI, callers' addresses."""
