"""From readings to a cause: the hop ladder, message classes, causes."""
