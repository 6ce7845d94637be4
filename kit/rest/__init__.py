"""What every API view shares: strict bodies, one shape of errors, lists, and the schema made from the same shapes."""
