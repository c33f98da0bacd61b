"""What machines are made of: root file systems, node images, boxes and seeds."""
