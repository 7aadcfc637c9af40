"""Job templates, properties and links become files, in processes that can do nothing else."""
