"""Images and their objects: the record, its readers, and batches for training."""
