"""The hop ladder, message classes and causes."""
