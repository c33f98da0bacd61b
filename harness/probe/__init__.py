"""What is asked where, and what the answer says: one module per family of facts."""
