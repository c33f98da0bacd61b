"""What everything stands on: errors, processes, waiting, settings, text from and to strangers."""
