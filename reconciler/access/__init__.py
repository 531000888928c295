"""The access model: resources, permitted IPs, decisions. Pure: no I/O, no SQL, no clock."""
