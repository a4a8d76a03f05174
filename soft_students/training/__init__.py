"""The one loop that trains networks: batches, optimisers, stages and the choice of an epoch."""
