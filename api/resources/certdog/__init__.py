"""The calls of existing clients of the product that Accord succeeds, answered as they expect."""
