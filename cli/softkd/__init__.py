"""The command `softkd`."""
