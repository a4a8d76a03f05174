"""The training loop of all networks: batches, optimisers, stages and selection of an epoch."""
