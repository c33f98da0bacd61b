"""What is written down of labs on this host: records, locks, whose a thing is, and its removal."""
