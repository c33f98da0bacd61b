"""The words of scenarios, and the types of their fields: what kinds, rules and reports share."""
