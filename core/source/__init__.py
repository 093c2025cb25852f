"""Where the photos are: a folder of this machine, or object storage."""
