"""Network architectures of teachers and students."""
